"""`survive`: the majority of the managers is lost for good; one that is left serves again, with all it has.

Owned here: the order of the three parts (swarm, store, database), when it is refused, the lines of progress.
Left to others: what each part does alone (`docker swarm init --force-new-cluster`, `etcd-member
force-new-cluster` or `consul-member force-new-cluster`, `galera-node recover-from`), new hosts
(`refresh`, then `up`).

Every part looks first whether it is needed, so the command may be repeated.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Protocol

import typer

from components.host_scripts.shell import assign, body
from operations import outputs
from operations.errors import OperationsError
from operations.options import StackOption
from operations.outputs import Host, Outputs
from operations.remote_hosts import SCRIPTS, Answer, connected

EVERY = 2.0
"""Seconds between looks."""
TELL = 10.0
"""Seconds between lines of progress."""
OUTCOME = "outcome="
"""What the last line of a part begins with: `done`, `nothing` (it was not needed), or `wait` and why."""
LOCKED_KEY = "locked"
"""The outcome of the look at a manager's key, where it needs the unlock key."""
LOCKED = """\
{name} has a locked key (swarm.autolock), and Docker can't go on alone from one: it would forget the swarm. \
(Autolock can't be turned off first either: that takes a majority.) Nothing was changed. Remedy:
  1. With the disk of any one of {lost}, a majority can be had: start that host as it is, then
     `python -m operations unlock --stack {stack}`. Before you give any host up: swarm.autolock: false, `up`.
  2. Without: save the volumes of {name}; then a new swarm on what it has, by hand, step by step as in
     docs/how-to/autolock.md, "The majority is lost for good". The rows are in its volumes."""


def register(app: typer.Typer) -> None:
    """Add the command of this module."""
    app.command()(survive)


def survive(
    host: Annotated[str, typer.Option("--host", help="The manager that is left and has a database.")],
    stack: StackOption = "dev",
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Without asking first.")] = False,
) -> None:
    """The majority is lost for good: HOST serves again, alone. Refused while a majority answers."""
    found = outputs.of_stack(stack)
    found.require_data(stack, "survive")
    survivor = of(found, host)
    asyncio.run(_survive(found, survivor, yes, stack))


def of(found: Outputs, name: str) -> Host:
    """The manager of that name that has a database. Raises OperationsError."""
    fit = [host for host in found.managers if host.name in found.members]
    for host in fit:
        if host.name == name:
            return host
    raise OperationsError(
        f"{name} is not a manager with a database. One of: {', '.join(host.name for host in fit)}."
    )


class Runs(Protocol):
    """What runs a script on a host; `remote_hosts.RemoteHosts`."""

    async def run(self, name: str, text: str, stdin: str = "") -> Answer:
        """Run it; never raises."""


@dataclass(frozen=True)
class Part:
    """One of the three. `text` prints OUTCOME as its last line; `patience`: seconds it may take in all."""

    name: str
    text: str
    patience: float


STATE = r"""
docker info --format '{{.Swarm.LocalNodeState}}|{{.Swarm.ControlAvailable}}' 2>/dev/null \
  || printf 'no engine|false'
""".strip()


def answering(found: Outputs, answers: dict[str, Answer]) -> list[str]:
    """Managers that can vote once their networks meet: their engine runs and is a manager of the swarm."""
    return [
        host.name
        for host in found.managers
        if not (answer := answers[host.name]).error and not answer.text.startswith(("no engine", "inactive"))
    ]


def refusal(found: Outputs, survivor: Host, votes: Sequence[str], locked: Sequence[str] = ()) -> str:
    """Why nothing is forced; empty if something may be. Args: locked: who of them is."""
    if survivor.name not in votes:
        return (
            f"{survivor.name} is not reached, or is not a manager of a swarm any more: there is nothing to "
            "go on from."
        )
    if 2 * len(votes) > len(found.managers):
        others = ", ".join(name for name in votes if name != survivor.name) or "no other one"
        if locked:
            return (
                f"{len(votes)} of {len(found.managers)} managers answer ({survivor.name} and {others}), and "
                f"of these {', '.join(locked)} only need unlocking: `python -m operations unlock`. Nothing "
                "was changed."
            )
        return (
            f"{len(votes)} of {len(found.managers)} managers answer ({survivor.name} and {others}): that is "
            "a majority, which restores itself. `verify` says what else is wrong; nothing was changed."
        )
    return ""


