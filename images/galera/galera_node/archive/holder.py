"""Which node archives: the rule alone, no network and no clock.

One at a time holds the store's key `archiver`, bound to its session. Not the writer, where another node is
Synced; and whoever can go on without a gap before one that can't. Nothing of the archive rests on there being
only one: two that archive for a moment write the same numbers under names of their own.
"""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass
from enum import Enum

TURN = 5.0
"""Seconds that a candidate leaves to the one before it."""
RELUCTANT = 60.0
"""Seconds without a holder after which the writer, or a node that lacks logs, archives after all."""


class Do(Enum):
    """What a node does about the key."""

    NOTHING = "nothing"
    CLAIM = "claim it"
    RELEASE = "give it up"


@dataclass(frozen=True)
class Seen:
    """What a node sees.

    Attributes:
        node: this one. holds: it has the key. holder: whom the key names, empty if nobody.
        synced: names of those who are. writer: who takes the writes, empty if nobody.
        covers: this node's logs go on where the archive ends.
        busy: this node makes a base backup.
        vacant: seconds for which nobody has held the key, as this node sees it.
    """

    node: str
    holds: bool = False
    holder: str = ""
    synced: Set[str] = frozenset()
    writer: str = ""
    covers: bool = True
    busy: bool = False
    vacant: float = 0.0


def decide(seen: Seen) -> Do:
    """What to do now."""
    others = sorted(seen.synced - {seen.node, seen.writer})
    if seen.holds:
        gone = seen.node not in seen.synced
        hands_over = seen.node == seen.writer and bool(others) and not seen.busy
        return Do.RELEASE if gone or hands_over else Do.NOTHING
    if seen.holder or seen.node not in seen.synced:
        return Do.NOTHING
    reluctant = (seen.node == seen.writer and bool(others)) or not seen.covers
    turn = sorted({*others, seen.node}).index(seen.node)
    wait = turn * TURN + (RELUCTANT if reluctant else 0.0)
    return Do.CLAIM if seen.vacant >= wait else Do.NOTHING
