"""Whether backups are as they must be: pure functions from what is known to sentences, each with its remedy.

For `verify`, `operations backups` and whoever asks the node. A backup that is too old, has failed or is
missing, and a gap between logs, is said here and nowhere else.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from .cadence import AHEAD
from .chain import missing
from .manifest import moment
from .plan import Plan
from .records import Known

BEHIND = timedelta(minutes=5)
"""How long logs may be behind besides the cadence."""


@dataclass(frozen=True)
class Sentence:
    """One thing that must hold. `remedy`: what to do where it does not."""

    what: str
    ok: bool
    found: str
    remedy: str = ""


def judge(plan: Plan, known: Known, timeline: str, now: datetime) -> list[Sentence]:
    """All of it. `timeline`: of the cluster as it is."""
    return [
        _newest(plan, known, timeline, now, full=True),
        *([_newest(plan, known, timeline, now, full=False)] if plan.rhythm.incremental else []),
        _last_try(known),
        _logs(plan, known, timeline, now),
        _gap(known, timeline),
        _retention(known),
    ]


def _newest(plan: Plan, known: Known, timeline: str, now: datetime, *, full: bool) -> Sentence:
    what = "a full backup that is young enough" if full else "a backup that is young enough"
    remedy = (
        "`python -m operations backup` makes one now and says what is in its way; the log of the node that "
        "archives says why there was none (docs/how-to/backup.md)"
    )
    dated = [base for base in known.of(timeline) if base.kind == "full" or not full]
    bases = [base for base in dated if base.began <= now + AHEAD]
    if not bases:
        before = f"; {len(known.bases)} of former timelines" if known.bases else ""
        found = f"there is none of the cluster as it is{before}"
        if dated:
            found = f"{dated[-1].name} is of a clock that is ahead of this node's"
        return Sentence(what, False, found, remedy)
    newest = max(bases, key=lambda base: base.began)
    late = plan.rhythm.late(newest.began, now, full=full)
    return Sentence(
        what,
        not late,
        f"{newest.name}, {ago(now - newest.began)} old, from {newest.node}",
        remedy if late else "",
    )


def _last_try(known: Known) -> Sentence:
    archive = known.archive
    what = "the last try of a backup succeeded"
    if not archive.tried:
        return Sentence(what, True, "none was made yet")
    if not archive.failed:
        return Sentence(what, True, f"begun {archive.tried}")
    if archive.running:
        found = f"one failed: {archive.failed}; another one is being made, since {archive.tried}"
        return Sentence(what, False, found, "wait for its end (`python -m operations backups`)")
    return Sentence(
        what,
        False,
        f"begun {archive.tried}, failed: {archive.failed}",
        "mend what is said there; it is tried again by itself, and at once by `python -m operations backup`",
    )


def _logs(plan: Plan, known: Known, timeline: str, now: datetime) -> Sentence:
    archive = known.archive
    what = "binary logs are archived as they are written"
    most = timedelta(seconds=2 * plan.log_seconds) + BEHIND
    remedy = (
        "the log of the node that archives says why. Nodes keep what is not archived, and their disks fill "
        "up with it (docs/how-to/backup.md)"
    )
    who = known.archiver or "nobody"
    if archive.timeline != timeline or not archive.reach:
        why = archive.problem or "nothing is archived of the cluster as it is"
        return Sentence(what, False, f"{why}; {who} archives", remedy)
    behind = now - moment(archive.reach)
    found = f"all until {ago(behind)} ago, number {archive.last or 0}, by {who}"
    if archive.problem:
        found += f": {archive.problem}"
    if behind < -AHEAD:
        found = f"all until {archive.reach}, which is in the future by the clock of the node that was asked"
    ok = -AHEAD <= behind <= most
    return Sentence(what, ok, found, "" if ok else remedy)


def _gap(known: Known, timeline: str) -> Sentence:
    archive = known.archive
    what = "no transaction is missing in the archive"
    lost = missing(archive.first, [archive.gap] if archive.gap else [])
    bases = known.of(timeline)
    if archive.timeline != timeline or not lost or not bases:
        return Sentence(what, True, "none is")
    said = (
        f"{archive.gap.first} to {archive.gap.last} are"
        if archive.gap
        else f"what is before {archive.first} is"
    )
    behind = [base for base in bases if base.gtid >= lost]
    if len(behind) == len(bases):
        return Sentence(what, True, "none is")
    if behind:
        since = min(behind, key=lambda base: base.began)
        return Sentence(what, True, f"none since {since.name}; before it {said} in no log")
    return Sentence(
        what,
        False,
        f"{said} in no log: no moment after that can be restored",
        "`python -m operations backup` makes a full backup, from which on all can be restored again; the log "
        "of the node that archives says when it lost them",
    )


def _retention(known: Known) -> Sentence:
    what, why = "the retention lets go what need not be kept", known.archive.kept
    return Sentence(what, not why, why or "it does", "mend what is said there" if why else "")


def ago(span: timedelta) -> str:
    """A span for people."""
    seconds = max(0, int(span.total_seconds()))
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds // length} {unit}"
    return f"{seconds} s"
