"""Which base, which logs, which position, what is lost: a restore before anything is touched. Pure.

A target that can't be reached is refused, with what can be. Nothing is guessed: a gap is not gone over, an
incremental without its parents is no backup, another history than the cluster's own is taken by name only.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from .. import data_version
from .catalog import Base, Catalog, Log, Timeline
from .target import Latest, Moment, Number, Target, shown

SERVER = 1
"""The server_id of all nodes, and so of all GTIDs."""
SPARE = 512 << 20
"""Bytes that must stay free beside what a restore unpacks: redo logs, system tables, the write-set cache."""


class Unreachable(Exception):
    """The archive does not lead to the target; the message says why, and what can be reached."""


@dataclass(frozen=True)
class Present:
    """What there is now.

    Attributes:
        now: the clock's word.
        timeline: of the cluster's record; None where there is no cluster.
        last: number of the cluster's last transaction; None if nobody runs who could say so.
        server: MariaDB in this image, like 11.8. upgrade_to: as in `settings.Settings`.
    """

    now: datetime
    timeline: str | None = None
    last: int | None = None
    server: str = ""
    upgrade_to: str = ""


@dataclass(frozen=True)
class Lost:
    """What the restored cluster lacks of the present one.

    Attributes:
        undone: transactions after the target; None if it is not known how many.
        unarchived: those of them that are not in the archive either.
        seconds: since the archive last was whole; None without the present cluster's timeline.
    """

    undone: int | None = None
    unarchived: int | None = None
    seconds: float | None = None


@dataclass(frozen=True)
class Plan:
    """A restore.

    Attributes:
        target: as given.
        chain: the full base, then incrementals, in this order. logs: replayed in this order.
        number: the last transaction that will be there; None while `search` must be read for it.
        search: the log in which the moment lies.
        room: bytes that a node needs for it beside the data that it has.
    """

    target: Target
    timeline: str
    domain: int
    chain: tuple[Base, ...]
    logs: tuple[Log, ...]
    number: int | None
    lost: Lost
    search: Log | None = None

    @property
    def base(self) -> Base:
        """The newest of the chain: its position is where the logs begin."""
        return self.chain[-1]

    @property
    def room(self) -> int:
        """Bytes: all of the chain unpacked, and the largest log."""
        largest = max((log.before for log in self.logs), default=0)
        return sum(base.before for base in self.chain) + 2 * largest + SPARE

    @property
    def growth(self) -> int:
        """Bytes by which the logs may make the data grow, beside `room`: if all that they say is new rows."""
        return sum(log.before for log in self.logs)

    @property
    def objects(self) -> tuple[Base | Log, ...]:
        """All that is fetched, in this order."""
        return (*self.chain, *self.logs)

    @property
    def stored(self) -> int:
        """Bytes to fetch."""
        return sum(each.stored for each in self.objects)

    def gtid(self, number: int) -> str:
        """A number of this plan's timeline as a GTID."""
        return gtid(self.domain, number)


def gtid(domain: int, number: int) -> str:
    """A number of the cluster's as a GTID."""
    return f"{domain}-{SERVER}-{number}"


def plan(catalog: Catalog, target: Target, present: Present, timeline: str | None = None) -> Plan:
    """The way to `target`. Raises Unreachable.

    Args:
        timeline: by its name; without, the present cluster's, and none but that.
    """
    line = _line(catalog, present, timeline)
    try:
        return _on(line, target, present)
    except Unreachable as error:
        others = _elsewhere(catalog, line, target, present) if timeline is None else []
        hint = f" On another timeline it can be: TIMELINE={others[0]}." if others else ""
        odd = f" Not read: {'; '.join(catalog.odd)}." if catalog.odd else ""
        raise Unreachable(f"{error} {reachable(line)}{hint}{odd}") from None


def _line(catalog: Catalog, present: Present, timeline: str | None) -> Timeline:
    known = ", ".join(sorted(catalog.timelines)) or "none"
    if timeline is not None:
        if timeline not in catalog.timelines:
            raise Unreachable(f"The archive has no timeline {timeline}. It has: {known}.")
        return catalog.timelines[timeline]
    line = catalog.present(present.timeline)
    if line is not None:
        return line
    odd = f" Not read: {'; '.join(catalog.odd)}." if catalog.odd else ""
    if not catalog.timelines:
        raise Unreachable(f"The archive has no backup of this cluster.{odd}")
    raise Unreachable(
        f"The archive has nothing of the cluster's present timeline {present.timeline} yet. It has: {known}. "
        f"A restore of one of these goes back behind the last recovery or restore: name it (TIMELINE=…).{odd}"
    )


def _on(line: Timeline, target: Target, present: Present) -> Plan:
    if not line.bases:
        raise Unreachable(f"Timeline {line.name} has no base backup.")
    domain = line.bases[-1].domain
    number, search = _wanted(line, domain, target)
    most = search.last if search is not None else number
    if most is None:
        raise AssertionError("either is known")
    chain = _chain(line, target, domain, most)
    logs = _logs(line, chain[-1].end, most, domain)
    made = Plan(target, line.name, domain, chain, logs, number, Lost(), search)
    for server in dict.fromkeys(each.server for each in made.objects):
        if why := data_version.refusal(version(server), present.server, present.upgrade_to):
            raise Unreachable(f"Base {chain[-1].name} can't be taken: {why}.")
    return replace(made, lost=_lost(line, present, number))


