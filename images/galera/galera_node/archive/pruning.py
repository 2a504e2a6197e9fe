"""Deletes from the bucket what the retention lets go, manifests first.

Leaves to others: what that is (`retention`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from ..words import log
from . import layout, manifest
from .bucket import Bucket
from .layout import Span
from .manifest import ManifestError
from .plan import Plan
from .records import Backup
from .retention import Doomed, doomed

RECENT = timedelta(minutes=15)
"""Who has archived in this time does so still: whoever does writes more often, and clocks differ by less."""


class Shared(Exception):
    """Another cluster archives in the same folder; the message says which, and what to do."""


def prune(plan: Plan, bucket: Bucket, bases: list[Backup], present: str, now: datetime) -> list[Backup]:
    """Deletes it; which bases are gone. Raises BucketError, ManifestError, Shared.

    Args:
        bases: those that are known; others are read from the bucket. present: the cluster's timeline.
    """
    place, young = plan.place, now - timedelta(days=plan.keep.days)
    timelines = [entry.key.strip("/") for entry in bucket.listed(place.root, deep=False)]
    with_base, data = set[str](), dict[tuple[str, Span], list[str]]()
    all_bases, logs, reaches = list[Backup](), list[tuple[str, Span]](), list[str]()
    for timeline in timelines:
        for entry in bucket.listed(place.bases(timeline)):
            name, _, file = entry.key.partition("/")
            if file == layout.MANIFEST:
                all_bases.append(_backup(bucket, plan, bases, timeline, name))
                with_base.add(timeline)
        for entry in bucket.listed(place.logs(timeline)):
            if (span := layout.span(entry.key)) is not None:
                logs.append((timeline, span))
            elif (span := layout.data_span(entry.key)) is not None:
                data.setdefault((timeline, span), []).append(f"{place.logs(timeline)}/{entry.key}")
            elif entry.key == layout.REACH and timeline != present:
                reaches.append(timeline)
    began = min((base.began for base in all_bases if base.timeline == present), default=now)
    for timeline in reaches:
        _alone(bucket, plan, timeline, max(began, now - RECENT))
    # One without a base may be new, and the first one on its way; or another cluster's that begins here.
    over = [
        timeline
        for timeline in timelines
        if timeline in with_base or _written(bucket, plan, timeline, logs, now) < young
    ]
    goes = doomed([base.kept() for base in all_bases], logs, over, present, plan.keep, now)
    _delete(plan, bucket, goes, data)
    bucket.clean()
    gone = {*goes.bases}
    return [base for base in bases if (base.timeline, base.name) in gone or base.timeline in goes.timelines]


def _alone(bucket: Bucket, plan: Plan, timeline: str, since: datetime) -> None:
    """Raises Shared if somebody has written to another timeline since then: whose retention knows nothing of
    what this one's needs, and this one's nothing of that.
    """
    try:
        text = bucket.read(f"{plan.place.logs(timeline)}/{layout.REACH}")
        at = manifest.moment(manifest.loads(manifest.Reach, text).at)
    except (ManifestError, ValueError):
        return
    if at > since:
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


def _delete(plan: Plan, bucket: Bucket, goes: Doomed, data: Mapping[tuple[str, Span], Sequence[str]]) -> None:
    """`data`: keys of the logs' data, of which more than one node may have written some."""
    place = plan.place
    for timeline, name in goes.bases:
        folder = place.base(timeline, name)
        bucket.delete(f"{folder}/{layout.MANIFEST}")
        bucket.purge(folder)
    for timeline, span in goes.logs:
        bucket.delete(place.log_manifest(timeline, span))
        for key in data.get((timeline, span), ()):
            bucket.delete(key)
    for timeline in goes.timelines:
        bucket.purge(place.timeline(timeline))
    if goes:
        log(
            f"archive: the retention lets go {len(goes.bases)} backups, {len(goes.logs)} logs and "
            f"{len(goes.timelines)} former timelines"
        )
