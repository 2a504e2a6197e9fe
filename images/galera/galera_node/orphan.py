"""Whether a node waits for a copy of the data in a group that has gone.

Seen on the lab's hosts (2026-11-29, Galera 26.4.23): the only donor left while two nodes waited for it. It
began a component anew, one of the two found it again, the other had forgotten all addresses: it waited for a
donor for ever, alone. Who waits its turn in a group is a member of its component, and Synced members say so.
"""

from __future__ import annotations

from .store import Facts
from .transfer import Progress

PATIENCE = 60.0
"""Seconds in which a Synced node must have noticed a new member."""


class Orphan:
    """For how long the node has waited while the others' component was without it."""

    def __init__(self, node: str, now: float) -> None:
        """`now` is of the monotonic clock, in seconds."""
        self._node, self._since = node, now

    def lasts(self, progress: Progress | None, facts: Facts | None, now: float) -> bool:
        """Whether it is longer than Synced nodes need to notice it.

        Args:
            progress: of the copy; None while there is none.
            facts: what the store says; None while it is away, and then nothing follows.
        """
        waits = progress is not None and (progress.role, progress.phase) == ("joiner", "waiting")
        if not waits or facts is None or not self._left_out(facts):
            self._since = now
        return now - self._since > PATIENCE

    def _left_out(self, facts: Facts) -> bool:
        """Whether a node that is Synced just now, and so would say otherwise, does not see this one."""
        synced = any(each.state == "synced" for each in facts.present.values())
        return synced and facts.view is not None and self._node not in facts.view.members
