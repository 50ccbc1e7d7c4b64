"""The commands of `python -m app`, one file each. Each imports what it needs when it runs, so that it starts fast."""
