"""What a person wants to go back to: a moment, a transaction, or the end of the archive. Pure.

Owns: reading that from text. Leaves to others: whether the archive reaches it (`plan`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime

GTID = re.compile(r"(\d+)-(\d+)-(\d+)")
REMEDY = (
    "Give a moment like '2026-11-28 14:32:10' (UTC, or with an offset: '2026-11-28 16:32:10+02:00'), a GTID "
    "like 1-1-51288, or latest"
)


class TargetError(Exception):
    """This is no target; the message says what would be one."""


@dataclass(frozen=True)
class Moment:
    """All transactions before this moment, none of it or later.

    So the moment of a statement that should not have been is the target that lacks it. The log's clock has
    whole seconds, so a moment has, too: a later part of its second would take that statement along.
    """

    at: datetime

    def __str__(self) -> str:
        return f"{shown(self.at)}"


@dataclass(frozen=True)
class Number:
    """All transactions up to this one, which is in it."""

    domain: int
    server: int
    number: int

    def __str__(self) -> str:
        return f"{self.domain}-{self.server}-{self.number}"


@dataclass(frozen=True)
class Latest:
    """All that the archive has."""

    def __str__(self) -> str:
        return "latest"


Target = Moment | Number | Latest


def shown(at: datetime) -> str:
    """A moment for people: in UTC, to the second."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def parse(text: str, now: datetime) -> Target:
    """The target that `text` names. Raises TargetError. `now`: for a moment that is yet to come."""
    said = text.strip()
    if said.lower() == "latest":
        return Latest()
    # Before the GTID: a day looks like one.
    if re.fullmatch(r"\d{4}-?\d\d-?\d\d", said) or _is_day(said):
        raise TargetError(f"{text!r} is a day: which moment of it? {REMEDY}.")
    if found := GTID.fullmatch(said):
        return Number(int(found[1]), int(found[2]), int(found[3]))
    try:
        at = datetime.fromisoformat(said)
    except ValueError:
        raise TargetError(f"{text!r} is no target of a restore. {REMEDY}.") from None
    at = at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    at = at.replace(microsecond=0)
    if at > now:
        raise TargetError(
            f"{shown(at)} is yet to come (it is {shown(now)}). A time without an offset is UTC. {REMEDY}."
        )
    return Moment(at)


def _is_day(text: str) -> bool:
    """Whether it is a day in any of the forms that there are, which would be taken for its midnight."""
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True
