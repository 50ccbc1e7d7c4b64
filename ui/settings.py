"""What the window remembers of itself between two starts: places, sizes, columns, choices. Never configuration."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import platformdirs
from PySide6.QtCore import QByteArray, QSettings

VERSION = 1
"""Raised when what is remembered no longer fits the window; the old is then forgotten."""


def default_path() -> Path:
    """The file in the user's configuration folder."""
    return Path(platformdirs.user_config_dir("trunkline", appauthor=False)) / "window.ini"


def default_data_folder() -> Path:
    """The folder with the configuration and the call records, where none is named."""
    return platformdirs.user_data_path("trunkline", appauthor=False)


def log_folder(data_directory: Path) -> Path:
    """Where the log files are: the user's folder for logs, or below a data folder that was named."""
    if data_directory == default_data_folder():
        return platformdirs.user_log_path("trunkline", appauthor=False)
    return data_directory / "logs"


class Settings:
    """An INI file, so that a person can read it, and a test can have its own."""

    def __init__(self, path: Path) -> None:
        self._store = QSettings(str(path), QSettings.Format.IniFormat)
        if str(self._store.value("version", VERSION)) != str(VERSION):
            self._store.clear()
        self._store.setValue("version", VERSION)

    def text(self, name: str, default: str = "") -> str:
        """A remembered text."""
        return str(self._store.value(name, default))

    def set_text(self, name: str, value: str) -> None:
        """Remember a text."""
        self._store.setValue(name, value)

    def texts(self, name: str) -> list[str]:
        """A remembered list of texts."""
        value: Any = self._store.value(name, [])
        if isinstance(value, str):
            return [value] if value else []
        return [str(each) for each in value or []]

    def set_texts(self, name: str, values: list[str]) -> None:
        """Remember a list of texts."""
        self._store.setValue(name, values)

    def state(self, name: str) -> QByteArray | None:
        """A remembered state of a window, splitter or header."""
        value: Any = self._store.value(name)
        return value if isinstance(value, QByteArray) and not value.isEmpty() else None

    def set_state(self, name: str, value: QByteArray) -> None:
        """Remember a state."""
        self._store.setValue(name, value)

    def forget(self, group: str) -> None:
        """Forget everything below a name."""
        self._store.remove(group)

    def save(self) -> None:
        """Write the file now."""
        self._store.sync()
