"""Icons and help texts that ship with the window."""
