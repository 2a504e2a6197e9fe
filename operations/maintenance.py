"""`maintenance`: a node is taken out of both endpoints, with a note, until somebody brings it back.

Owned here: the command, and when it is refused. Left to others: taking it out (node_program.py), what a node
then says to load balancers (images/galera/galera_node/endpoints.py), showing it (checks/galera.py).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from enum import StrEnum
from typing import Annotated

import typer

from operations import node_program, notes, outputs, well
from operations.around_run import care
from operations.around_run.care import Seen
from operations.errors import OperationsError
from operations.messages import say
from operations.notes import Note
from operations.options import StackOption
from operations.remote_hosts import connected


class Word(StrEnum):
    """What is to be."""

    on = "on"
    off = "off"


def register(app: typer.Typer) -> None:
    """Add the command of this module."""
    app.command()(maintenance)


def maintenance(
    host: Annotated[str, typer.Argument(help="The host whose node it is.")],
    word: Annotated[Word, typer.Argument(metavar="on|off")],
    because: Annotated[str, typer.Option("--because", help="Why; `verify` shows it.")] = "",
    stack: StackOption = "dev",
) -> None:
    """Take a node out of both endpoints, or bring it back; it replicates as before.

    Refused while the others could not do without it. It stays so over restarts, and `verify` names it.
    """
    found = outputs.of_stack(stack)
    found.require_data(stack, "maintenance")
    asyncio.run(_maintain(care.look_at(found), host, word, because))


def refusal(seen: Seen, host: str, word: Word) -> str:
    """Why not; empty if it may be."""
    members = seen.outputs.members
    if host not in members:
        return f"{host} has no node of the database; hosts that have: {', '.join(members)}"
    note = notes.read(well.maintained(seen).get(host, ""))
    # Another note in its place, and nobody would know that its server is the new one already.
    if note.why == "replaced":
        return (
            f"{host} is being replaced. `python -m operations replace {host}` goes on, and ends its "
            "maintenance"
        )
    if word == Word.off:
        return ""
    if note.why == "upgraded":
        return f"{host} is being upgraded: `python -m operations upgrade-hosts {host}` goes on"
    return well.refusal(seen, host, "returns")


async def _maintain(looking: Awaitable[Seen], host: str, word: Word, because: str) -> None:
    seen = await looking
    if why := refusal(seen, host, word):
        raise OperationsError(f"{host} stays as it is: {why}.")
    async with connected(seen.outputs) as hosts:
        if word == Word.on:
            note = Note("maintenance", notes.somebody(), notes.now(), text=because)
            await node_program.take_out(hosts, seen, host, note)
            say(
                f"{host} is in maintenance: load balancers send nobody there, and it takes no writes, "
                "unless no other node can serve. It replicates on. "
                f"End it with `python -m operations maintenance {host} off`."
            )
            return
        if host not in well.maintained(seen):
            say(f"{host} is not in maintenance.")
            return
        await node_program.bring_back(hosts, seen, host)
        say(f"Load balancers send clients to {host} once it is Synced.")
