"""Random text for tags, branches and Call-IDs: from the system's generator, drawn in blocks since each draw costs."""

from __future__ import annotations

import os
import secrets

_BLOCK_BYTES = 1024


class _RandomText:
    """Hands out a block of random hexadecimal digits piece by piece, none of them twice."""

    __slots__ = ("_block", "_used")

    def __init__(self) -> None:
        self._block = ""
        self._used = 0

    def forget(self) -> None:
        """Drop what is left of the block."""
        self._used = len(self._block)

    def take(self, digits: int) -> str:
        start = self._used
        end = start + digits
        if end > len(self._block):
            self._block = secrets.token_hex(_BLOCK_BYTES)
            start, end = 0, digits
        self._used = end
        return self._block[start:end]


_source = _RandomText()
if hasattr(os, "register_at_fork"):
    # A copy of this process must not give out the same text.
    os.register_at_fork(after_in_child=_source.forget)


def random_hex(digits: int) -> str:
    """So many random hexadecimal digits (4 bits each, at most 2,048). For one thread: the event loop's."""
    return _source.take(digits)
