"""What one number becomes on its way, told by an example: the digits taken from its beginning, and those put there."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import takewhile
from typing import Any

from app.records import TransitionType

LEAST_COMMON = 2
"""So many last digits must be the same, or the examples say nothing of other numbers."""


@dataclass(frozen=True, slots=True)
class Rewrite:
    """The beginning `removed` gives way to `added`."""

    removed: str = ""
    added: str = ""

    def __bool__(self) -> bool:
        return self.removed != self.added

    @property
    def words(self) -> str:
        """`0 at the beginning becomes +49`."""
        if not self.removed:
            return f"{self.added} is put before the number"
        return f"{self.removed} at the beginning " + (f"becomes {self.added}" if self.added else "is taken away")

    def values(self) -> dict[str, Any]:
        """The fields of a number transition that does it."""
        if not self.removed:
            return {"type": TransitionType.INSERT, "start": 0, "length": 0, "digits": self.added}
        kind = TransitionType.REPLACE if self.added else TransitionType.DELETE
        return {"type": kind, "start": 0, "length": len(self.removed), "digits": self.added}


def rewrite_between(before: str, after: str) -> Rewrite | None:
    """What makes one number of the other; None where they have too little in common at their end."""
    pairs = zip(reversed(before), reversed(after), strict=False)
    common = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
    if common < LEAST_COMMON:
        return None
    return Rewrite(before[: len(before) - common], after[: len(after) - common])
