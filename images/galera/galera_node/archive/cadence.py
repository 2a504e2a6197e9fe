"""When a base backup is due: cadences in plain words, and a window of the day. Pure functions.

A cadence is `every` so long; with a window, backups begin only within it, and it is counted from window to
window: one that began late today is due at tomorrow's beginning, and does not creep through the day.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

UNITS = {"hour": 3600, "day": 86400, "week": 7 * 86400}
CADENCE = re.compile(r"(?:(\d{1,3}) )?(hour|day|week)s?")
WINDOW = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d)")
NEVER = "never"
DAY = timedelta(days=1)
AHEAD = timedelta(minutes=10)
"""By how much clocks may differ: what is later than that from now is of one that was, or is, wrong."""


def past(times: Sequence[datetime], now: datetime) -> list[datetime]:
    """Those that are not in the future."""
    return [time for time in times if time <= now + AHEAD]


def every(text: str) -> timedelta | None:
    """`6 hours`, `1 day`, `week`, `2 weeks`; None for `never`. Raises ValueError for anything else."""
    if text == NEVER:
        return None
    found = CADENCE.fullmatch(text)
    if found is None or found[1] in ("0", "00", "000"):
        raise ValueError(f"{text!r} is no cadence")
    return timedelta(seconds=int(found[1] or 1) * UNITS[found[2]])


@dataclass(frozen=True)
class Window:
    """A part of each day, UTC, in which backups begin; it may go over midnight. Minutes since midnight."""

    begin: int
    end: int

    @property
    def length(self) -> timedelta:
        """How long it is; a whole day where both ends are one."""
        return timedelta(minutes=(self.end - self.begin) % 1440 or 1440)

    def opened(self, now: datetime) -> datetime:
        """When the last one opened, whether it is still open or not."""
        today = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        opening = today + timedelta(minutes=self.begin)
        return opening if opening <= now else opening - DAY

    def is_open(self, now: datetime) -> bool:
        """Whether a backup may begin."""
        return now < self.opened(now) + self.length


def window(text: str) -> Window | None:
    """`01:00-05:00`; None for an empty text: any time will do. Raises ValueError."""
    if not text:
        return None
    found = WINDOW.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is no window")
    hours = [int(part) for part in found.groups()]
    return Window(hours[0] * 60 + hours[1], hours[2] * 60 + hours[3])


@dataclass(frozen=True)
class Rhythm:
    """How often bases are made. `incremental` None: never."""

    full: timedelta
    incremental: timedelta | None = None
    window: Window | None = None

    def due(self, fulls: Sequence[datetime], all_bases: Sequence[datetime], now: datetime) -> str | None:
        """`full` or `incremental` if one is to begin now, else None.

        Args:
            fulls: when the full ones of this timeline began. all_bases: likewise, with the incrementals.
                Those of the future count for nothing: there would be no backup until then.
        """
        fulls, all_bases = past(fulls, now), past(all_bases, now)
        if not fulls:
            return "full"  # nothing can be restored: no window holds that up
        if self.window is not None and not self.window.is_open(now):
            return None
        if self._since(max(fulls), now) >= self.full:
            return "full"
        if self.incremental is not None and self._since(max(all_bases), now) >= self.incremental:
            return "incremental"
        return None

    def _since(self, begun: datetime, now: datetime) -> timedelta:
        if self.window is None:
            return now - begun
        return self.window.opened(now) - self.window.opened(begun)

    @property
    def shortest(self) -> timedelta:
        """After so long there is a new base, of either kind."""
        return self.full if self.incremental is None else min(self.full, self.incremental)

    def late(self, begun: datetime, now: datetime, *, full: bool) -> bool:
        """Whether the newest one, of which nothing is due any more, is too old.

        By a quarter, and at least an hour; with a window by a day, as it may have missed one.
        """
        cadence = self.full if full else self.shortest
        patience = max(cadence / 4, timedelta(hours=1))
        return now - begun > cadence + (max(patience, DAY) if self.window else patience)
