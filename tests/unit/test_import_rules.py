"""Who may know whom (CONTRIBUTING.md): the program never knows the lab, the lab not the program."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parents[2]
PROGRAM = {"components", "operations", "settings", "setting_values", "database_settings"}
OUTSIDE = {"lab", "bench", "tests", "tools"}
RULES = {
    "__main__.py": OUTSIDE | {"operations"},
    "settings.py": OUTSIDE | {"components", "operations"},  # it reads its values through Pulumi
    "setting_values.py": OUTSIDE | {"components", "operations", "pulumi"},
    "database_settings": OUTSIDE | {"components", "operations", "pulumi"},
    "components": OUTSIDE | {"operations"},
    "components/commands": OUTSIDE | {"operations", "pulumi", "pulumi_command", "pulumi_docker"},
    "operations": OUTSIDE | {"pulumi"},
    "images": OUTSIDE | PROGRAM | {"pulumi"},
    "lab": PROGRAM | {"bench", "tests", "tools"},
    "bench": {"tests", "tools"},
    "tools": {"tests", "bench"},
}


def imported(file: Path) -> set[str]:
    """Top-level names of what a file imports, wherever in it."""
    names = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.partition(".")[0])
    return names


@pytest.mark.parametrize("room", sorted(RULES))
def test_a_room_imports_nothing_that_it_must_not_know(room: str) -> None:
    path = ROOT / room
    files = sorted(path.rglob("*.py")) if path.is_dir() else [path]
    assert files
    found = {str(file.relative_to(ROOT)): imported(file) & RULES[room] for file in files}
    assert {name: names for name, names in found.items() if names} == {}


def test_the_rules_see_an_import_that_is_not_at_the_top(tmp_path: Path) -> None:
    file = tmp_path / "late.py"
    file.write_text("def late() -> None:\n    from lab.api import server\n    import bench.report\n")
    assert imported(file) == {"lab", "bench"}
