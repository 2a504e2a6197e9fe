"""A drill's report: what was restored and compared, a fact in the store. Pure.

A backup that was not restored and compared does not count, so the age of the last good report is what
`verify` asks for. Owns: the record, its keys, its words.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from typing import Any

from ..store import Entry, Put

LAST, GOOD = "drill", "drill-good"
"""Keys: the last drill, and the last one that found everything equal."""
TOLD = 20
"""Differences that are kept."""


@dataclass(frozen=True)
class Report:
    """One drill. `when`: its end, UTC. `failed`: why it came to no comparison; empty where it did.

    `base`: name of the newest base of the chain; `logs`: how many were replayed; `position`: GTID; `seconds`:
    all of it, `restoring`: up to the position.
    """

    when: str
    base: str
    timeline: str
    position: str
    logs: int = 0
    tables: int = 0
    rows: int = 0
    seconds: float = 0.0
    restoring: float = 0.0
    differs: tuple[str, ...] = ()
    failed: str = ""
    by: str = ""

    @property
    def good(self) -> bool:
        """Whether all was restored and is equal."""
        return not self.failed and not self.differs

    def told(self) -> str:
        """In one sentence."""
        what = f"{self.base or 'no base'} and {self.logs} log{'s' * (self.logs != 1)}"
        if self.failed:
            return f"drill of {self.when} failed ({what}): {self.failed}"
        found = "equal" if self.good else f"NOT equal: {'; '.join(self.differs)}"
        return (
            f"drill of {self.when}: {what}, at {self.position}: {self.tables} tables with {self.rows} rows, "
            f"{found}; {self.seconds:.0f} s, of which {self.restoring:.0f} s to the position"
        )


def made(values: Mapping[str, Any], differs: Sequence[str], now: datetime) -> Report:
    """From what is known of a drill. Fields that are not known are passed over."""
    names = {each.name for each in fields(Report)} - {"when", "differs"}
    taken = {name: value for name, value in values.items() if name in names}
    kept = tuple(differs[:TOLD])
    if len(differs) > TOLD:
        kept = (*kept, f"and {len(differs) - TOLD} more")
    return Report(when=f"{now.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}", differs=kept, **taken)


def puts(report: Report) -> dict[str, Put]:
    """What is written to the store."""
    text = json.dumps(asdict(report), sort_keys=True)
    return {LAST: Put(text), **({GOOD: Put(text)} if report.good else {})}


def known(entries: Mapping[str, Entry]) -> dict[str, dict[str, Any] | None]:
    """The last drill and the last good one, for `galera-node status --json`; None without one."""
    return {"last": _read(entries.get(LAST)), "good": _read(entries.get(GOOD))}


def _read(entry: Entry | None) -> dict[str, Any] | None:
    if entry is None:
        return None
    try:
        values = json.loads(entry.value)
        report = Report(**{**values, "differs": tuple(values["differs"])})
    except (ValueError, TypeError, KeyError):
        return None
    return {**asdict(report), "equal": report.good, "told": report.told()}
