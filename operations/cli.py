"""The command line of the operations: `python -m operations COMMAND`.

Owned here: which modules bring commands, and how an error reaches the user. Left to others: the commands.
Each module in COMMANDS has a `register(app)` that adds its own; a further one is a line here.
"""

from __future__ import annotations

import importlib
import sys
from typing import Protocol, cast

import typer

from components.errors import UserError

COMMANDS = (
    "operations.stack",
    "operations.audit",
    "operations.verify",
    "operations.ssh_files",
    "operations.last_one",
)


class CommandModule(Protocol):
    """What a module of commands offers."""

    def register(self, app: typer.Typer) -> None:
        """Add the module's commands to `app`."""


def build() -> typer.Typer:
    """The whole command line."""
    app = typer.Typer(
        help="Operate a stack of swarm-galera: any stack, in the lab or on a real account.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
    )
    for name in COMMANDS:
        cast(CommandModule, importlib.import_module(name)).register(app)
    return app


def main() -> None:
    """Run the command line; a UserError is one message and exit code 1. A bug shows its traceback."""
    try:
        build()()
    except UserError as error:
        print(f"Error: {error}", file=sys.stderr)
        raise SystemExit(1) from None