def _wanted(line: Timeline, domain: int, target: Target) -> tuple[int | None, Log | None]:
    """The number that the target stands for, or the log in which it must be looked for."""
    last = end_of(line)
    match target:
        case Latest():
            return last, None
        case Number():
            if target.domain != domain:
                raise Unreachable(
                    f"{target} is of domain {target.domain}; the cluster's transactions have domain {domain}."
                )
            if target.server != SERVER:
                raise Unreachable(
                    f"{target} is of server {target.server}; the cluster's transactions have server {SERVER}."
                )
            if target.number > last:
                raise Unreachable(f"{target} is not archived: the archive ends with {gtid(domain, last)}.")
            return target.number, None
        case Moment():
            return _at(line, domain, target)


def _at(line: Timeline, domain: int, target: Moment) -> tuple[int | None, Log | None]:
    """The last number before a moment."""
    last = end_of(line)
    whole = line.reach.at if line.reach is not None else line.newest
    if target.at > whole:
        raise Unreachable(
            f"Until {target} the archive is not whole: it is until {shown(whole)}, with "
            f"{gtid(domain, last)}. For all that it has: TO=latest."
        )
    for log in line.logs:
        if log.began >= target.at:
            return log.first - 1, None
        if log.ended >= target.at:
            return None, log
    return last, None


def _chain(line: Timeline, target: Target, domain: int, most: int) -> tuple[Base, ...]:
    """The newest base that is not behind the target, with its parents. Raises Unreachable."""
    early = [base for base in line.bases if base.end <= most]
    if isinstance(target, Moment):
        early = [base for base in early if base.ended <= target.at]
    broken = []
    for base in reversed(early):
        if chain := line.chain(base):
            return chain
        broken.append(base.name)
    if broken:
        raise Unreachable(f"{', '.join(broken)} can't be taken: a base that they go on from is missing.")
    first = line.bases[0]
    raise Unreachable(
        f"{target} is before the oldest base backup, {first.name}, which ended at {shown(first.ended)} with "
        f"{gtid(domain, first.end)}."
    )


def _logs(line: Timeline, start: int, wanted: int, domain: int) -> tuple[Log, ...]:
    """The logs that lead from one number to another. Raises Unreachable where there is a gap."""
    found, taken = [], start
    for log in line.logs:
        if taken >= wanted:
            break
        if log.last <= taken:
            continue
        if log.first > taken + 1:
            raise Unreachable(
                f"The transactions {gtid(domain, taken + 1)} to {gtid(domain, log.first - 1)} are in no log, "
                "and what comes after them can't be reached from a base before them."
            )
        found.append(log)
        taken = log.last
    if taken < wanted:
        raise Unreachable(
            f"The transactions {gtid(domain, taken + 1)} to {gtid(domain, wanted)} are in no log."
        )
    return tuple(found)


def end_of(line: Timeline) -> int:
    """The last number that the archive has of a timeline."""
    return max([base.end for base in line.bases] + [log.last for log in line.logs], default=0)


def _lost(line: Timeline, present: Present, number: int | None) -> Lost:
    if present.timeline != line.name:
        return Lost()
    whole = line.reach.at if line.reach is not None else line.newest
    seconds = max(0.0, (present.now - whole).total_seconds())
    if present.last is None:
        return Lost(seconds=seconds)
    undone = None if number is None else max(0, present.last - number)
    return Lost(undone, max(0, present.last - end_of(line)), seconds)


def resolved(made: Plan, times: Iterable[tuple[int, datetime]], line: Timeline, present: Present) -> Plan:
    """The plan with its exact position. Raises Unreachable.

    Args:
        times: number and time of the transactions in `search`, in their order.
    """
    target = made.target
    if made.search is None or not isinstance(target, Moment):
        return made
    number = made.search.first - 1
    for each, at in times:
        if at >= target.at:
            break
        number = max(number, each)
    chain = _chain(line, target, made.domain, number)
    logs = _logs(line, chain[-1].end, number, made.domain)
    lost = _lost(line, present, number)
    return replace(made, chain=chain, logs=logs, number=number, search=None, lost=lost)


def reachable(line: Timeline) -> str:
    """What a restore can reach on a timeline, for people."""
    if not line.bases:
        return "Nothing can be reached."
    domain, parts = line.bases[-1].domain, []
    for first, last, at in _stretches(line):
        until = shown(at) if at is not None else "the end of the base"
        parts.append(f"{gtid(domain, first.end)} ({shown(first.ended)}) to {gtid(domain, last)} ({until})")
    return f"What can be reached on timeline {line.name}: {'; '.join(parts)}."


def _stretches(line: Timeline) -> list[tuple[Base, int, datetime | None]]:
    """From which base up to which number, and until when, without a gap."""
    found: list[tuple[Base, int, datetime | None]] = []
    for base in line.bases:
        if line.chain(base) is None or (found and base.end <= found[-1][1]):
            continue
        taken, at = base.end, None
        for log in line.logs:
            if log.last <= taken:
                continue
            if log.first > taken + 1:
                break
            taken, at = log.last, log.ended
        if line.reach is not None and taken >= line.reach.last and taken >= end_of(line):
            at = line.reach.at
        found.append((base, taken, at))
    return found


def _elsewhere(catalog: Catalog, line: Timeline, target: Target, present: Present) -> list[str]:
    """Other timelines on which the target can be reached, the one that was written to last first."""
    if isinstance(target, Latest):
        return []
    found = []
    for other in sorted(catalog.timelines.values(), key=lambda each: each.newest, reverse=True):
        if other.name != line.name:
            try:
                _on(other, target, present)
            except Unreachable:
                continue
            found.append(other.name)
    return found


def version(server: str) -> str | None:
    """`11.8` of `11.8.9-MariaDB-deb13-log`; None of what is no version."""
    parts = server.split(".")
    return f"{parts[0]}.{parts[1]}" if len(parts) > 1 and parts[0].isdigit() and parts[1].isdigit() else None
