"""The test numbers that a person keeps: calls that should go on going the same way whatever is changed."""

from __future__ import annotations

from dataclasses import dataclass

from PySide6.QtCore import QObject, Signal

from app.records import Configuration
from ui.face import SavedNumber, Source, outcomes
from ui.settings import Settings

_SETTING = "simulator/test_numbers"
_SEPARATOR = "\t"
MOST = 500


@dataclass(frozen=True, slots=True)
class KeptNumber:
    """A kept call, and where it went when it was kept."""

    number: SavedNumber
    expected: str
    """The outcome in words."""

    @property
    def key(self) -> str:
        """What tells it from the others."""
        number = self.number
        return _SEPARATOR.join((number.source.name, number.caller_number, number.called_number))


class KeptNumbers(QObject):
    """Kept in the window's settings; no more than `MOST`."""

    changed = Signal()

    def __init__(self, settings: Settings, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._settings = settings
        self.all: dict[str, KeptNumber] = {}
        for line in settings.texts(_SETTING):
            parts = line.split(_SEPARATOR)
            try:
                number = KeptNumber(SavedNumber(Source.parse(parts[0]), parts[1], parts[2]), parts[3])
            except (ValueError, IndexError):
                continue  # written by hand, or by another version
            self.all[number.key] = number

    def keep(self, number: SavedNumber, configuration: Configuration) -> None:
        """Keep a call with the outcome that it has now; one that is kept already gets its new outcome."""
        kept = KeptNumber(number, outcomes(configuration, [number])[0])
        if kept.key in self.all or len(self.all) < MOST:
            self.all[kept.key] = kept
            self._save()

    def forget(self, key: str) -> None:
        """Keep a call no longer."""
        if self.all.pop(key, None) is not None:
            self._save()

    def numbers(self) -> list[SavedNumber]:
        """The calls alone."""
        return [each.number for each in self.all.values()]

    def outcomes_in(self, configuration: Configuration) -> dict[str, str]:
        """The outcome of every kept call in a configuration: key -> words. May be asked in a thread."""
        kept = tuple(self.all.values())
        found = outcomes(configuration, [each.number for each in kept])
        return {each.key: words for each, words in zip(kept, found, strict=True)}

    def _save(self) -> None:
        lines = [f"{each.key}{_SEPARATOR}{each.expected}" for each in self.all.values()]
        self._settings.set_texts(_SETTING, lines)
        self.changed.emit()
