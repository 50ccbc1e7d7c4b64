"""The Trunkline engine: SIP, call logic, dial plan, media and storage, without any window."""

__version__ = "0.1.0"
