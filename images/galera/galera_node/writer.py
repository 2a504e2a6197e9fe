"""Which node takes the writes: the rule alone, no network and no clock.

The store's record `writer` names one node, the same for whoever asks. It stays the writer as long as it
can: a node that comes back takes nothing from it. Who is gone is told by Galera itself, whose members all
see the same component, within the time that the group allows (`evs.suspect_timeout`); a writer that is in
the component but says nothing any more is given up after `SILENT`. Nothing of the data rests on this: two
nodes that both take writes for a moment meet in certification, as any two clients do.
"""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass

SILENT = 5.0  # seconds in which the writer has not said that it can take writes; who is busy may be late
UNABLE = 2.0  # seconds for which a writer that cannot serve waits before it hands over
TURN = 1.0  # seconds that the next candidate leaves to the one before it


@dataclass(frozen=True)
class Seen:
    """What a node sees.

    Attributes:
        node: this one. able: it can take writes. leaving: it stops. resting: a person has taken it out.
        writer: whom the record names, empty if nobody.
        former: whom it named last; another one than `writer` only where there is none.
        members: names of the Primary component's.
        others: those of the other nodes that say they are able; only asked when that matters.
        silent: seconds since the writer last said that it is able.
        unable: seconds for which this node has not been able.
        vacant: seconds for which nobody has been the writer, as this node sees it.
    """

    node: str
    able: bool = True
    leaving: bool = False
    resting: bool = False
    writer: str = ""
    former: str = ""
    members: Set[str] = frozenset()
    others: Set[str] = frozenset()
    silent: float = 0.0
    unable: float = 0.0
    vacant: float = 0.0


@dataclass(frozen=True)
class Name:
    """Name this node in the record."""

    node: str
    reason: str


def vacancy(seen: Seen) -> str:
    """Why nobody takes the writes; empty if somebody does."""
    if not seen.writer:
        return "nobody has been named"
    if seen.writer == seen.node:
        return ""
    if seen.writer not in seen.members:
        return f"{seen.writer} is not in the Primary component"
    if seen.silent > SILENT:
        return f"{seen.writer} has not said for {seen.silent:.0f} s that it can take writes"
    return ""


def hands_over(seen: Seen) -> bool:
    """Whether this node is the writer and would rather not be."""
    return seen.writer == seen.node and (seen.leaving or seen.resting or seen.unable > UNABLE)


def decide(seen: Seen) -> Name | None:
    """Whom to name now; None for nobody new."""
    successors = sorted(seen.others & seen.members)
    if hands_over(seen):
        why = "stops or is taken out" if seen.leaving or seen.resting else "cannot serve"
        return Name(successors[0], f"{seen.node} {why}") if successors else None
    why = vacancy(seen)
    if not why or not seen.able or seen.leaving:
        return None
    if seen.resting:
        # The last of all: better it than nobody. Whoever can takes over from it.
        late = len(seen.members) * TURN
        return Name(seen.node, f"{why}, nor can another") if not successors and seen.vacant >= late else None
    # All see the vacancy in the same moment; in turn they need not race for the record. If that was only lost
    # with the store's data, who has been the writer goes on.
    first = "" if seen.writer else seen.former
    turn = sorted({seen.node, *successors}, key=lambda name: (name != first, name)).index(seen.node)
    return Name(seen.node, why) if seen.vacant >= turn * TURN else None
