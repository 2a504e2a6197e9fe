"""`restore`: the whole cluster, or one database or table beside it, as it was.

Owned here: the command and what its options exclude. Left to others: the whole cluster (whole.py),
what goes beside the running one (beside.py), the drill (drill.py).
"""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from operations import outputs
from operations.backup import with_backup
from operations.errors import OperationsError
from operations.options import StackOption
from operations.restore import beside as restore_beside
from operations.restore import whole as restore_whole
from operations.restore.plan import IdentityOption, Wish, private_key, refuse_names

TimelineOption = Annotated[
    str, typer.Option("--timeline", help="Another timeline of the archive than the cluster's present one.")
]


def register(app: typer.Typer) -> None:
    """Add the command of this module."""
    app.command()(restore)


def restore(
    to: Annotated[
        str, typer.Option("--to", help="'2026-11-28 14:32:10' (UTC), a GTID like 1-1-51288, or latest.")
    ] = "",
    into: Annotated[
        str, typer.Option("--into", help="Beside the running one: a new database, or a new DATABASE.TABLE.")
    ] = "",
    what: Annotated[
        str,
        typer.Option("--what", help="With --into: which DATABASE or DATABASE.TABLE. Default: the stack's."),
    ] = "",
    node: Annotated[str, typer.Option("--node", help="Which node is loaded. Default: the most room.")] = "",
    timeline: TimelineOption = "",
    identity: IdentityOption = "",
    undo: Annotated[bool, typer.Option("--undo", help="Back to the data of before the restore.")] = False,
    done: Annotated[bool, typer.Option("--done", help="The data of before is needed no more.")] = False,
    stack: StackOption = "dev",
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Without asking first.")] = False,
) -> None:
    """Restore the cluster to a moment, a transaction or the archive's end; exit code 0 once it has formed.

    The plan (which backup, which logs, which position, what is lost) is shown and asked about before anything
    is touched. Then all nodes stop, one is loaded, and the others take full copies. The data of before stays
    on the nodes until --done, and comes back with --undo. Interrupted, the same command goes on.
    """
    _refuse_contradictions(to, into, what, undo, done)
    if undo or done:
        # Neither needs the archive: the section `backup` may have gone meanwhile.
        found = outputs.of_stack(stack)
        found.require_data(stack, "restore")
        asyncio.run((restore_whole.undo if undo else restore_whole.done)(found, yes))
        return
    found = with_backup(stack, "restore")
    key, wish = private_key(identity), Wish(to, timeline, node)
    if into:
        asyncio.run(restore_beside.beside(found, wish, key, (what or found.database, into), yes))
    else:
        asyncio.run(restore_whole.whole(found, wish, key, yes))


def _refuse_contradictions(to: str, into: str, what: str, undo: bool, done: bool) -> None:
    """Raise OperationsError for options that are not one wish: none is passed over."""
    if sum(map(bool, (undo, done, to or into or what))) > 1:
        raise OperationsError("--to, --undo and --done exclude each other; --into and --what go with --to.")
    if what and not into:
        raise OperationsError(
            f"--what {what} without --into would restore the whole cluster. Remedy: say what it is to be "
            f"called beside the running one (--into {what}_before); for the whole cluster, leave --what out."
        )
    if into:
        refuse_names(what, into)
