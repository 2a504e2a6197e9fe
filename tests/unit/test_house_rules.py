"""No function and no file that is too long to be read in one look (CONTRIBUTING.md)."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parents[2]
FUNCTION, FILE = 60, 350
"""Lines that one may have at most."""
LONG_FILES = ("lab/api/",)
"""Folders whose files may be longer: a service of SoftLayer's API is one file, however much it can do."""


def programs() -> dict[str, str]:
    """The text of every Python file outside of tests, by its path; scripts without a suffix, too."""
    rooms = [path for path in ROOT.iterdir() if path.name != "tests" and not path.name.startswith(".")]
    files = [file for room in rooms for file in ([room] if room.is_file() else room.rglob("*"))]
    found = {}
    for file in files:
        # Examples have environments of their own.
        if not file.is_file() or file.suffix not in ("", ".py") or ".venv" in file.parts:
            continue
        begin = file.read_bytes()[:60].splitlines()[:1]
        if file.suffix == ".py" or (begin and begin[0].startswith(b"#!") and b"python" in begin[0]):
            found[file.relative_to(ROOT).as_posix()] = file.read_text(encoding="utf-8")
    return found


def long_functions(text: str) -> Iterator[str]:
    """Its functions that have too many lines, those inside of others included; decorators do not count."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            if lines > FUNCTION:
                yield f"{node.name}, {lines} lines"


def too_long(files: dict[str, str]) -> list[str]:
    """What breaks the rules, one line each."""
    found = []
    for path, text in sorted(files.items()):
        lines = len(text.splitlines())
        if lines > FILE and not path.startswith(LONG_FILES):
            found.append(f"{path}: {lines} lines")
        found += [f"{path}: {function}" for function in long_functions(text)]
    return found


def test_no_function_has_more_than_60_lines_and_no_file_more_than_350() -> None:
    files = programs()
    assert {"__main__.py", "images/galera/galera-node", "lab/api/server.py"} <= files.keys()
    assert too_long(files) == []


def function(lines: int) -> str:
    return "async def f():\n" + "    pass\n" * (lines - 1)


@pytest.mark.parametrize(
    ("path", "text", "said"),
    [
        ("lab/a.py", function(60), []),
        ("lab/a.py", function(61), ["lab/a.py: f, 61 lines"]),
        ("lab/api/a.py", function(61), ["lab/api/a.py: f, 61 lines"]),
        ("lab/a.py", "class A:\n    def f(self):\n" + "        pass\n" * 60, ["lab/a.py: f, 61 lines"]),
        ("lab/a.py", "1\n" * 350, []),
        ("lab/a.py", "1\n" * 351, ["lab/a.py: 351 lines"]),
        ("lab/api/a.py", "1\n" * 351, []),
    ],
)
def test_what_is_too_long_is_named(path: str, text: str, said: list[str]) -> None:
    assert too_long({path: text}) == said
