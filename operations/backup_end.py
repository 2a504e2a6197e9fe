"""A backup that is being made when a host is to go: its end is waited for, unless a person says otherwise.

Owned here: whether there is one, the words on it, the wait and its limit. Left to others: who is about to go
(replace/, upgrade/), that another node makes anew what was broken off (images/galera, `archive/making.py`).

Its node is out of flow control and may be behind; if its own host goes, all that was copied is lost.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from operations import node_program
from operations.around_run import care
from operations.around_run.care import Seen
from operations.backup import size
from operations.checks import backup as backup_checks
from operations.checks.galera import BACKUP
from operations.errors import OperationsError
from operations.facts.cluster import HostFacts
from operations.messages import say

WITHIN = 7200.0
"""Seconds for its end, before each host; whoever repeats the command waits as long again."""
EVERY = 10.0
"""Seconds between two looks."""
ANEW = "another node makes it anew at once"
BEHIND = (BACKUP, "Joined")
"""States of a node that applies what it was spared for its backup."""


@dataclass(frozen=True)
class Running:
    """One that is being made. since: in UTC. done: bytes so far."""

    node: str
    name: str
    since: str
    done: int

    def __str__(self) -> str:
        """For people."""
        return f"{self.node} makes a backup ({self.name}, since {self.since} UTC, {size(self.done)} so far)"


def running(seen: Seen) -> Running | None:
    """The one that is being made; None without any.

    The record outlives a node that has died, and one whose right to archive is over makes none any more.
    """
    told = backup_checks.told(seen.outputs, seen.facts)
    node = backup_checks.making(seen.outputs, seen.facts)
    if not node or told.get("archiver") != node or node in seen.unwell:
        return None
    archive = told["archive"]
    since = str(archive.get("tried", "")).replace("T", " ").rstrip("Z")
    return Running(node, str(archive["running"]), since, int(archive.get("done") or 0))


def notice(seen: Seen, hosts: Collection[str], interrupt: bool) -> str:
    """What to say of it before hosts go; empty where none is made, or none of these has a node."""
    backup, going = running(seen), [name for name in hosts if name in seen.outputs.members]
    if backup is None or not going:
        return ""
    if interrupt and backup.node in going:
        return f"{backup}. It is broken off when {backup.node} goes, and {ANEW}."
    if interrupt:
        return f"{backup}. Its end is not waited for."
    broken = f"it is then broken off, and {ANEW}" if backup.node in going else "it then goes on meanwhile"
    return (
        f"{backup}. Before {' or '.join(going)} goes, its end is waited for, {WITHIN / 3600:.0f} hours at "
        f"the most. With --interrupt-backup (of `replace` and `upgrade-hosts`) nobody waits: {broken}."
    )


async def awaited(seen: Seen, host: str, *, interrupt: bool, begun: bool = False) -> Seen:
    """The hosts as they are once no backup is in the way of `host`. Raises OperationsError after `WITHIN`.

    Args:
        interrupt: nobody waits.
        begun: an earlier call has taken the host out already: it is not kept away for the backup of another.
    """
    backup = running(seen)
    if backup is None or host not in seen.outputs.members:
        return seen
    if interrupt and backup.node == host:
        say(f"{host}: its backup {backup.name} is broken off; {ANEW}.")
        return seen
    if (interrupt or begun) and backup.node != host and _serves(seen, {host, backup.node}):
        return seen
    now = seen

    async def problem() -> str:
        nonlocal now
        now = await care.look_at(seen.outputs)
        if (there := running(now)) is not None:
            return str(there)
        state = _state(now, backup.node)
        return f"{backup.node} is {state}, behind the others after its backup" if state in BEHIND else ""

    if why := await node_program.wait_for(f"waiting before {host} goes", problem, WITHIN, EVERY):
        raise OperationsError(
            f"{why}; {host} has waited for {WITHIN / 3600:.0f} hours, and nothing of it was changed. Remedy: "
            "repeat the command, which waits as long again; or with --interrupt-backup, which does not wait"
        )
    return now


def _serves(seen: Seen, but: Collection[str]) -> bool:
    """Whether a further node is Synced: the one with the backup may be behind."""
    return any(_state(seen, name) == "Synced" for name in seen.outputs.members if name not in but)


def _state(seen: Seen, name: str) -> str:
    """Of a host's node, as Galera says it."""
    return str(seen.facts.get(name, HostFacts()).galera.get("wsrep_local_state_comment", ""))
