"""The configuration and the call records on disk: SQLite in the data folder, or PostgreSQL shared by several."""

from app.storage.calls import CallQuery
from app.storage.database import Database
from app.storage.errors import StorageDamaged, StorageError, StorageInUse, StorageNewer, StorageUnavailable
from app.storage.thread import DatabaseThread

__all__ = [
    "CallQuery",
    "Database",
    "DatabaseThread",
    "StorageDamaged",
    "StorageError",
    "StorageInUse",
    "StorageNewer",
    "StorageUnavailable",
]
