"""From the checkout's folders to one package: imports among them get its name in front.

In a checkout `components`, `settings` and `operations` are top-level, as in every Pulumi program; beside
other people's packages such names would be anybody's. So an installed one has `swarm_galera.components` and
so on. Renaming them here instead would break stacks that exist: their states name the providers by module
(docs/adr/0024-package.md).

Owns: which files there are, their names and their text; what the package needs.
Leaves to others: the wheel (hatch_build.py). That is where this runs, too: it imports the standard library
only.
"""

from __future__ import annotations

import ast
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
NAME = "swarm_galera"
CODE = ("components", "operations", "settings")
"""Folders whose Python files are mapped. Others of their files are taken as they are."""
IMAGES = "images"
"""What images are built from: as it is, because nothing in it imports the rest."""
TOP = "tools/package/top.py"
COMMAND = ("python -m operations", "swarm-galera")
"""What a person types here, and where the package is installed: messages say it in their remedies."""
OWN_STATE = ("pulumi", "pulumi-command", "pulumi-docker")
"""What is required in just that version: their plugins' versions and a state's content follow from it."""


class CannotBeMapped(Exception):
    """An import that would mean something else with the package's name in front."""


def mapped(text: str, file: str = "") -> str:
    """A module's text with absolute names: of its imports, and of the command in its messages.

    Raises:
        CannotBeMapped: an import binds a top-level name (`import components.galera`).
    """
    lines = text.encode().splitlines(keepends=True)
    for row, column in sorted(_places(ast.parse(text), lines, file), reverse=True):
        line = lines[row]
        lines[row] = line[:column] + f"{NAME}.".encode() + line[column:]
    return b"".join(lines).decode().replace(*COMMAND)


def _places(tree: ast.Module, lines: list[bytes], file: str) -> Iterator[tuple[int, int]]:
    """Row and column, in bytes, of each name to be mapped."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and not node.level and _ours(node.module or ""):
            row = node.lineno - 1
            keyword = re.compile(rb"from\s+").match(lines[row], node.col_offset)
            assert keyword is not None
            yield row, keyword.end()
        elif isinstance(node, ast.Import):
            for alias in node.names:
                if _ours(alias.name) and alias.asname is None:
                    raise CannotBeMapped(
                        f"{file or 'a file'}, line {alias.lineno}: `import {alias.name}` binds a name that "
                        f"the package has not. Remedy: `from … import …`, or `import {alias.name} as …`"
                    )
                if _ours(alias.name):
                    yield alias.lineno - 1, alias.col_offset


def _ours(module: str) -> bool:
    return module.partition(".")[0] in CODE


def sources(checkout: Path = CHECKOUT) -> Iterator[tuple[Path, str]]:
    """Every file of the checkout that is in the package, and its path there."""
    yield checkout / TOP, "__init__.py"
    for room in (*CODE, IMAGES):
        for file in sorted((checkout / room).rglob("*")):
            if file.is_file() and "__pycache__" not in file.parts:
                yield file, file.relative_to(checkout).as_posix()


def write(folder: Path, checkout: Path = CHECKOUT) -> Path:
    """Write the package into a folder, which is made if need be, and return where it is.

    Raises:
        FileExistsError: the folder has one already.
        CannotBeMapped: a module's text.
    """
    package = folder / NAME
    package.mkdir(parents=True)
    # Consumers' mypy reads the types then.
    (package / "py.typed").touch()
    for file, path in sources(checkout):
        target = package / path
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, target)
        if file.suffix == ".py" and path.partition("/")[0] in CODE:
            target.write_text(mapped(file.read_text(encoding="utf-8"), path), encoding="utf-8")
    return package


def dependencies(requirements: str) -> list[str]:
    """What the package requires, from requirements.txt.

    Other packages must be able to live beside it, so of most there is a range: from the version that is
    tested to the next one that may break (`>=3.13.1,<4`).
    """
    found = []
    for line in requirements.splitlines():
        pin = re.match(r"([\w.-]+)==(\d+)(\S*)", line)
        if pin is None:
            continue
        name, major, rest = pin.groups()
        version = f"{major}{rest}"
        found.append(f"{name}=={version}" if name in OWN_STATE else f"{name}>={version},<{int(major) + 1}")
    return found
