"""`recover`: after an outage in which the cluster does not form by itself, what there is, and what to choose.

Owned here: the command, the table, asking, and telling the nodes what was chosen. Left to others: what each
way would lose (recovery.py), and doing it (`galera-node forget`, `galera-node recover-from`); a lost majority
of swarm and store (last_one.py).
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from operations import node_program, notes, outputs
from operations.errors import OperationsError
from operations.options import StackOption
from operations.outage import recovery
from operations.outage.recovery import Outage, Way
from operations.outputs import Outputs
from operations.remote_hosts import connected


def register(app: typer.Typer) -> None:
    """Add the command of this module."""
    app.command()(recover)


def recover(
    source: Annotated[
        str, typer.Option("--from", metavar="NODE", help="Restart from the data of this node.")
    ] = "",
    forget: Annotated[
        list[str] | None, typer.Option("--forget", metavar="NODE", help="Give this node up; repeatable.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for machines, and do nothing.")] = False,
    stack: StackOption = "dev",
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Without asking first.")] = False,
) -> None:
    """After an outage: what each node has, and what each way out would lose. Changes nothing by itself.

    With --from or --forget, what a person has chosen is told to the nodes, and kept in the store with who
    and when.
    """
    found = outputs.of_stack(stack)
    found.require_data(stack, "recover")
    asyncio.run(_recover(found, source, forget or [], as_json, yes))


async def _recover(found: Outputs, source: str, forget: Sequence[str], as_json: bool, yes: bool) -> None:
    async with connected(found) as hosts:
        answers = await hosts.run_all(dict.fromkeys(found.members, recovery.look(found)))
        outage = recovery.read(answers)
        ways = recovery.ways(outage)
        if as_json:
            typer.echo(json.dumps({**asdict(outage), "ways": [asdict(way) for way in ways]}, indent=2))
            return
        show(outage, ways)
        if not source and not forget:
            return
        if why := recovery.refusal(outage, source, forget):
            raise OperationsError(f"Nothing was told to the nodes: {why}.")
        chosen = f"--from {source}" if source else " ".join(f"--forget {name}" for name in forget)
        lost = recovery.price(outage, source, forget)
        typer.echo(f"You choose: {chosen}. It may lose: {lost or 'nothing that is known'}.")
        if not yes and not typer.confirm("Is that what you want?"):
            typer.echo("Nothing was changed.")
            raise typer.Exit(1)
        by = next(node.name for node in outage.nodes if node.runs)
        for words in _words(source, forget):
            typer.echo(await node_program.tell(hosts, found, by, *words, "--by", notes.somebody()))


def _words(source: str, forget: Sequence[str]) -> list[tuple[str, str]]:
    return [("recover-from", source)] if source else [("forget", name) for name in forget]


def show(outage: Outage, ways: Sequence[Way]) -> None:
    """For people."""
    console = Console()

    def say(text: str) -> None:
        console.print(escape(text), highlight=False, soft_wrap=True)

    table = Table(title="What each node has", title_justify="left")
    for heading in ("node", "state", "UUID", "seqno", "epoch", "safe_to_bootstrap", "published", "written"):
        table.add_column(heading, overflow="fold")
    for node in outage.nodes:
        state = node.away or node.words or ("runs" if node.runs else "no container runs")
        data = "a copy that never ended" if node.partial else node.uuid or "none"
        table.add_row(
            node.name,
            escape(f"forgotten: {state}" if node.forgotten else state),
            data if not node.away else "unknown",
            str(node.seqno) if node.seqno >= 0 else "unknown",
            node.epoch or ("the first" if node.uuid else ""),
            "yes" if node.safe else "no",
            "never" if node.published is None else f"{node.published} {node.published_at}".strip(),
            node.written,
        )
    console.print(table)
    if outage.view:
        say(f"Last Primary component: {', '.join(outage.view)}; epoch {outage.epoch or 'the first'}.")
    if outage.chosen:
        say(f"A person has chosen already: the cluster restarts from the data of {outage.chosen}.")
    for each in outage.decided:
        lost = f"; left behind: {each['lost']}" if each.get("lost") else ""
        say(f"Decided {each.get('at')} by {each.get('by')}: {each.get('what')}{lost}.")
    if outage.serving:
        say(f"{', '.join(outage.serving)} serves in a Primary component: there is nothing to recover.")
    elif outage.store:
        say(
            f"The store does not answer: {outage.store}. Nobody restarts the cluster without it. Bring a "
            "majority of the managers back; if it is lost for good: `python -m operations survive --host "
            "NODE`."
        )
    for number, way in enumerate(ways, 1):
        say(f"{number}. {way.what}")
        say(f"   loses: {way.loses or 'nothing'}")
        if way.command:
            say(f"   python -m operations {way.command}")
