"""What `verify` says of the last drill: a backup that was not restored and compared does not count.

Owned here: when a drill is too old. Left to others: making one (restore/drill.py), the report
(images/galera).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from operations.checks.backup import told
from operations.checks.check import Check
from operations.facts.cluster import HostFacts
from operations.outputs import Outputs

OLD = timedelta(days=8)
"""After this a drill no longer speaks for the backups: a week and a day."""
AHEAD = timedelta(hours=1)
"""By so much may the clocks of two hosts differ."""
WHAT = "the backups were restored and compared"
REMEDY = "`make restore-drill` (docs/how-to/backup-and-restore.md)"


def of_drill(outputs: Outputs, facts: Mapping[str, HostFacts], now: datetime | None = None) -> list[Check]:
    """Of the drill and of a restore; none of a stack without backups, or whose nodes know nothing of them."""
    return [*_drill(outputs, facts, now), *_restore(outputs, facts)]


def _restore(outputs: Outputs, facts: Mapping[str, HostFacts]) -> list[Check]:
    """A warning while a restore is not over: the data of before takes room, and a person is to look."""
    for name in outputs.members:
        if (words := facts[name].node_status.get("restore")) is not None:
            return [Check("cluster", "no restore waits for a word", True, str(words), True, _WORD)]
    return []


def _drill(outputs: Outputs, facts: Mapping[str, HostFacts], now: datetime | None) -> list[Check]:
    found = told(outputs, facts)
    if not outputs.backup or not found:
        return []
    drill = found.get("drill")
    last, good = (drill.get(name) if isinstance(drill, Mapping) else None for name in ("last", "good"))
    if not isinstance(last, Mapping):
        return [Check("cluster", WHAT, True, "never: nobody knows what they are worth", True, REMEDY)]
    words = str(last.get("told", ""))
    if not last.get("equal"):
        before = f"; the last good one: {good['when']}" if isinstance(good, Mapping) else ""
        return [Check("cluster", WHAT, False, f"{words}{before}", remedy=_MEND)]
    age = (now or datetime.now(UTC)) - _when(last)
    if age < -AHEAD:  # it would never grow old
        return [
            Check("cluster", WHAT, True, f"{words}, which is yet to come: a clock is wrong", True, REMEDY)
        ]
    present, of = str(found.get("timeline") or ""), str(last.get("timeline") or "")
    former = bool(present and of) and present != of
    told_of = f"{age.days} d ago: {words}"
    if former:  # another archive, in effect: what is written since was never restored
        told_of += f"; of the former timeline {of}, and none of the present one"
    old = age > OLD or former
    return [Check("cluster", WHAT, True, told_of, old, REMEDY if old else "")]


_WORD = "`make restore DONE=1` once you are content, `make restore UNDO=1` for the data of before"
_MEND = (
    "what the report names; then `make restore-drill` again. Until it is equal, do not rely on these "
    "backups: make a full one now (`python -m operations backup`)"
)


def _when(report: Mapping[str, Any]) -> datetime:
    try:
        return datetime.fromisoformat(str(report.get("when"))).astimezone(UTC)
    except ValueError:
        return datetime.min.replace(tzinfo=UTC)
