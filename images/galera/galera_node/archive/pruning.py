"""Deletes from the bucket what the retention lets go, manifests first.

Leaves to others: what that is (`retention`).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from ..words import log
from . import layout, manifest
from .bucket import Bucket, BucketError
from .layout import Span
from .manifest import ManifestError
from .plan import Plan
from .records import Backup, broken
from .retention import Doomed, Kept, doomed

RECENT = timedelta(minutes=15)
"""Who has archived in this time, or in that before this cluster's own last word, does so still: whoever does
writes more often, and clocks differ by less.
"""


CLOCKS = timedelta(hours=6)
"""By how much this node's clock may differ from the store's, or from when that was last written to."""
HALF = timedelta(days=2)
"""A base without a manifest that began so long ago is what a failed one has left."""


class Shared(Exception):
    """Another cluster archives in the same folder; the message says which, and what to do."""


class Clock(Exception):
    """What is old can't be told: this node's clock, or the store's, is wrong."""


@dataclass
class _Found:
    """What there is in the bucket: of bases, of logs, and what belongs to neither yet."""

    timelines: list[str]
    bases: list[Backup] = field(default_factory=list)
    logs: list[tuple[str, Span]] = field(default_factory=list)
    data: dict[tuple[str, Span], list[str]] = field(default_factory=dict)
    reaches: list[str] = field(default_factory=list)
    halves: list[str] = field(default_factory=list)
    sizes: dict[str, dict[str, int]] = field(default_factory=dict)  # by timeline, of the objects of bases

    def kept(self) -> list[Kept]:
        """The bases as the retention needs them."""
        named: dict[str, dict[str, Backup]] = {}
        for base in self.bases:
            named.setdefault(base.timeline, {})[base.name] = base
        return [
            replace(base.kept(), whole=not broken(base, named[base.timeline], self.sizes[base.timeline]))
            for base in self.bases
        ]


def prune(plan: Plan, bucket: Bucket, bases: list[Backup], present: str, now: datetime) -> list[Backup]:
    """Deletes it; which of `bases` are not there any more. Raises BucketError, ManifestError, Shared, Clock.

    Args:
        bases: those that are known; others are read from the bucket. present: the cluster's timeline.
    """
    young = now - timedelta(days=plan.keep.days)
    found = _listed(plan, bucket, bases, min(young, now - HALF))
    began = min((base.began for base in found.bases if base.timeline == present), default=now)
    # A bucket that is full takes no word of anybody: who has archived until then may be there still.
    own = _reach(bucket, plan, present) if present in found.reaches else None
    last = now if own is None else min(own, now)
    for timeline in found.reaches:
        if timeline != present:
            _alone(bucket, plan, timeline, max(began, last - RECENT))
    with_base = {base.timeline for base in found.bases}
    # One without a base may be new, and the first one on its way; or another cluster's that begins here.
    over = [
        timeline
        for timeline in found.timelines
        if timeline in with_base or _written(bucket, plan, timeline, found.logs, now) < young
    ]
    goes = doomed(found.kept(), found.logs, over, present, plan.keep, now)
    if goes or found.halves:
        _clock(bucket, plan, present, now)
    _delete(plan, bucket, goes, found)
    try:
        for timeline in found.timelines:
            bucket.clean(plan.place.timeline(timeline))
    except BucketError as error:  # what is deleted is, and must be told
        log(f"archive: uploads that were broken off long ago are not ended: {error}")
    left = {(base.timeline, base.name) for base in found.bases} - {*goes.bases}
    return [
        base for base in bases if (base.timeline, base.name) not in left or base.timeline in goes.timelines
    ]


def _listed(plan: Plan, bucket: Bucket, bases: list[Backup], half: datetime) -> _Found:
    """Raises BucketError, ManifestError. `half`: what began before that is not on its way any more."""
    place = plan.place
    found = _Found([entry.key.strip("/") for entry in bucket.listed(place.root, deep=False)])
    for timeline in found.timelines:
        files: dict[str, set[str]] = {}
        sizes = found.sizes[timeline] = {each.key: each.size for each in bucket.listed(place.bases(timeline))}
        for key in sizes:
            name, _, file = key.partition("/")
            files.setdefault(name, set()).add(file)
        for name, there in files.items():
            if layout.MANIFEST in there:
                found.bases.append(_backup(bucket, plan, bases, timeline, name))
            elif (began := layout.begun(name)) is not None and began < half:
                found.halves.append(place.base(timeline, name))
        for entry in bucket.listed(place.logs(timeline)):
            if (span := layout.span(entry.key)) is not None:
                found.logs.append((timeline, span))
            elif (span := layout.data_span(entry.key)) is not None:
                found.data.setdefault((timeline, span), []).append(entry.key)
            elif entry.key == layout.REACH:
                found.reaches.append(timeline)
    return found


