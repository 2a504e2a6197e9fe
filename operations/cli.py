"""The command line of the operations: `python -m operations COMMAND`.

Owns: which modules bring commands, and how an error reaches the user. Leaves to others: the commands.
Each module of commands has a `register(app)` that adds its own; a further one is a word in `build`.
"""

from __future__ import annotations

import sys

import typer

from operations import backup, balance, docker_env, grow_disks, maintenance, pause, ssh_files, stack, verify
from operations.account import audit
from operations.outage import last_one, recover
from operations.replace import command as replace
from operations.restore import command as restore
from operations.restore import drill
from operations.unlock import locked
from operations.upgrade import hosts as upgrade_hosts
from settings.errors import UserError


def build() -> typer.Typer:
    """The whole command line."""
    app = typer.Typer(
        help="Operate a stack of swarm-galera: any stack, in the lab or on a real account.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
    )
    for module in (
        stack,
        replace,
        maintenance,
        pause,
        upgrade_hosts,
        grow_disks,
        audit,
        verify,
        balance,
        backup,
        ssh_files,
        docker_env,
        locked,
        last_one,
        recover,
        restore,
        drill,
    ):
        module.register(app)
    return app


def main() -> None:
    """Run the command line; a UserError is one message and exit code 1. A bug shows its traceback."""
    try:
        build()()
    except UserError as error:
        print(f"Error: {error}", file=sys.stderr)
        raise SystemExit(1) from None
