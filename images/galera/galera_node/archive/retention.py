"""What of an archive may be deleted: pure functions over its bases and logs.

Nothing that a kept base needs: its parents, and all logs since the oldest kept base of its timeline.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from .layout import Span


@dataclass(frozen=True)
class Keep:
    """The settings: of so many days all is kept, and of however old so many full bases at the least."""

    days: int
    fulls: int


@dataclass(frozen=True)
class Kept:
    """A base as this needs it. `gtid`: where its logs begin. `ended`: only what is after that can be reached
    from it, as the data are those of its end. `whole`: the store has all of it, and of what it goes on from.
    """

    timeline: str
    name: str
    kind: str
    parent: str | None
    begun: datetime
    gtid: int
    ended: datetime
    whole: bool = True


@dataclass(frozen=True)
class Doomed:
    """What goes: whole timelines, bases (timeline and name), logs (timeline and span)."""

    timelines: tuple[str, ...] = ()
    bases: tuple[tuple[str, str], ...] = ()
    logs: tuple[tuple[str, Span], ...] = ()

    def __bool__(self) -> bool:
        return bool(self.timelines or self.bases or self.logs)


def kept(bases: Sequence[Kept], keep: Keep, now: datetime) -> set[tuple[str, str]]:
    """Timeline and name of the bases that stay."""
    known = {(base.timeline, base.name): base for base in bases}
    young = now - timedelta(days=keep.days)
    fulls = sorted((base for base in bases if base.kind == "full"), key=lambda base: base.begun, reverse=True)
    stays = {(base.timeline, base.name) for base in fulls[: keep.fulls]}
    stays |= {(base.timeline, base.name) for base in bases if base.ended >= young}
    # What is asked for within the days must be reachable: so does the newest base before them.
    for timeline in {base.timeline for base in bases}:
        older = [base for base in bases if base.timeline == timeline and base.ended < young]
        later = any(base.timeline == timeline and base.ended >= young for base in bases)
        if older and (later or _until(timeline, bases, now) >= young):
            newest = max(older, key=lambda base: base.ended)
            stays.add((newest.timeline, newest.name))
    for place in list(stays):
        base: Kept | None = known[place]
        while base is not None and base.parent is not None:
            base = known.get((base.timeline, base.parent))
            if base is not None:
                stays.add((base.timeline, base.name))
    return stays


def _until(timeline: str, bases: Sequence[Kept], now: datetime) -> datetime:
    """Until when a timeline was written to, at the most: when the next one got its first base."""
    begun = {each: min(base.begun for base in bases if base.timeline == each) for each in _names(bases)}
    last = max(base.begun for base in bases if base.timeline == timeline)
    return min((first for first in begun.values() if first > last), default=now)


def _names(bases: Sequence[Kept]) -> set[str]:
    return {base.timeline for base in bases}


def doomed(
    bases: Sequence[Kept],
    logs: Iterable[tuple[str, Span]],
    timelines: Iterable[str],
    present: str,
    keep: Keep,
    now: datetime,
) -> Doomed:
    """What may be deleted.

    Args:
        timelines: all that the archive has and that may go as a whole, once none of their bases is kept.
        present: the one that the cluster is in, which always stays.
    """
    # What has gone from the store takes no other's place. It stays as long as if it had not: lists may lie.
    stays = kept([base for base in bases if base.whole], keep, now)
    if not any(timeline == present for timeline, _ in stays):
        return Doomed()  # the present one has no base yet: nothing of before goes until it has
    stays |= kept(bases, keep, now)
    oldest: dict[str, int] = {}
    for base in bases:
        if (base.timeline, base.name) in stays:
            oldest[base.timeline] = min(base.gtid, oldest.get(base.timeline, base.gtid))
    whole = tuple(sorted(set(timelines) - oldest.keys() - {present}))
    gone = tuple(
        sorted(
            (base.timeline, base.name)
            for base in bases
            if (base.timeline, base.name) not in stays and base.timeline not in whole
        )
    )
    known = list(logs)
    # The newest one says how far the archive is.
    newest = max((span for timeline, span in known if timeline == present), default=None)
    unneeded = tuple(
        sorted(
            (timeline, span)
            for timeline, span in known
            if timeline in oldest and span.last <= oldest[timeline] and span != newest
        )
    )
    return Doomed(whole, gone, unneeded)
