"""The keys of an archive in its bucket: pure functions from what an object is to its key, and back.

Leaves to others: what is in the objects (`manifest`), the bucket itself (`bucket`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime

DATA = "data.mbs.zst.age"
MANIFEST = "manifest.json"
REACH = "reach.json"
BEGUN = "begun"
KINDS = ("full", "incremental")
STAMP = "%Y%m%dT%H%M%SZ"
DIGITS = 20
"""Of a sequence number in a key: as many as the largest has, so that names are ordered as numbers are."""
_BASE = re.compile(rf"(\d{{8}}T\d{{6}}Z)-({'|'.join(KINDS)})")
_LOG = re.compile(rf"(\d{{{DIGITS}}})-(\d{{{DIGITS}}})\.json")
_LOG_DATA = re.compile(rf"(\d{{{DIGITS}}})-(\d{{{DIGITS}}})\.[^/]+\.zst\.age")


def timeline(uuid: str, epoch: str) -> str:
    """The name of one of the cluster's histories; the first epoch has no name in the store, and is 0 here."""
    return f"{uuid}.{epoch or '0'}"


def base_name(begun: datetime, kind: str) -> str:
    """`STAMP-KIND` of a base that begins now. `begun`: with its time zone."""
    return f"{begun.astimezone(UTC).strftime(STAMP)}-{kind}"


def kind(name: str) -> str:
    """Of which kind a base of this name is; empty for no name of one."""
    found = _BASE.fullmatch(name)
    return found[2] if found else ""


def begun(name: str) -> datetime | None:
    """When a base of this name began; None for no name of one."""
    found = _BASE.fullmatch(name)
    return datetime.strptime(found[1], STAMP).replace(tzinfo=UTC) if found else None


def log_name(first: int, last: int) -> str:
    """`FIRST-LAST` of a binary log."""
    return f"{first:0{DIGITS}d}-{last:0{DIGITS}d}"


@dataclass(frozen=True, order=True)
class Span:
    """The sequence numbers of a log, both included."""

    first: int
    last: int


def span(name: str) -> Span | None:
    """Of the manifest of a log, by its name in the folder; None for anything else."""
    return _span(_LOG.fullmatch(name))


def data_span(name: str) -> Span | None:
    """The same of a log's data, whichever node's."""
    return _span(_LOG_DATA.fullmatch(name))


def _span(found: re.Match[str] | None) -> Span | None:
    return Span(int(found[1]), int(found[2])) if found else None


@dataclass(frozen=True)
class Place:
    """Where the archive of a cluster is: all keys begin with `root`."""

    prefix: str
    cluster: str

    @property
    def root(self) -> str:
        """Without a slash at its end."""
        return "/".join(part for part in (self.prefix.strip("/"), self.cluster) if part)

    def timeline(self, name: str) -> str:
        """The folder of a timeline."""
        return f"{self.root}/{name}"

    def bases(self, timeline: str) -> str:
        """The folder of its bases."""
        return f"{self.timeline(timeline)}/base"

    def base(self, timeline: str, name: str) -> str:
        """The folder of one base."""
        return f"{self.bases(timeline)}/{name}"

    def logs(self, timeline: str) -> str:
        """The folder of its logs."""
        return f"{self.timeline(timeline)}/log"

    def log(self, timeline: str, span: Span, node: str) -> tuple[str, str]:
        """The keys of a log's data and of its manifest.

        The node that archives it is in the data's name: two that do so at once, for one has lost the right
        and does not know it yet, would else leave the one's data with the other's checksum.
        """
        data = f"{self.logs(timeline)}/{log_name(span.first, span.last)}.{node}.zst.age"
        return data, self.log_manifest(timeline, span)

    def log_manifest(self, timeline: str, span: Span) -> str:
        """The key of its manifest, whoever wrote it."""
        return f"{self.logs(timeline)}/{log_name(span.first, span.last)}.json"
