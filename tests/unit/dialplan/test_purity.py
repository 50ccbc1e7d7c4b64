"""The dial plan has no I/O, no clock and no chance in it."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import app.dialplan

FORBIDDEN = {"asyncio", "socket", "ssl", "threading", "time", "sqlalchemy", "random", "secrets"}
OTHER_LAYERS = ("app.sip", "app.media", "app.storage", "app.calls", "app.engine", "ui")
MODULES = sorted(Path(app.dialplan.__file__).parent.glob("*.py"))


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.name)
def test_a_module_imports_nothing_impure(path: Path) -> None:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names.update(each.name for each in node.names)
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module or "")
    assert not {name for name in names if name.split(".")[0] in FORBIDDEN}
    assert not {name for name in names if name.startswith(OTHER_LAYERS)}