def _clock(bucket: Bucket, plan: Plan, present: str, now: datetime) -> None:
    """Raises Clock unless the store's own clock says, too, that it is now.

    What is old is told by this node's clock alone: one that is a month ahead would let a month go.

    Where no logs are archived the store is asked for the time itself: it may take none because it is full,
    and so it would stay if nothing were deleted until it takes some.
    """
    at = bucket.written(f"{plan.place.logs(present)}/{layout.REACH}")
    if abs(now - at) <= CLOCKS or abs(now - (there := bucket.clock())) <= CLOCKS:
        return
    raise Clock(
        f"the retention deletes nothing: by this node's clock it is {manifest.said(now)}, by the store's "
        f"{manifest.said(there)}, and by the store's the archive was last told to be whole at "
        f"{manifest.said(at)}. Remedy: set the clock that is wrong (chrony)"
    )


def _reach(bucket: Bucket, plan: Plan, timeline: str) -> datetime | None:
    """When somebody last archived on a timeline; None for a word that is not understood."""
    text = bucket.read(f"{plan.place.logs(timeline)}/{layout.REACH}")
    try:
        return manifest.moment(manifest.loads(manifest.Reach, text).at)
    except (ManifestError, ValueError):
        return None


def _alone(bucket: Bucket, plan: Plan, timeline: str, since: datetime) -> None:
    """Raises Shared if somebody has written to another timeline since then: whose retention knows nothing of
    what this one's needs, and this one's nothing of that.
    """
    at = _reach(bucket, plan, timeline)
    if at is not None and at > since:
        raise Shared(
            f"the retention deletes nothing: another cluster archives in {plan.place.root}, too, on the "
            f"timeline {timeline} at {manifest.said(at)}, and may need what this one would delete. Remedy: a "
            "`backup.prefix` of its own for one of the two"
        )


def _written(
    bucket: Bucket, plan: Plan, timeline: str, logs: list[tuple[str, Span]], now: datetime
) -> datetime:
    """When the newest log of a timeline was archived; now, if nothing says so."""
    newest = max((span for each, span in logs if each == timeline), default=None)
    if newest is None:
        return now
    try:
        text = bucket.read(plan.place.log_manifest(timeline, newest))
        return manifest.moment(manifest.loads(manifest.Log, text).ended)
    except (ManifestError, ValueError):
        return now


def _backup(bucket: Bucket, plan: Plan, bases: list[Backup], timeline: str, name: str) -> Backup:
    """A base; one whose manifest can't be understood stops all deleting: what it needs is not known."""
    for base in bases:
        if (base.timeline, base.name) == (timeline, name):
            return base
    text = bucket.read(f"{plan.place.base(timeline, name)}/{layout.MANIFEST}")
    try:
        return Backup.of(manifest.loads(manifest.Base, text))
    except ManifestError as error:
        raise ManifestError(f"nothing is deleted by the retention: {timeline}/{name}: {error}") from None


def _delete(plan: Plan, bucket: Bucket, goes: Doomed, found: _Found) -> None:
    """Manifests first. More than one node may have written a log's data."""
    place = plan.place
    for timeline, name in goes.bases:
        folder = place.base(timeline, name)
        bucket.delete(f"{folder}/{layout.MANIFEST}")
        bucket.purge(folder)
    for timeline in sorted({timeline for timeline, _ in goes.logs}):
        spans = [span for each, span in goes.logs if each == timeline]
        told = [place.log_manifest(timeline, span).rpartition("/")[2] for span in spans]
        bucket.delete_all(place.logs(timeline), told)
        bucket.delete_all(
            place.logs(timeline), [key for span in spans for key in found.data.get((timeline, span), ())]
        )
    for folder in (*map(place.timeline, goes.timelines), *found.halves):
        bucket.purge(folder)
    if goes or found.halves:
        log(
            f"archive: the retention lets go {len(goes.bases)} backups, {len(goes.logs)} logs, "
            f"{len(goes.timelines)} former timelines and {len(found.halves)} halves of backups that failed"
        )
