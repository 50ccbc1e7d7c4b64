"""Runs `python -m app serve` as it is, and has it tell from within what it holds.

    python -m tests.soak.inside FILE SECONDS -m app serve ...

Every so many seconds the server's own numbers are written to FILE as one JSON object.
"""

from __future__ import annotations

import ctypes
import gc
import json
import sys
from pathlib import Path
from typing import Any


class _Mallinfo2(ctypes.Structure):
    """What glibc (2.33 or newer) tells of its heap."""

    _fields_ = [
        (name, ctypes.c_size_t)
        for name in ("arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "uordblks", "fordblks", "_")
    ]


def heap() -> dict[str, int]:
    """KiB that are in use in the heap of C, and that lie free between them; nothing where that is not told."""
    try:
        tell = ctypes.CDLL(None).mallinfo2
    except (OSError, AttributeError):
        return {}
    tell.restype = _Mallinfo2
    told = tell()
    return {"heap_used_kib": told.uordblks // 1024, "heap_free_kib": told.fordblks // 1024}


def holdings(engine: Any) -> dict[str, int]:
    """How much of everything a running engine has now."""
    switch = engine._switch
    if switch is None:
        return {}
    endpoint = switch.endpoint
    return {
        "calls": len(switch.calls),
        "transactions": endpoint.transactions,
        "timers": endpoint.timers,
        "dialogs": len(endpoint.dialogs),
        "deadlines": len(engine._deadlines),
        "registered": switch.registrar.registered,
        "begun": switch.metrics.begun,
        "ended": switch.metrics.ended,
        "objects": len(gc.get_objects()),
        "blocks": sys.getallocatedblocks(),
        **heap(),
    }


def watch(path: Path, seconds: float) -> None:
    """Have every engine that starts write its holdings."""
    from app.engine import Engine

    start = Engine.start

    async def start_and_tell(self: Any, **options: Any) -> None:
        await start(self, **options)
        loop = self._loop

        def tell() -> None:
            found = holdings(self)
            if found:
                beside = path.with_suffix(".new")
                beside.write_text(json.dumps(found), encoding="ascii")
                beside.replace(path)
                loop.call_later(seconds, tell)

        tell()

    Engine.start = start_and_tell  # type: ignore[method-assign]


def main() -> int:
    from app.__main__ import main as run

    # FILE SECONDS -m app serve ...
    watch(Path(sys.argv[1]), float(sys.argv[2]))
    return run(sys.argv[5:])


if __name__ == "__main__":
    sys.exit(main())