def parts(found: Outputs, survivor: Host, lost: Sequence[str]) -> list[Part]:
    """The three, in order: what the swarm runs can only be restarted by it, and Galera needs the store."""
    variables = assign(
        name=survivor.name,
        address=survivor.private_ip,
        lost=list(lost),
        store=found.store,
        service=found.service,
    )
    store = _CONSUL if found.store == "consul" else _STORE
    texts = (("swarm", _SWARM, 120.0), ("store", store, 300.0), ("database", _DATABASE, 900.0))
    return [Part(name, f"{variables}\n{_FUNCTIONS}\n{text}", patience) for name, text, patience in texts]


_FUNCTIONS = body("survive_functions", SCRIPTS)

_SWARM = body("survive_swarm", SCRIPTS)

_KEY = body("survive_key", SCRIPTS)

_STORE = body("survive_store", SCRIPTS)

_CONSUL = body("survive_consul", SCRIPTS)

_DATABASE = body("survive_database", SCRIPTS)


async def _survive(found: Outputs, survivor: Host, yes: bool, stack: str) -> None:
    typer.echo(f"asking {len(found.managers)} managers …")
    async with connected(found) as hosts:
        answers = await hosts.run_all({host.name: STATE for host in found.managers})
        votes = answering(found, answers)
        lost = [host.name for host in found.managers if host.name not in votes]
        locked = [name for name in votes if answers[name].text.startswith("locked")]
        for name in lost:
            typer.echo(f"  {name}: {answers[name].error or answers[name].text.strip()}")
        if reason := refusal(found, survivor, votes, locked):
            raise OperationsError(reason)
        await refuse_locked_key(hosts, survivor.name, lost, stack)
        typer.echo(
            f"{survivor.name} will go on alone with what it has. {', '.join(lost)} must not come back with "
            "their disks: cancel or reload them. What they alone have committed is lost."
        )
        if not yes and not typer.confirm("Are they lost for good?"):
            raise typer.Exit(1)
        for part in parts(found, survivor, lost):
            await carry_out(hosts, survivor.name, part)
        shown = await hosts.run(survivor.name, f"service={found.service}\n{_FUNCTIONS}\n{_STATUS}")
        typer.echo(shown.text.rstrip() or shown.error)
        typer.echo(
            f"{survivor.name} serves alone. Left out: {', '.join(lost)}. Now `refresh`, then `up`: they are "
            "ordered again and take full copies."
        )


_STATUS = 'docker exec "$(container "$service")" galera-node status'


async def refuse_locked_key(hosts: Runs, name: str, lost: Sequence[str], stack: str) -> None:
    """Raise OperationsError where the manager's key is locked by autolock: the swarm can't be forced then."""
    looked = await hosts.run(name, f"{_FUNCTIONS}\n{_KEY}")
    if looked.text.rpartition(OUTCOME)[2].strip() == LOCKED_KEY:
        raise OperationsError(LOCKED.format(name=name, lost=", ".join(lost), stack=stack))


async def carry_out(hosts: Runs, name: str, part: Part, every: float = EVERY) -> None:
    """Repeat a part until it is done, with lines of progress. Raises OperationsError after its patience."""
    began, told, said = time.monotonic(), -TELL, ""
    while True:
        answer = await hosts.run(name, part.text)
        now = time.monotonic() - began
        lines = [line for line in answer.text.splitlines() if line.startswith(OUTCOME)]
        outcome = lines[-1].removeprefix(OUTCOME) if lines else f"wait {answer.error or 'no answer'}"
        if outcome in ("done", "nothing"):
            what = "serves" if outcome == "done" else "nothing to do"
            typer.echo(f"  {part.name}: {what} ({now:.0f} s)")
            return
        reason = outcome.removeprefix("wait ")
        if reason != said or now - told >= TELL:
            typer.echo(f"  {part.name}: {reason} ({now:.0f} s)")
            said, told = reason, now
        if now >= part.patience:
            raise OperationsError(
                f"The {part.name} of {name} does not come back within {part.patience:.0f} s: {reason}. What "
                "was done stays; the command may be repeated. The log: `docker service logs` on that host."
            )
        await asyncio.sleep(every)
