"""The whole cluster from the archive: all nodes stop, one is loaded, the others take full copies.

Owned here: the order of the steps, the question before the first, the lines of progress. Left to others: each
step on a node, and the rules by which nodes go (images/galera, `restore`).

Each step is in the store's record, so the command may be repeated: it goes on where the last one ended.
"""

from __future__ import annotations

import asyncio
import getpass
import json
import time
from collections.abc import Callable, Mapping
from typing import Any

import typer

from operations.deep import verify as deep_verify
from operations.errors import OperationsError
from operations.messages import say
from operations.nodes import Hosts, asked, command, told
from operations.outputs import Outputs
from operations.remote_hosts import RemoteHosts, connected
from operations.restore.plan import (
    Wish,
    chosen,
    planned,
    refuse_room,
    states,
    under_way,
    warn_of_growth,
)

EVERY = 2.0
"""Seconds between looks."""
TELL = 10.0
"""Seconds between lines of progress."""
SILENT = 300.0
"""Seconds for which a node may not answer: its container may start anew."""
STOPS = 3600.0
"""Seconds until all nodes have stopped: one may have much to write out."""
FORMS = 4 * 3600.0
"""Seconds until all nodes have the restored data."""
Waits = Callable[[Mapping[str, Any]], str]
"""What is still waited for, by what a node says; empty for nothing."""


async def whole(found: Outputs, wish: Wish, key: str, yes: bool) -> None:
    """From the plan, or from where a restore that is under way stands, to a cluster that has formed."""
    async with connected(found) as hosts:
        said = await states(hosts, found)
        record = under_way(said)
        if record is not None:
            say(next(iter(said.values()))["told"])
            _refuse_another(record, wish, bool(next(iter(said.values()))["formed"]))
            name = str(record["node"])
        else:
            name = await _begin(hosts, found, said, wish, key, yes)
        await _go_on(hosts, found, name, key)


def _refuse_another(record: Mapping[str, Any], wish: Wish, formed: bool) -> None:
    """Raise OperationsError where what is wanted is not what is under way. formed: the cluster has."""
    given = {"target": wish.to, "timeline": wish.timeline, "node": wish.node}
    for name, value in given.items():
        if value and value != record.get(name):
            raise OperationsError(
                f"It goes to {record['target']} (on timeline {record.get('timeline')}, loaded on "
                f"{record['node']}), and not to {name} {value}. Let it come to its end (`restore` without "
                "--to), or undo it (`restore --undo`), first."
            )
    if record["phase"] == "undo":
        raise OperationsError("`restore --undo` waits for its end.")
    if record["phase"] == "join" and formed and wish.to:
        raise OperationsError(
            "That one has come to its end, and nothing was restored now. Look at the cluster; then `restore "
            "--done` removes the data of before, or `restore --undo` brings it back. Only then another "
            "restore can begin."
        )


async def _begin(
    hosts: RemoteHosts, found: Outputs, said: Mapping[str, Mapping[str, Any]], wish: Wish, key: str, yes: bool
) -> str:
    """From the plan to the word that all nodes stop; the node that is loaded."""
    if not wish.to:
        raise OperationsError("Say what to restore to: --to '2026-11-28 14:32:10', a GTID, or latest.")
    if missing := [name for name in found.members if name not in said]:
        raise OperationsError(
            f"{', '.join(missing)} could not be asked. All nodes must stop for a restore, and one that "
            "nobody sees might go on with the data of before. Start it; or, if it is lost for good, replace "
            "it first."
        )
    name = chosen(said, wish.node)
    say(f"The plan, as {name} makes it from the archive:")
    plan = await planned(hosts, found, name, wish, key)
    refuse_room(said, int(plan["room"]))
    warn_of_growth(said, plan)
    say(
        f"All {found.size} nodes stop; {name} is loaded, the others take full copies. No client is served "
        "until that one starts the new cluster. The data of before is kept on each node (.before-restore in "
        "its volume) until `restore --done`."
    )
    if not yes and not typer.confirm(f"Restore the whole cluster to {plan['position']}?", err=True):
        raise typer.Exit(1)
    by = f"{getpass.getuser()} (python -m operations restore)"
    await asked(hosts, found, name, "restore", "begin", stdin=json.dumps({**plan, "by": by}))
    return name


async def _go_on(hosts: RemoteHosts, found: Outputs, name: str, key: str) -> None:
    state = await _state(hosts, found, name)
    restore = state["record"]

    def stopping(now: Mapping[str, Any]) -> str:
        return "" if _gone(now, restore) else ", ".join(now["runs"])

    if restore["phase"] in ("stop", "load"):
        await _until(hosts, found, name, "nodes stop", STOPS, stopping)
        await _refuse_gone(hosts, found, name, restore)
        say(f"All nodes have stopped. {name} is loaded:")
        await told(hosts, name, command(found, "restore", "load"), key)

    def forming(now: Mapping[str, Any]) -> str:
        done = now["formed"] or _gone(now, restore)
        return "" if done else f"at work: {', '.join(now['runs']) or 'nobody yet'}"

    await _until(hosts, found, name, "the cluster forms", FORMS, forming)
    state = await _refuse_gone(hosts, found, name, restore)
    say(
        f"The cluster {state['uuid']} has formed at {state['record']['position']}. Look at it (your own "
        "programs; `verify --deep` compares the rows of all nodes). Then `restore --done` removes the data "
        "of before, or `restore --undo` brings it back. Backups of before stay on their timeline; a full "
        "one of the new begins by itself."
    )
    await compare(hosts, found)


