"""docs/reference/commands.md, from the command lines themselves.

Owns: how a command reads. Leaves to others: the commands (operations, lab, images, Makefile).
"""

from __future__ import annotations

import ast
import inspect
import re
from pathlib import Path
from typing import Any

import typer

from lab import cli as lab_cli
from operations import cli as operations_cli
from tools.docs.markdown import table

HEAD = """# Commands

<!-- Written by `python -m tools.docs`; change the commands' own help instead. -->

The programs in the checkout run by the virtual environment's Python: `.venv/bin/python -m …`. Exit codes: 0
if all went well, 1 for an error that says what to do (or a no to a question), 2 for options that a command
does not have, 130 after Ctrl-C, and what a command says of itself.
"""
CONTAINERS = (
    ("galera-node", "images/galera/galera_node/cli.py", "In a container of the database"),
    ("etcd-member", "images/etcd/etcd_member/cli.py", "In a container of the store"),
    (
        "consul-member",
        "images/consul/consul_member/cli.py",
        "In a container of the store, where that is Consul",
    ),
)


def text(checkout: Path) -> str:
    """The whole page."""
    parts = [
        HEAD,
        _make(checkout / "Makefile"),
        _program("python -m operations", operations_cli.build()),
        _program("python -m lab", lab_cli.app),
        *(_container(name, checkout / file, where) for name, file, where in CONTAINERS),
    ]
    return "\n".join(parts)


def _make(makefile: Path) -> str:
    rows = []
    written = makefile.read_text(encoding="utf-8")
    for names, said in re.findall(r"^([a-z -]+):.*?## (.*)$", written, re.MULTILINE):
        rows.append((" ".join(f"`{name}`" for name in names.split()), said))
    options = "`LAB=NAME` and `STACK=NAME` name another lab or stack than `dev`."
    return f"## `make`\n\n{options}\n\n{table(('target', 'what it does'), rows)}\n"


def _program(call: str, app: typer.Typer) -> str:
    group: Any = typer.main.get_command(app)
    lines = [f"## `{call}`", "", str(group.help or ""), ""]
    for path, command in _commands(group, ()):
        heading = " ".join((call.rsplit(maxsplit=1)[-1], *path, *_arguments(command)))
        lines += [f"### `{heading}`", "", _help(command), ""]
        if rows := _parameters(command):
            lines += [table(("option", "default", "what it does"), rows), ""]
    return "\n".join(lines)


def _commands(group: Any, path: tuple[str, ...]) -> list[tuple[tuple[str, ...], Any]]:
    found: list[tuple[tuple[str, ...], Any]] = []
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            found += _commands(command, (*path, name))
        elif not command.hidden:
            found.append(((*path, name), command))
    return found


def _arguments(command: Any) -> list[str]:
    given = [each for each in command.params if each.param_type_name == "argument"]
    return [_word(each) if each.required else f"[{_word(each)}]" for each in given]


def _word(given: Any) -> str:
    """What stands for its value: as its own help has it, without the brackets of one that may be left out."""
    return str(given.metavar or given.name.upper().replace("_", "-")).strip("[]")


def _help(command: Any) -> str:
    return inspect.cleandoc(command.help or "")


def _parameters(command: Any) -> list[tuple[str, str, str]]:
    rows = []
    for each in command.params:
        said = getattr(each, "help", None) or ""
        if each.envvar:
            said += f" (environment: `{each.envvar}`)"
        if each.param_type_name == "argument":
            if said:
                rows.append((f"`{_word(each)}`", "", said))
            continue
        value = "" if each.is_flag else f" {_word(each)}"
        names = ", ".join(f"`{name}{value}`" for name in (*each.opts, *each.secondary_opts))
        rows.append((names, _default(each), said))
    return rows


def _default(option: Any) -> str:
    if option.required:
        return "required"
    if option.default is None or option.default is False or option.default == "" or callable(option.default):
        return ""
    return f"`{option.default}`" if option.default is not True else f"`{option.opts[0]}`"


def _container(name: str, file: Path, where: str) -> str:
    return f"## `{name}`\n\n{where}: `docker exec CONTAINER {name} …`.\n\n```text\n{usage(file)}\n```\n"


def usage(file: Path) -> str:
    """The text of the constant USAGE in a file that is not imported, because it is for a container."""
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        match node:
            case ast.Assign(targets=[ast.Name(id="USAGE")], value=value):
                return str(ast.literal_eval(value))
    raise LookupError(f"{file} has no constant USAGE: its command line cannot be documented")
