"""A restore's plan as a person reads it before agreeing. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from .plan import Plan, Present
from .target import shown


def told(made: Plan, present: Present) -> list[str]:
    """The plan for people, a line each."""
    number = made.number
    first, base = made.chain[0], made.base
    lines = [
        f"to {made.target}, on timeline {made.timeline}",
        f"base {first.name} of {first.node}, {_size(first.stored)}, ended {shown(first.ended)}",
    ]
    lines += [f"incremental {each.name}, {_size(each.stored)}" for each in made.chain[1:]]
    if made.logs:
        lines.append(
            f"{len(made.logs)} log{'s' * (len(made.logs) != 1)} from {made.gtid(base.end + 1)}, "
            f"{_size(sum(log.stored for log in made.logs))}"
        )
    if number is None:
        lines.append("position: the last one before that moment, which is found in the log")
    else:
        lines.append(f"position: {made.gtid(number)}, which is in it; none after it is")
    return [*lines, *_loses(made, present), _room(made)]


def _loses(made: Plan, present: Present) -> Sequence[str]:
    lost = made.lost
    if present.timeline is None:
        return ["lost: nothing; there is no cluster"]
    if present.timeline != made.timeline:
        return [
            f"lost: all that was committed on the cluster's present timeline, {present.timeline}, since it "
            "went its own way"
        ]
    lines = []
    if lost.undone is not None:
        lines.append(f"undone: {lost.undone} transaction{'s' * (lost.undone != 1)} after that position")
    if lost.unarchived is None:
        lines.append("lost: nobody runs who could say what was committed after the end of the archive")
    else:
        lines.append(
            f"lost: {lost.unarchived} of the cluster's transactions are not in the archive"
            if lost.unarchived
            else "lost: none for good; all of the cluster's transactions are in the archive"
        )
    if lost.seconds is not None:
        lines.append(f"the archive was last whole {lost.seconds:.0f} s ago")
    return lines


def _room(made: Plan) -> str:
    more = f"; up to {_size(made.growth)} more, as far as the logs bring new rows" if made.logs else ""
    return f"room on a node: {_size(made.room)} beside what it has{more}"


def _size(count: int) -> str:
    return f"{count / 1e6:.1f} MB"
