"""Who may know whom (CONTRIBUTING.md): the program never knows the lab, the lab not the program."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parents[2]
PROGRAM = {"components", "operations", "settings"}
OUTSIDE = {"lab", "bench", "chaos", "harness", "tests", "tools"}
RULES = {
    "__main__.py": OUTSIDE | {"operations"},
    "settings/__init__.py": OUTSIDE | {"components", "operations"},  # it reads its values through Pulumi
    "settings/all_hosts.py": OUTSIDE | {"components", "operations", "pulumi"},
    "settings/application.py": OUTSIDE | {"components", "operations", "pulumi"},
    "settings/archive.py": OUTSIDE | {"components", "operations", "pulumi"},
    "settings/backup.py": OUTSIDE | {"components", "operations", "pulumi"},
    "settings/bootstrap_from.py": OUTSIDE | {"components", "operations", "pulumi"},
    "settings/engine_options.py": OUTSIDE | {"components", "operations", "pulumi"},
    "settings/errors.py": OUTSIDE | {"components", "operations", "pulumi"},
    "settings/galera.py": OUTSIDE | {"components", "operations", "pulumi"},
    "settings/layers.py": OUTSIDE | {"components", "operations", "pulumi"},
    "settings/load_balancer.py": OUTSIDE | {"components", "operations", "pulumi"},
    "settings/model.py": OUTSIDE | {"components", "operations", "pulumi"},
    "settings/origins.py": OUTSIDE | {"components", "operations", "pulumi"},
    "settings/own_hosts.py": OUTSIDE | {"components", "operations", "pulumi"},
    "settings/planned.py": OUTSIDE | {"components", "operations", "pulumi"},
    "settings/pools.py": OUTSIDE | {"components", "operations", "pulumi"},
    "settings/rules.py": OUTSIDE | {"components", "operations", "pulumi"},
    "settings/section.py": OUTSIDE | {"components", "operations", "pulumi"},
    "settings/server.py": OUTSIDE | {"components", "operations", "pulumi"},
    "settings/server_values.py": OUTSIDE | {"components", "operations", "pulumi"},
    "settings/servers.py": OUTSIDE | {"components", "operations", "pulumi"},
    "settings/values.py": OUTSIDE | {"components", "operations", "pulumi"},
    "settings/database": OUTSIDE | {"components", "operations", "pulumi"},
    "components": OUTSIDE | {"operations"},
    "components/accounts/names.py": OUTSIDE | {"operations", "pulumi", "pulumi_command", "pulumi_docker"},
    "components/accounts/quoting.py": OUTSIDE | {"operations", "pulumi", "pulumi_command", "pulumi_docker"},
    "components/accounts/rights.py": OUTSIDE | {"operations", "pulumi", "pulumi_command", "pulumi_docker"},
    "components/accounts/statements.py": OUTSIDE
    | {"operations", "pulumi", "pulumi_command", "pulumi_docker"},
    "components/host_scripts": OUTSIDE | {"operations", "pulumi", "pulumi_command", "pulumi_docker"},
    "components/service_spec.py": OUTSIDE | {"operations", "pulumi", "pulumi_command", "pulumi_docker"},
    "components/swarm_ports.py": OUTSIDE | {"operations", "pulumi", "pulumi_command", "pulumi_docker"},
    "operations": OUTSIDE | {"pulumi"},
    "images": OUTSIDE | PROGRAM | {"pulumi"},
    "lab": PROGRAM | {"bench", "chaos", "harness", "tests", "tools"},
    "harness": {"bench", "chaos", "tests", "tools"},
    "bench": {"chaos", "tests", "tools"},
    "chaos": {"tests", "tools"},
    "tools": {"tests", "bench", "chaos", "harness"},
    # They have the package only.
    "examples/composed": OUTSIDE | PROGRAM,
    "plugin": OUTSIDE | PROGRAM,
}


def imported(file: Path) -> set[str]:
    """The modules that a file imports, wherever in it."""
    names = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module)
    return names


def forbidden(file: Path, room: str) -> set[str]:
    """What a file imports against the rules of its room."""
    names = imported(file)
    return {name for name in names if name.partition(".")[0] in RULES[room]}


@pytest.mark.parametrize("room", sorted(RULES))
def test_a_room_imports_nothing_that_it_must_not_know(room: str) -> None:
    path = ROOT / room
    found = sorted(path.rglob("*.py")) if path.is_dir() else [path]
    files = [file for file in found if ".venv" not in file.relative_to(ROOT).parts]
    assert files
    broken = {str(file.relative_to(ROOT)): forbidden(file, room) for file in files}
    assert {name: names for name, names in broken.items() if names} == {}


def test_the_rules_see_an_import_that_is_not_at_the_top(tmp_path: Path) -> None:
    file = tmp_path / "late.py"
    file.write_text("def late() -> None:\n    from lab.api import server\n    import bench.report\n")
    assert imported(file) == {"lab.api", "bench.report"}
    assert forbidden(file, "components") == {"lab.api", "bench.report"}
    assert forbidden(file, "bench") == set()
