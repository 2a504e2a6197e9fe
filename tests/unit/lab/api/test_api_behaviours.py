"""The table of SoftLayer's behaviours names tests that exist, so that anybody can audit it."""

from __future__ import annotations

import ast
import re

import pytest

from lab.toolchain import places

pytestmark = pytest.mark.unit

DOCUMENT = places.CHECKOUT / "docs" / "reference" / "softlayer-api.md"
ROW = re.compile(r"^\| (\d+) \| (.+?) \| (.+) \|$", re.MULTILINE)
NAME = re.compile(r"`([\w/]+\.py)::(\w+)`")


def functions_of(file: str) -> set[str]:
    path = places.CHECKOUT / "tests" / file
    body = ast.parse(path.read_text(encoding="utf-8")).body if path.is_file() else []
    return {node.name for node in body if isinstance(node, ast.FunctionDef)}


def test_all_behaviours_are_in_the_table_and_each_names_its_tests() -> None:
    rows = ROW.findall(DOCUMENT.read_text(encoding="utf-8"))
    assert len(rows) >= 38
    assert [int(number) for number, _, _ in rows] == list(range(1, len(rows) + 1))
    assert all(NAME.search(pinned) for _, _, pinned in rows)


def test_every_test_that_the_document_names_exists() -> None:
    named = NAME.findall(DOCUMENT.read_text(encoding="utf-8"))
    assert [f"{file}::{name}" for file, name in named if name not in functions_of(file)] == []
