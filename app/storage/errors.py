"""What can go wrong with the database, in words for a person, and which of it passes by itself."""

from __future__ import annotations

from app.errors import UserFacingError


class StorageError(UserFacingError):
    """The database cannot be used; the text says why and what to do."""


class StorageUnavailable(StorageError):
    """The surroundings are at fault (disk full, locked by another program, server away): trying again can help."""


class StorageInUse(StorageError):
    """Another Trunkline server works on the same data folder."""


class StorageNewer(StorageError):
    """A newer version of the program made this database; it is left untouched."""


class StorageDamaged(StorageError):
    """The database cannot be read. `Database.set_aside` keeps it under another name, so that a new one can begin."""
