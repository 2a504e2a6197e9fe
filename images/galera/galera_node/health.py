"""The health check: what the node's program last said, read from a file in memory.

The check runs every few seconds on hosts where starting a process is dear, so it asks nobody. A file that the
program has not refreshed is bad news in itself.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

FILE = "health"
SELF = "self.json"  # what this node is, in the same folder, for `galera-node status`
STALE = 30.0  # seconds without a word from the node's program
STALL = 120.0  # seconds without progress before work counts as stuck


@dataclass(frozen=True)
class Status:
    """What decides about health. `idle`: seconds since the work under way last advanced, None without any."""

    state: str  # as in store.Presence
    detail: str
    uptime: float  # seconds since the container's start
    start_period: float  # seconds; the check's start period, in which failures are not counted
    recorded: bool  # the store lists this node as a member, and its data is of the cluster's epoch
    idle: float | None = None
    alone: bool = False  # outside a Primary component, and the store is away
    served: bool = False  # the check has passed before in this container: failures count from then on

    @property
    def counts(self) -> bool:
        """Whether the engine counts a failing check now: enough of them end the container."""
        return self.served or self.uptime > self.start_period


class Advance:
    """Since when something that works has stood still. `now` is of the monotonic clock, in seconds."""

    def __init__(self, now: float) -> None:
        self._at, self._sign = now, object()

    def idle(self, sign: object, now: float) -> float:
        """Seconds since `sign`, whatever it is, was last another one."""
        if sign != self._sign:
            self._at, self._sign = now, sign
        return now - self._at


def verdict(status: Status) -> tuple[bool, str]:
    """Healthy or not, and why.

    During the start period a node that still receives or recovers its data, or runs the initial SQL, says
    "not yet": the engine does not count that, and sends no client here. What takes longer counts as healthy
    while it advances, so that nobody ends it and it begins anew for ever.
    """
    if status.state == "synced":
        if not status.recorded:
            return False, "Synced, but the store does not yet list it as a member of the component"
        return True, status.detail
    if status.alone:
        # Ended, it would lose its view of the group, with which it restores the component once the others are
        # back; and should the swarm have no leader, nothing would start it again.
        if status.counts:
            return True, f"serves no clients, and is left as it is while the store is away: {status.detail}"
        return False, f"not yet: {status.detail}"
    if status.idle is not None:
        if status.idle > STALL:
            return False, f"without progress for {status.idle:.0f} s: {status.detail}"
        if status.counts:
            return True, f"advances: {status.detail}"
        return False, f"not yet: {status.detail}"
    return False, status.detail


def write(run_dir: Path, healthy: bool, text: str) -> None:
    """Publishes the verdict for the check."""
    new = run_dir / f"{FILE}.new"
    new.write_text(f"{time.monotonic()} {int(healthy)} {text}\n")
    new.rename(run_dir / FILE)


def check(run_dir: Path) -> tuple[int, str]:
    """Exit code and line of the health check."""
    try:
        at, healthy, text = (run_dir / FILE).read_text().rstrip("\n").split(" ", 2)
        age = time.monotonic() - float(at)
    except (OSError, ValueError):
        return 1, "galera-node has not said anything yet"
    if age > STALE:
        return 1, f"galera-node has been silent for {age:.0f} s; it last said: {text}"
    return (0 if healthy == "1" else 1), text
