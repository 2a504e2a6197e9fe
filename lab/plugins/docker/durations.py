"""Durations as Go writes them (`1m30s`), which is what Docker's inputs use, in whole nanoseconds."""

from __future__ import annotations

import re
from decimal import Decimal

_UNITS = {
    "ns": 1,
    "us": 1_000,
    "µs": 1_000,
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60_000_000_000,
    "h": 3_600_000_000_000,
}
_PART = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h)")


def parse(text: str) -> int:
    """Nanoseconds of `text`. Raises ValueError with a remedy when it is no duration of 0 or more."""
    if text == "0":
        return 0
    parts = _PART.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ValueError(f"'{text}' is no duration; write it as 500ms, 10s, 1m30s or 2h")
    return int(sum(Decimal(number) * _UNITS[unit] for number, unit in parts))


def render(nanoseconds: int) -> str:
    """As the official plugin writes it: 60000000000 is `1m`, 1500000000 is `1.5s`, 3605000000000 is `1h0m5s`.

    That is Go's way without zero seconds at the end, and without zero minutes before them.
    """
    if nanoseconds == 0:
        return "0s"
    if nanoseconds < _UNITS["s"]:
        unit = next(unit for unit in ("ms", "µs", "ns") if nanoseconds >= _UNITS[unit])
        return f"{(Decimal(nanoseconds) / _UNITS[unit]).normalize():f}{unit}"
    hours, rest = divmod(nanoseconds, _UNITS["h"])
    minutes, rest = divmod(rest, _UNITS["m"])
    seconds = (Decimal(rest) / _UNITS["s"]).normalize()
    if not rest:
        return (f"{hours}h" if hours else "") + (f"{minutes}m" if minutes else "")
    return (f"{hours}h" if hours else "") + (f"{minutes}m" if hours or minutes else "") + f"{seconds:f}s"
