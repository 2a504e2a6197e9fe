"""`replace`: a host's server is cancelled and ordered anew, in one word.

Owned here: the command. Left to others: when it is refused and all that is done (replacement.py).
"""

from __future__ import annotations

from typing import Annotated

import typer

from operations import session
from operations.options import InterruptBackupOption, StackOption, YesOption
from operations.replace import replacement
from operations.stack import deployed


def register(app: typer.Typer) -> None:
    """Add the command of this module."""
    app.command()(replace)


def replace(
    hosts: Annotated[
        list[str], typer.Argument(metavar="HOST…", help="One or several, as `verify` names them.")
    ],
    interrupt_backup: InterruptBackupOption = False,
    stack: StackOption = "dev",
    yes: YesOption = False,
) -> None:
    """Replace hosts, one after the other: drained, left, cancelled, ordered anew, joined, synced.

    Refused unless all others are well and can do without it. Interrupted, the same command goes on.
    """
    session.require_terminal_or_yes(yes)
    with session.opened(stack) as held:
        replacement.replace_all(held, hosts, yes, deployed, interrupt_backup)