async def compare(hosts: RemoteHosts, found: Outputs) -> None:
    """Whether all nodes hold the same. Raises OperationsError if they do not; what keeps them from being
    compared is said.
    """
    say("The rows of all nodes are compared, while clients work. Nothing is lost if you break that off.")
    try:
        checks = await deep_verify.of_nodes(found, found.members, hosts)
    except OSError as error:  # the restore has come to its end all the same
        say(f"  {deep_verify.UNKNOWN}: {error}. `verify --deep` does it once all hosts answer.")
        return
    for each in checks:
        say(f"  {'ok' if each.ok else 'NOT'}: {each.what}: {each.found}")
        if not each.ok and not each.found.startswith(deep_verify.UNKNOWN):
            raise OperationsError(
                f"The nodes differ after the restore ({each.what}: {each.found}), and the data of before is "
                f"kept. Remedy: `verify --deep` names all of it; {each.remedy or 'a full copy of one'}."
            )


def _gone(now: Mapping[str, Any], restore: Mapping[str, Any]) -> bool:
    """Whether it is this restore no more: somebody has undone it, perhaps begun another."""
    record = now["record"] or {}
    return record.get("id") != restore.get("id") or record.get("phase") in ("undo", "undone")


async def _refuse_gone(hosts: Hosts, found: Outputs, name: str, restore: Mapping[str, Any]) -> dict[str, Any]:
    """The state. Raises OperationsError once somebody else has undone the restore."""
    state = await _state(hosts, found, name)
    if _gone(state, restore):
        raise OperationsError(f"The restore was undone by somebody else meanwhile. {state['told']}")
    return state


async def _state(hosts: Hosts, found: Outputs, name: str) -> dict[str, Any]:
    state: dict[str, Any] = await asked(hosts, found, name, "restore", "status")
    return state


async def _until(
    hosts: Hosts, found: Outputs, name: str, what: str, patience: float, waits: Waits, every: float = EVERY
) -> None:
    """Until nothing is waited for any more, with lines now and then. Raises OperationsError if in vain."""
    began, spoke, failed = time.monotonic(), time.monotonic(), 0.0
    while True:
        now = time.monotonic()
        try:
            why = waits(await _state(hosts, found, name))
            failed = 0.0
        except OperationsError as error:  # a container that starts anew
            failed = failed or now
            why = str(error)
            if now - failed > SILENT:
                raise
        if not why:
            return
        if now - began > patience:
            raise OperationsError(
                f"Not within {patience:.0f} s ({what}): {why}. Nothing is lost: `restore` goes on, "
                "`restore --undo` goes back."
            )
        if now - spoke >= TELL:
            spoke = now
            say(f"  {what}: {why} ({now - began:.0f} s)")
        await asyncio.sleep(every)


async def _kept(
    hosts: RemoteHosts, found: Outputs, none: str
) -> tuple[Mapping[str, Mapping[str, Any]], Mapping[str, Any]]:
    """What each node says, and the restore that a person's word is to end, which is told. Raises
    OperationsError with `none` where there is no such restore.
    """
    said = await states(hosts, found)
    record = under_way(said)
    if record is None:
        raise OperationsError(none)
    say(next(iter(said.values()))["told"])
    return said, record


async def undo(found: Outputs, yes: bool) -> None:
    """Back to the cluster of before, up to its end."""
    async with connected(found) as hosts:
        said, record = await _kept(hosts, found, "There is no restore that could be undone.")
        name = str(record["node"]) if record["node"] in said else next(iter(said))
        if record["phase"] != "undo":
            _refuse_nothing_kept(found, said, record)
            say(
                "What was written since is lost. Every node puts the data of before back, and the most "
                "advanced restarts the cluster."
            )
            if not yes and not typer.confirm("Go back to the data of before?", err=True):
                raise typer.Exit(1)
            await asked(hosts, found, name, "restore", "undo")

        def back(now: Mapping[str, Any]) -> str:
            phase = (now["record"] or {}).get("phase")
            return "" if phase == "undone" else f"at work: {', '.join(now['runs']) or 'nobody yet'}"

        await _until(hosts, found, name, "the cluster of before comes back", FORMS, back)
        say("The cluster of before runs again, with all nodes.")


def _refuse_nothing_kept(
    found: Outputs, said: Mapping[str, Mapping[str, Any]], record: Mapping[str, Any]
) -> None:
    """Raise OperationsError where the way back would leave no data at all. Before all have stopped and one is
    loaded, the data of before is where it was.
    """
    if record["phase"] != "join":
        return
    # One that has not made way for it yet has the data of before where it was, and nothing aside.
    if not any(state.get("keep") or state.get("aside") == record.get("id") for state in said.values()):
        silent = ", ".join(name for name in found.members if name not in said)
        raise OperationsError(
            "No node that answers keeps the data of before: their volumes were made anew since. The way back "
            "would remove the restored data, and bring nothing. Remedy: "
            + (f"have {silent} answer, which may keep it; or " if silent else "")
            + "`restore --done`, and another restore to the moment that you want."
        )


async def done(found: Outputs, yes: bool) -> None:
    """The data of before is removed."""
    async with connected(found) as hosts:
        said, _ = await _kept(hosts, found, "There is no restore whose data of before is kept.")
        if not yes and not typer.confirm("Remove the data of before, for good, on every node?", err=True):
            raise typer.Exit(1)
        await asked(hosts, found, next(iter(said)), "restore", "done")
        say("Each node removes it within some seconds, once it is Synced.")
