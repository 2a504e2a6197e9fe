"""`balance`: how new connections spread over the nodes, seen from where applications are. Changes nothing.

Owns: the command, the ways that are tried, what the client does, the bars and the JSON.
Leaves to others: the client's container (facts/cluster.py), whether the cluster is well (`verify`).
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from components.host_scripts.shell import assign, body
from operations import outputs
from operations.errors import OperationsError
from operations.facts import cluster as cluster_facts
from operations.messages import say
from operations.options import StackOption
from operations.outputs import Outputs
from operations.remote_hosts import SCRIPTS, RemoteHosts, connected, first_reachable

HOPELESS = 3
"""Connections in a row that fail, after which no further one is tried."""
SECONDS_EACH = 3.0
"""For each connection, on hosts short of CPU; those that wait in vain come on top."""
SECONDS_BESIDES = 120.0
"""For the client's container, and for `HOPELESS` connections that are waited for in vain."""
WIDEST = 30
"""Characters of the longest bar."""


def open_connections(outputs: Outputs, host: str, port: int, connections: int, hopeless: int) -> str:
    """Shell text for a manager: a client in a container of its own connects so many times, one after the
    other, and prints which node it got: `node<TAB>name<TAB>address`, or `failed<TAB>why`.

    It ends early after `hopeless` failures in a row. Standard input: the password.
    """
    facts = assign(connections=connections, hopeless=hopeless)
    return f"{cluster_facts.client_container(outputs, outputs.network, host, port)}\n{facts}\n{_BALANCE}"


_BALANCE = body("balance_client", SCRIPTS)


def register(app: typer.Typer) -> None:
    """Add the command of this module."""
    app.command()(balance)


def balance(
    stack: StackOption = "dev",
    connections: Annotated[int, typer.Option(min=1, max=1000, help="How many to open on each way.")] = 30,
    reader: Annotated[
        bool, typer.Option("--reader", help="Only through the load balancer's port for readers.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for machines instead of bars.")] = False,
) -> None:
    """Open connections as an application would, and show which node each one got.

    They are opened one after the other on the overlay network, from a container on a manager: through the
    database's virtual IP and, in a stack with a load balancer, through its port for readers. Exit code 1 if
    one of them failed.
    """
    found = outputs.of_stack(stack)
    found.require_data(stack, "balance")
    spreads = asyncio.run(measured(found, ways(found, stack, reader), connections))
    if as_json:
        print(json.dumps(as_machines_read(stack, spreads), indent=2))
    else:
        show(spreads, found.members)
    if any(spread.failed for spread in spreads):
        raise typer.Exit(1)


@dataclass(frozen=True)
class Way:
    """Where connections are opened to. name: in words."""

    name: str
    host: str
    port: int


@dataclass(frozen=True)
class Spread:
    """How connections spread.

    Attributes:
        way: the one they took.
        nodes: how many each node got, by its name and its address.
        failed: the last words of those that failed.
    """

    way: Way
    nodes: Mapping[tuple[str, str], int]
    failed: Sequence[str] = ()

    @property
    def opened(self) -> int:
        """Those that reached a node."""
        return sum(self.nodes.values())


def ways(found: Outputs, stack: str, reader: bool) -> list[Way]:
    """What is to be tried. Raises OperationsError where there is no load balancer to ask."""
    balancer = found.balancer
    through = [] if reader else [Way("the database's virtual IP", found.vip, found.port)]
    if balancer is not None:
        through.append(Way("the load balancer, for readers", balancer.vip, balancer.reader_port))
    if not through:
        raise OperationsError(
            f"Stack {stack} has no load balancer, so there is no port for readers. Leave --reader out: then "
            "the connections go through the database's virtual IP."
        )
    return through


async def measured(found: Outputs, through: Sequence[Way], connections: int) -> list[Spread]:
    """How connections spread on each way. Raises OperationsError if none reaches a node."""
    async with connected(found) as hosts:
        manager = first_reachable(found.managers, hosts)
        if manager is None:
            told = "; ".join(f"{name}: {why}" for name, why in hosts.unreachable.items())
            raise OperationsError(
                f"No manager answers, so nothing can connect from inside of the swarm ({told}). Bring one "
                "back; `verify` names what is amiss."
            )
        return [await _spread(hosts, manager, found, way, connections) for way in through]


async def _spread(hosts: RemoteHosts, manager: str, found: Outputs, way: Way, connections: int) -> Spread:
    say(f"{connections} connections from {manager} through {way.name}, {way.host}:{way.port} …")
    text = open_connections(found, way.host, way.port, connections, HOPELESS)
    limit = SECONDS_BESIDES + SECONDS_EACH * connections
    answer = await hosts.run(manager, text, f"{found.app_password}\n", limit)
    if answer.error:
        raise OperationsError(f"No client could be started on {manager}: {answer.error}")
    spread = parse(way, answer.text)
    if not spread.opened:
        last = spread.failed[-1] if spread.failed else "the client said nothing"
        raise OperationsError(
            f"No connection through {way.name} ({way.host}:{way.port}) reached a Synced node: {last}. "
            "`verify` names the nodes that are not Synced and why."
        )
    return spread


def parse(way: Way, text: str) -> Spread:
    """What the client printed."""
    nodes: Counter[tuple[str, str]] = Counter()
    failed = []
    for line in text.splitlines():
        match line.split("\t"):
            case ["node", name, address]:
                nodes[name, address] += 1
            case ["failed", *words]:
                failed.append(" ".join(words) or "no word from the client")
    return Spread(way, nodes, failed)


def as_machines_read(stack: str, spreads: Sequence[Spread]) -> dict[str, object]:
    """For machines."""
    return {
        "stack": stack,
        "ways": [
            {
                "name": spread.way.name,
                "host": spread.way.host,
                "port": spread.way.port,
                "nodes": [
                    {
                        "name": name,
                        "address": address,
                        "connections": count,
                        "share": round(count / spread.opened, 4),
                    }
                    for (name, address), count in sorted(spread.nodes.items())
                ],
                "failed": list(spread.failed),
            }
            for spread in spreads
        ],
    }


def bars(spread: Spread, members: Sequence[str]) -> list[str]:
    """A line for each node, also for members that got nothing."""
    silent = set(members) - {name for name, _ in spread.nodes}
    counts = {**spread.nodes, **{(name, "-"): 0 for name in silent}}
    most = max(counts.values())
    widths = [max(len(key[part]) for key in counts) for part in (0, 1)]
    lines = []
    for (name, address), count in sorted(counts.items()):
        bar = "█" * round(WIDEST * count / most)
        share = f"{count} ({count / spread.opened:.0%})".replace("%", " %")
        lines.append(f"{name:<{widths[0]}}  {address:<{widths[1]}}  {bar}{' ' if bar else ''}{share}")
    return lines


def show(spreads: Sequence[Spread], members: Sequence[str]) -> None:
    """The bars for people, and what failed."""
    console = Console()
    for spread in spreads:
        way = spread.way
        console.print(f"Through {way.name}, {way.host}:{way.port}:", highlight=False)
        for line in bars(spread, members):
            console.print(f"  {line}", highlight=False, markup=False, soft_wrap=True)
        for why, count in Counter(spread.failed).most_common():
            console.print(f"[bold red]  {count} failed:[/] {escape(why)}", highlight=False, soft_wrap=True)
