"""Whoever sees a row of `verify` red finds it in docs/how-to/verify.md."""

from __future__ import annotations

import ast
from collections.abc import Iterator

import pytest

from lab.toolchain import places

pytestmark = pytest.mark.unit
MADE_BY = {"Check": 1, "leads_to_serving": 1, "Sentence": 0}
"""What makes a row, and which of its arguments says what must hold."""
FOLDERS = ("operations/checks", "operations/deep", "images/galera/galera_node/archive")


def rows(module: ast.Module) -> Iterator[str]:
    """The words of each row: of what is put together, the longest part that is always the same."""
    given: dict[str, list[ast.expr]] = {}
    for node in ast.walk(module):
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            given.setdefault(node.targets[0].id, []).append(node.value)
    for node in ast.walk(module):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name | ast.Attribute):
            name = node.func.id if isinstance(node.func, ast.Name) else node.func.attr
            if name in MADE_BY and len(node.args) > MADE_BY[name]:
                yield from words(node.args[MADE_BY[name]], given)


def words(said: ast.expr, given: dict[str, list[ast.expr]]) -> Iterator[str]:
    """Those of one expression; none of what only a run knows."""
    match said:
        case ast.Constant(value=str(text)):
            yield text
        case ast.JoinedStr(values=parts):
            yield max((str(part.value) for part in parts if isinstance(part, ast.Constant)), key=len)
        case ast.IfExp(body=one, orelse=other):
            yield from words(one, given)
            yield from words(other, given)
        case ast.Name(id=name):
            for value in given.get(name, ()):
                yield from words(value, {})


def test_every_row_of_verify_is_on_its_page() -> None:
    page = (places.CHECKOUT / "docs/how-to/verify.md").read_text(encoding="utf-8")
    text = " ".join(page.split())
    files = [file for folder in FOLDERS for file in sorted((places.CHECKOUT / folder).glob("*.py"))]
    found = {row for file in files for row in rows(ast.parse(file.read_text(encoding="utf-8")))}
    assert len(found) > 60
    assert sorted(row for row in found if row.strip() not in text) == []
