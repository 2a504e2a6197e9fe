"""Whether the group has come to a standstill that Galera does not notice: what this node sends never returns.

Seen on real hosts (2026-11-29, Galera 26.4.23): a member went while another one was sending a large write-
set. To the new component that one could not send what begins it ("Temporary failure in sending state UUID,
will try again in next primary component"), and there was no next one: all nodes were Synced, Primary and
ready, and every commit waited, for ever. An orderly stop waits for the same; only a sudden end makes a new
component.
"""

from __future__ import annotations

from collections.abc import Sequence

from .health import Advance
from .sql import ServerStatus

PATIENCE = 90.0  # seconds; the largest write-set (2 GB) takes less on any network that a cluster should have
TURN = 30.0  # seconds that the next node waits longer: the first one's end is enough for all


class Standstill:
    """For how long something has been waiting to be sent while nothing was committed."""

    def __init__(self, node: str, members: Sequence[str], now: float) -> None:
        """`now` is of the monotonic clock, in seconds."""
        turn = sorted(members).index(node) if node in members else 0
        self.patience = PATIENCE + turn * TURN
        self._advance = Advance(now)

    def seconds(self, status: ServerStatus | None, now: float) -> float:
        """Seconds of standstill; 0 while there is none, or flow control holds the writes up."""
        if status is None or not status.synced or status.queued == 0 or status.paused:
            return self._advance.idle(now, now)
        return self._advance.idle(status.committed, now)

    def lasts(self, status: ServerStatus | None, now: float) -> bool:
        """Whether it is longer than this node waits."""
        return self.seconds(status, now) > self.patience
