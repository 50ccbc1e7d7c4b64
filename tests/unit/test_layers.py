"""Rules of the source that import-linter does not know: pure modules, a first sentence, bearable sizes."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCES = sorted(path for folder in ("app", "ui", "packaging") for path in (ROOT / folder).rglob("*.py"))
MAXIMUM_FILE_LINES = 800
MAXIMUM_FUNCTION_LINES = 70

IMPURE = {"asyncio", "socket", "ssl", "threading", "time", "sqlalchemy", "selectors", "multiprocessing", "subprocess"}
PURE = [
    "app/records/*.py",
    "app/events.py",
    "app/errors.py",
    "app/clock.py",
    "app/hosts.py",
    "app/dialplan/*.py",
    "app/sip/uri.py",
    "app/sip/flow.py",
    "app/sip/headers.py",
    "app/sip/message.py",
    "app/sip/validation.py",
    "app/sip/framing.py",
    "app/sip/transaction*.py",
    "app/sip/dialog.py",
    "app/sip/auth.py",
    "app/media/sdp.py",
    "app/media/rtp.py",
    "app/media/quality.py",
    "app/calls/call.py",
    "app/calls/guard.py",
    "app/calls/metrics.py",
]
"""Modules whose time is an argument and which do no input or output."""


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def imported(tree: ast.AST) -> set[str]:
    """The top-level packages that a module imports, wherever in it."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names.update(alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.partition(".")[0])
    return names


@pytest.mark.parametrize("pattern", PURE)
def test_pure_modules_have_no_clock_and_no_io(pattern: str) -> None:
    paths = sorted(ROOT.glob(pattern))
    assert paths, f"{pattern} names no module any more"
    for path in paths:
        found = imported(ast.parse(path.read_text(encoding="utf-8"))) & IMPURE
        assert not found, f"{name_of(path)} imports {', '.join(sorted(found))}"


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_module_says_what_it_owns_and_stays_small(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    tree = ast.parse(text)
    if tree.body:
        assert ast.get_docstring(tree), "the module does not say in one sentence what it owns"
    assert text.count("\n") <= MAXIMUM_FILE_LINES
    if path.parent.name == "versions":  # a migration is one long list of tables
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            assert lines <= MAXIMUM_FUNCTION_LINES, f"{node.name} (line {node.lineno}) has {lines} lines"
