"""What the key-value store knows of backups: short records, for whoever asks the cluster.

The bucket is the truth; this is written after it, and made anew from it when it is lost. Owns: the records,
and reading them so that one which is damaged is as one that is not there. Leaves to others: when they are
written (`archiver`), what follows from them (`judgement`).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from datetime import datetime
from typing import Any

from ..store import Entry
from . import layout
from .layout import Span
from .manifest import Base, moment
from .retention import Kept

ARCHIVER, ARCHIVE, WANTED = "archiver", "archive", "backup-wanted"
BACKUPS, LOGGING = "backups/", "logging/"


@dataclass(frozen=True)
class Backup:
    """A base, in short; the fields are those of its manifest. `gtid`: of the data.

    `keys`: tells for whom it is encrypted (`keys_of`); empty in records of before.
    """

    timeline: str
    name: str
    kind: str
    parent: str | None
    node: str
    data: str
    begun: str
    ended: str
    gtid: int
    lsn: int
    before: int
    stored: int
    sha256: str
    schema: str
    keys: str = ""

    @classmethod
    def of(cls, base: Base) -> Backup:
        """From its manifest."""
        return cls(
            timeline=base.timeline,
            name=base.name,
            kind=base.kind,
            parent=base.parent,
            node=base.node,
            data=base.data,
            begun=base.begun,
            ended=base.ended,
            gtid=base.gtid["end"],
            lsn=base.lsn["to"],
            before=base.bytes["before"],
            stored=base.bytes["stored"],
            sha256=base.sha256,
            schema=f"{base.schema.get('tables', 0)}:{str(base.schema.get('sha256', ''))[:16]}",
            keys=keys_of(base.recipients),
        )

    @property
    def began(self) -> datetime:
        """When it began."""
        return moment(self.begun)

    def kept(self) -> Kept:
        """As the retention needs it."""
        ended = moment(self.ended)
        return Kept(self.timeline, self.name, self.kind, self.parent, self.began, self.gtid, ended)


@dataclass(frozen=True)
class Archive:
    """The logs of the present timeline, and how the last try of a base ended. Times as in manifests.

    Attributes:
        node: who has written this.
        first, last: what is archived; None for nothing yet.
        reach: all that was committed before is archived; empty for never.
        gap: the newest numbers that are in no log; None without one.
        problem: why logs are not archived now; empty where they are.
        tried: when the last base was begun; empty for never. failed: why it failed; empty if it did not.
        running: which base is being made, empty for none. done: bytes of it so far.
        asked: which request of a person the last base answers.
        broken: of which kind the last try was, if its node stopped or lost the right; empty for any other.
        kept: why the retention deletes nothing; empty where it does.
    """

    timeline: str = ""
    node: str = ""
    first: int | None = None
    last: int | None = None
    reach: str = ""
    gap: Span | None = None
    problem: str = ""
    tried: str = ""
    failed: str = ""
    running: str = ""
    done: int = 0
    asked: str = ""
    broken: str = ""
    kept: str = ""

    def dumps(self) -> str:
        """As it is stored."""
        return json.dumps(asdict(self), sort_keys=True)


@dataclass(frozen=True)
class Wanted:
    """A person asks for a base now. `id` tells one request from another."""

    id: str
    kind: str

    def dumps(self) -> str:
        """As it is stored."""
        return json.dumps(asdict(self), sort_keys=True)


@dataclass(frozen=True)
class Known:
    """All of it. `bases` from the oldest to the newest. `logging`: names of nodes that write binary logs."""

    archiver: str = ""
    holds: bool = False
    archive: Archive = Archive()
    bases: tuple[Backup, ...] = ()
    wanted: Wanted | None = None
    logging: frozenset[str] = frozenset()

    def of(self, timeline: str) -> list[Backup]:
        """The bases of a timeline."""
        return [base for base in self.bases if base.timeline == timeline]


def keys_of(recipients: Iterable[str]) -> str:
    """Tells these public keys from others, in any order."""
    return hashlib.sha256(" ".join(sorted(recipients)).encode()).hexdigest()[:16]


def known(entries: Mapping[str, Entry]) -> Known:
    """From the store's keys."""
    holder = entries.get(ARCHIVER)
    bases = [
        backup
        for key, entry in entries.items()
        if key.startswith(BACKUPS) and (backup := _load(Backup, entry.value)) is not None
        if layout.begun(backup.name) is not None
    ]
    archive = _load(Archive, entries[ARCHIVE].value) if ARCHIVE in entries else None
    wanted = _load(Wanted, entries[WANTED].value) if WANTED in entries else None
    if archive is not None:
        gap = archive.gap
        archive = replace(archive, gap=Span(**gap) if isinstance(gap, dict) else None)
    return Known(
        archiver=holder.value if holder is not None else "",
        holds=holder is not None and holder.own,
        archive=archive or Archive(),
        bases=tuple(sorted(bases, key=lambda base: (base.name, base.timeline))),
        wanted=wanted,
        logging=frozenset(key.removeprefix(LOGGING) for key in entries if key.startswith(LOGGING)),
    )


def broken(backup: Backup, found: Mapping[str, Backup], sizes: Mapping[str, int]) -> str:
    """Why a base is none; empty for one that is whole, with all that it goes on from.

    `found`: bases with a manifest, by name. `sizes`: bytes of the objects that are there.
    """
    each, seen = backup, {backup.name}
    while True:
        if (there := sizes.get(f"{each.name}/{layout.DATA}", 0)) != each.stored:
            return f"the store has {there} of the {each.stored} bytes of {each.name}"
        if each.parent is None:
            return ""
        if each.parent not in found or each.parent in seen:
            return f"it goes on from {each.parent}, which is none"
        each = found[each.parent]
        seen.add(each.name)


def key(backup: Backup) -> str:
    """Where it is kept."""
    return f"{BACKUPS}{backup.timeline}/{backup.name}"


def dumps(backup: Backup) -> str:
    """As it is stored."""
    return json.dumps(asdict(backup), sort_keys=True)


def _load(kind: Any, text: str) -> Any:
    """A record, or None for one that is none of ours."""
    try:
        values = json.loads(text)
        names = {field.name for field in fields(kind)}
        made = kind(**{name: value for name, value in values.items() if name in names})
        if isinstance(made, Backup):
            made.kept()
    except (ValueError, TypeError, AttributeError):
        return None
    return made
