"""The parts of the media layer that must stay pure are."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

MEDIA = Path(__file__).resolve().parents[3] / "app" / "media"
PURE = (
    "addresses",
    "codecs",
    "configuration",
    "figures",
    "messages",
    "monitoring",
    "negotiation",
    "ports",
    "quality",
    "rtp",
    "sdp",
    "statistics",
    "telephone_event",
)
WORKER = ("endpoint", "messages", "priority", "relay", "rtp", "sockets", "statistics", "telephone_event")
FORBIDDEN = {"asyncio", "socket", "ssl", "threading", "time", "sqlalchemy", "select", "multiprocessing"}


def imports(name: str) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse((MEDIA / f"{name}.py").read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(node.module or "")
    return found


@pytest.mark.parametrize("name", PURE)
def test_pure(name: str) -> None:
    assert {module.split(".")[0] for module in imports(name)} & FORBIDDEN == set()


@pytest.mark.parametrize("name", ["worker", "relay", "endpoint", "sockets"])
def test_a_worker_imports_little(name: str) -> None:
    """A worker starts in a fraction of a second because it imports nothing of the engine."""
    wanted = {module for module in imports(name) if module.startswith("app.")}
    assert wanted <= {f"app.media.{part}" for part in WORKER}
