"""`restore-drill`: the latest backup and the logs into a scratch server, compared with the cluster.

Owned here: the order of the steps. Left to others: each of them on a node (images/galera, `restore`), what
`verify` says of the last one (checks/drill.py).

The cluster is summed up first, from one node's snapshot at a position of its own; then the archive must come
to that position, and a server without a network is brought there from the archive alone. So clients go on,
and equal means equal.
"""

from __future__ import annotations

import asyncio
import getpass
import json
import time
from typing import Annotated, Any

import typer

from components.host_scripts.shell import body
from operations.backup import with_backup
from operations.errors import OperationsError
from operations.messages import say
from operations.nodes import Hosts, asked, told
from operations.options import StackOption
from operations.outputs import Outputs
from operations.remote_hosts import SCRIPTS, RemoteHosts, connected
from operations.restore.beside import scratch
from operations.restore.plan import (
    IdentityOption,
    Wish,
    planned,
    private_key,
    refuse_scratch_room,
    states,
)

ARCHIVED = 1800.0
"""Seconds until the archive has what the cluster had."""
EVERY = 5.0

_DRILL = body("restore_drill", SCRIPTS)


def register(app: typer.Typer) -> None:
    """Add the command of this module."""
    app.command(name="restore-drill")(restore_drill)


def restore_drill(
    identity: IdentityOption = "",
    node: Annotated[str, typer.Option("--node", help="Whose host has the scratch server.")] = "",
    stack: StackOption = "dev",
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Restore the latest backup to a scratch server, compare every table; exit code 0 only if all is equal.

    Clients go on meanwhile. The report is kept, and `verify` says how old it is.
    """
    found = with_backup(stack, "restore-drill")
    key = private_key(identity)
    report = asyncio.run(_drill(found, key, node))
    if as_json:
        typer.echo(json.dumps(report, indent=2))
    else:
        typer.echo(report["told"])
    if not report["equal"]:
        raise typer.Exit(1)


async def _drill(found: Outputs, key: str, wish: str) -> dict[str, Any]:
    async with connected(found) as hosts:
        said = await states(hosts, found)
        name = _on(found, said, wish, await _writer(hosts, found, next(iter(said))))
        values: dict[str, Any] = {"by": f"{getpass.getuser()} (python -m operations restore-drill)"}
        began = time.monotonic()
        given: dict[str, Any] = {}
        try:
            given = await _compared(hosts, found, said[name], key, values)
        except OperationsError as error:
            values["failed"] = str(error)
        values["seconds"] = round(time.monotonic() - began, 1)
        for field in ("base", "timeline", "position"):
            values.setdefault(field, "")
        report: dict[str, Any] = await asked(
            hosts, found, name, "drill", "report", stdin=json.dumps({**given, "values": values})
        )
        return report


async def _writer(hosts: Hosts, found: Outputs, name: str) -> str:
    status = await asked(hosts, found, name, "status", "--json")
    return str((status or {}).get("writer") or "")


def _on(found: Outputs, said: dict[str, Any], wish: str, writer: str) -> str:
    """A node that serves and does not take the writes, if there is one. Raises OperationsError."""
    if wish and wish not in said:
        raise OperationsError(f"{wish} is no node that answers. One of: {', '.join(said)}.")
    serves = [name for name in found.members if f"{name} (synced)" in next(iter(said.values()))["runs"]]
    fit = [name for name in serves if name in said]
    if not fit:
        raise OperationsError(
            "No node is Synced: there is nothing to compare with. `verify` names what is amiss."
        )
    if wish and wish not in fit:
        raise OperationsError(
            f"{wish} is not Synced: its rows are not the cluster's. One of: {', '.join(fit)}."
        )
    return wish or next((name for name in fit if name != writer), fit[0])


async def _compared(
    hosts: RemoteHosts, found: Outputs, state: dict[str, Any], key: str, values: dict[str, Any]
) -> dict[str, Any]:
    """Checksums of the cluster and of what was restored. Fills in `values`. Raises OperationsError.

    Args:
        state: what the node says that is compared, and whose host has the scratch server.
    """
    name = str(state["node"])
    say(f"Checksums of {name}'s tables, from a snapshot …")
    cluster = await asked(hosts, found, name, "drill", "sums", limit=12 * 3600.0)
    number = int(cluster["number"])
    say(f"{len(cluster['tables'])} tables at number {number}. Waiting for the archive to have it …")
    await _archived(hosts, found, name, number)
    began = time.monotonic()
    plan = await planned(hosts, found, name, Wish(f"1-1-{number}", "", ""), key)
    values |= {field: plan[field] for field in ("base", "timeline", "position", "logs")}
    refuse_scratch_room(name, state, int(plan["room"]))
    text = f"{scratch(found, plan, ['drill'], 'galera-drill')}\n{_DRILL}"
    said = await told(hosts, name, text, key)
    try:
        restored = json.loads(said)
    except ValueError:
        raise OperationsError(f"The scratch server says {said[:100]!r}, which is no checksum.") from None
    values["restoring"] = float(restored.get("restoring", time.monotonic() - began))
    return {"cluster": cluster, "restored": restored}


async def _archived(hosts: Hosts, found: Outputs, name: str, number: int) -> None:
    """Until the archive has a number. Raises OperationsError after `ARCHIVED` seconds."""
    began = spoke = time.monotonic()
    while True:
        said = await asked(hosts, found, name, "backups", "--json") or {}
        archive = said.get("archive") or {}
        # After a restore or a recovery the numbers of the former timeline say nothing.
        present = archive.get("timeline") == said.get("timeline")
        last = archive.get("last") if present else None
        if last is not None and int(last) >= number:
            return
        now = time.monotonic()
        if now - began > ARCHIVED:
            problem = archive.get("problem") or "no node says why"
            raise OperationsError(
                f"The archive has not come to {number} within {ARCHIVED:.0f} s (it is at {last}): {problem}"
            )
        if now - spoke >= 10.0:
            spoke = now
            say(f"  the archive is at {last} ({now - began:.0f} s)")
        await asyncio.sleep(EVERY)
