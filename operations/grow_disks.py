"""`grow-disks`: what was grown below a host's data is taken into use, while everything runs.

Owned here: the command. Left to others: what the volume and its file system take
(components/host_scripts/disk.py: the same that `up` runs), ordering a larger disk (`servers.disks`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Annotated

import typer

from components.host_scripts import disk_crypt
from components.host_scripts.disk import MOUNT_POINT, prepare
from components.host_scripts.shell import assign, body
from operations import outputs
from operations.errors import OperationsError
from operations.messages import say
from operations.node_program import telling
from operations.options import StackOption
from operations.outputs import Host, Outputs
from operations.remote_hosts import SCRIPTS, Answer, RemoteHosts, connected

SIZE = f"df -B1 --output=size {MOUNT_POINT} | tail -n 1"
GROWS_WITHIN = 600.0
"""Seconds for LVM and btrfs; they copy nothing."""


def register(app: typer.Typer) -> None:
    """Add the command of this module."""
    app.command("grow-disks")(grow_disks)


def grow_disks(
    hosts: Annotated[list[str] | None, typer.Argument(metavar="[HOST…]", help="By default all.")] = None,
    stack: StackOption = "dev",
) -> None:
    """Have /var/lib/docker take the room of disks that were grown, without a restart of anything.

    For disks that grew while the host runs: hosts of one's own, or volumes that were resized elsewhere. A
    larger size in `servers.disks` is ordered, and taken into use, by `up`.
    """
    asyncio.run(_grown(outputs.of_stack(stack), hosts or []))


def grow(hostname: str, sys: str = "/sys", *, encrypted: bool = False) -> str:
    """Shell text for a host. Does nothing where there is no more room; touches no disk that is not ours.

    Standard input of an `encrypted` one: its key.
    """
    facts = assign(hostname=hostname, mount=MOUNT_POINT, sys=sys)
    text = f"{facts}\n{body('grow_disks', SCRIPTS)}"
    if encrypted:
        # Before all that might read what is meant for it.
        return f"IFS= read -r key\n{text}\n{disk_crypt.prepare(hostname)}"
    return f"{text}\n{prepare(hostname)}"


def of(found: Outputs, names: Sequence[str]) -> list[Host]:
    """The hosts with a disk that the program has prepared. Raises OperationsError for others."""
    fit = {host.name: host for host in found.hosts if host.disk}
    if unfit := [name for name in names if name not in fit]:
        raise OperationsError(
            f"{', '.join(unfit)} has no data disk of this program's; hosts that have: {', '.join(fit)}."
        )
    return [fit[name] for name in names] if names else list(fit.values())


async def _grown(found: Outputs, names: Sequence[str]) -> None:
    wanted = [host.name for host in of(found, names)]
    async with connected(found) as hosts:
        before = await hosts.run_all(dict.fromkeys(wanted, SIZE))
        runs = asyncio.gather(*(_run(hosts, name, found.disk_keys.get(name)) for name in wanted))
        answers = dict(zip(wanted, await telling("growing", runs), strict=True))
        after = await hosts.run_all(dict.fromkeys(wanted, SIZE))
    for name in wanted:
        if not answers[name].error:
            say(f"{name}: {_size(before[name].text)}, now {_size(after[name].text)}.")
    if failed := {name: answer.error for name, answer in answers.items() if answer.error}:
        raise OperationsError("; ".join(f"{name}: {why}" for name, why in failed.items()))


async def _run(hosts: RemoteHosts, name: str, key: str | None) -> Answer:
    stdin = "" if key is None else f"{key}\n"
    return await hosts.run(name, grow(name, encrypted=key is not None), stdin, GROWS_WITHIN)


def _size(text: str) -> str:
    return f"{int(text) / 1e9:.1f} GB" if text.strip().isdigit() else "unknown"
