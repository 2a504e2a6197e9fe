"""The package that other programs install: what is in it, under which names, and that it stands alone."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.packaged import installed
from tests.unit.program import ROOT
from tools.package import __main__ as command
from tools.package import mapping, top

pytestmark = pytest.mark.unit


@pytest.fixture(scope="module")
def package() -> Path:
    return installed() / "swarm_galera"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("from components import galera\n", "from swarm_galera.components import galera\n"),
        ("from components.galera import (\n    Galera,\n)\n", None),
        ("import settings as stack_settings\n", "import swarm_galera.settings as stack_settings\n"),
        ("import os, settings.values as v\n", "import os, swarm_galera.settings.values as v\n"),
        ("if 1:\n    from  operations.cli import main\n", None),
        ("x = 'ü'; from settings import parse\n", "x = 'ü'; from swarm_galera.settings import parse\n"),
        ("from . import settings\n", "from . import settings\n"),
        ("from .components import x\n", "from .components import x\n"),
        ("from settings_of_others import x\nimport components_too\n", "same"),
        ('text = """\nfrom components import x\n"""\n', "same"),
        ('remedy = "run `python -m operations up`"\n', 'remedy = "run `swarm-galera up`"\n'),
    ],
)
def test_only_absolute_imports_of_the_programs_folders_get_the_packages_name(
    before: str, after: str | None
) -> None:
    expected = {
        None: before.replace("from components", "from swarm_galera.components").replace(
            "from  operations", "from  swarm_galera.operations"
        ),
        "same": before,
    }.get(after, after)
    assert mapping.mapped(before) == expected


@pytest.mark.parametrize("text", ["import components\n", "def f():\n    import os, settings.values\n"])
def test_an_import_that_would_bind_another_name_is_refused(text: str) -> None:
    with pytest.raises(mapping.CannotBeMapped, match=r"a\.py, line \d: `import .*` binds .* Remedy: `from"):
        mapping.mapped(text, "a.py")


def imports(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and not node.level:
            yield str(node.module)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def test_nothing_in_it_imports_what_only_a_checkout_has(package: Path) -> None:
    folders = {path.name for path in ROOT.iterdir() if path.is_dir()} | {"tools"}
    for room in mapping.CODE:
        for file in (package / room).rglob("*.py"):
            found = {name.partition(".")[0] for name in imports(file)}
            assert not found & folders, file


def test_all_that_is_no_python_is_in_it_as_it_is(package: Path) -> None:
    kept = [
        file
        for room in (*mapping.CODE, mapping.IMAGES)
        for file in (ROOT / room).rglob("*")
        if file.is_file() and "__pycache__" not in file.parts and (room == "images" or file.suffix != ".py")
    ]
    for known in (
        *("components/host_scripts/prologue.sh", "operations/host_scripts/balance_client.sh"),
        *("settings/database/time_zones.txt", "images/galera/TAG", "images/galera/galera-node"),
    ):
        assert ROOT / known in kept
    for file in kept:
        copy = package / file.relative_to(ROOT)
        assert copy.read_bytes() == file.read_bytes(), file
        assert copy.stat().st_mode & 0o111 == file.stat().st_mode & 0o111, file


def test_it_works_beside_modules_of_the_same_names_and_without_the_checkout(tmp_path: Path) -> None:
    """As in a project that has a `settings.py` and a `components` of its own."""
    for name in mapping.CODE:
        (tmp_path / f"{name}.py").write_text("raise AssertionError('somebody else is asked')\n")
    program = (
        f"import sys; sys.path[:0] = [{str(tmp_path)!r}, {str(installed())!r}]\n"
        "from swarm_galera import image, settings\n"
        "from swarm_galera.components import data_layer, own_server, stack_outputs\n"
        "from swarm_galera.components.host_scripts import shell\n"
        "from swarm_galera.operations import cli, pulumi_cli\n"
        "from swarm_galera.settings.database import server_options\n"
        "assert shell.body('prologue') and server_options.TIME_ZONES\n"
        "print(pulumi_cli.CHECKOUT, image('galera', 'reg.example/mine/'))\n"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", program],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    tag = (ROOT / "images/galera/TAG").read_text().strip()
    assert (done.stdout, done.stderr) == (f"{tmp_path} reg.example/mine/galera:{tag}\n", "")


def test_an_image_is_named_with_the_tag_of_its_folder(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(top, "IMAGES", package / "images")
    tag = (ROOT / "images/etcd/TAG-bookworm").read_text().strip()
    assert top.image("etcd", "reg.example", "bookworm") == f"reg.example/etcd:{tag}"
    with pytest.raises(
        ValueError, match=r"no image mysql for Debian 13.*name one of .*consul, .*etcd, galera"
    ):
        top.image("mysql", "reg.example")
    with pytest.raises(ValueError, match=r"no image galera for buster.*; a system, if any, of bookworm$"):
        top.image("galera", "reg.example", "buster")


def test_it_requires_what_is_tested_and_leaves_others_room() -> None:
    text = "# why\npulumi==3.245.0   # the SDK\npulumi-docker==5.2.0\nPyYAML==6.0.3 # files\ntyper==0.29.2\n"
    assert mapping.dependencies(text) == [
        "pulumi==3.245.0",
        "pulumi-docker==5.2.0",
        "PyYAML>=6.0.3,<7",
        "typer>=0.29.2,<1",
    ]
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    wanted = [line for line in lines if line and not line.startswith("#")]
    assert len(mapping.dependencies("\n".join(lines))) == len(wanted)


def test_a_folder_that_has_one_already_is_left_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command.main([str(tmp_path)]) == 0
    assert (tmp_path / "swarm_galera/py.typed").exists()
    assert command.main([str(tmp_path)]) == 1
    assert "swarm_galera is there already. Remedy" in capsys.readouterr().err
    assert command.main([]) == command.main(["--help"]) == 2
