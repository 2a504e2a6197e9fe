"""What the archive holds, as its manifests say it, by timeline. Pure.

Owns: reading manifests into records, what is whole of them. Leaves to others: the format itself
(docs/reference/archive.md), the object store, which of it a restore takes (`plan`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

FORMAT = 1
KEY = re.compile(r"(?P<timeline>[^/]+)/(?:base/(?P<base>[^/]+)/manifest|log/(?P<log>reach|[^/]+))\.json")


class CatalogError(Exception):
    """The archive can't be read; the message says what of it, and the remedy."""


@dataclass(frozen=True)
class Base:
    """A base backup.

    Attributes:
        key: of its data object, below the cluster's folder.
        end: the number of the last transaction in it. start: the node's when the backup began.
        before, stored: bytes, before compression and of the object. sha256: of the object.
    """

    key: str
    timeline: str
    name: str
    kind: str
    parent: str | None
    node: str
    server: str
    begun: datetime
    ended: datetime
    domain: int
    start: int
    end: int
    before: int
    stored: int
    sha256: str


@dataclass(frozen=True)
class Log:
    """A binary log: the transactions `first` to `last`; `began`: when the first one did, `ended`: the latest
    time at which any of them did.
    """

    key: str
    timeline: str
    server: str
    domain: int
    first: int
    last: int
    began: datetime
    ended: datetime
    before: int
    stored: int
    sha256: str


@dataclass(frozen=True)
class Reach:
    """Everything committed before `at` has a number up to `last`, and is archived."""

    at: datetime
    last: int


@dataclass(frozen=True)
class Timeline:
    """One history of numbers; `bases` in the order of their positions, `logs` in that of their reading."""

    name: str
    bases: tuple[Base, ...] = ()
    logs: tuple[Log, ...] = ()
    reach: Reach | None = None

    @property
    def newest(self) -> datetime:
        """When it was last written to, as far as its manifests say."""
        times = [base.ended for base in self.bases] + [log.ended for log in self.logs]
        times += [self.reach.at] if self.reach is not None else []
        return max(times, default=datetime.min.replace(tzinfo=UTC))

    def chain(self, base: Base) -> tuple[Base, ...] | None:
        """The full base and the incrementals that lead to this one, oldest first; None if one is missing."""
        known, found = {each.name: each for each in self.bases}, [base]
        while (parent := found[0].parent) is not None:
            if parent not in known or known[parent] in found:
                return None
            found.insert(0, known[parent])
        return tuple(found) if found[0].kind == "full" else None


@dataclass(frozen=True)
class Catalog:
    """All timelines by name. `odd`: manifests that this version can't read, and why."""

    timelines: Mapping[str, Timeline] = field(default_factory=dict)
    odd: tuple[str, ...] = ()

    def present(self, timeline: str | None) -> Timeline | None:
        """The running cluster's; without one, the one that was last written to. None if there is none."""
        if timeline is not None and timeline in self.timelines:
            return self.timelines[timeline]
        if timeline is not None or not self.timelines:
            return None
        return max(self.timelines.values(), key=lambda each: each.newest)


def catalog(manifests: Mapping[str, Any]) -> Catalog:
    """From manifests by their key below `PREFIX/CLUSTER/`. What is damaged is named and left out."""
    parts: dict[str, list[Base | Log | Reach]] = {}
    odd = []
    for key, said in sorted(manifests.items()):
        found = KEY.fullmatch(key)
        if not found:
            continue
        try:
            record = _record(key, found["timeline"], found["log"], said)
        except (KeyError, TypeError, ValueError) as error:
            odd.append(f"{key}: {error if isinstance(error, ValueError) else f'has no proper {error}'}")
            continue
        parts.setdefault(found["timeline"], []).append(record)
    return Catalog({name: _timeline(name, records) for name, records in parts.items()}, tuple(odd))


def _timeline(name: str, records: Iterable[Base | Log | Reach]) -> Timeline:
    line = Timeline(name)
    bases = [each for each in records if isinstance(each, Base)]
    logs = [each for each in records if isinstance(each, Log)]
    reaches = [each for each in records if isinstance(each, Reach)]
    return replace(
        line,
        bases=tuple(sorted(bases, key=lambda base: (base.end, base.begun))),
        logs=tuple(sorted(logs, key=lambda log: (log.first, log.last))),
        reach=reaches[0] if reaches else None,
    )


def _record(key: str, timeline: str, log: str | None, said: Any) -> Base | Log | Reach:
    """Raises KeyError, TypeError or ValueError for one that is not as the format says."""
    if said["format"] != FORMAT:
        raise ValueError(f"is of format {said['format']}, and this version knows {FORMAT}")
    if said["timeline"] != timeline:
        raise ValueError(f"says that it is of timeline {said['timeline']}")
    if log == "reach":
        return Reach(_time(said["at"]), int(said["last"]))
    folder = key.rpartition("/")[0]
    size = said["bytes"]
    if log is not None:
        return Log(
            key=f"{folder}/{_name(said['object'])}",
            timeline=timeline,
            server=str(said["server"]),
            domain=int(said["domain"]),
            first=int(said["gtid"]["first"]),
            last=int(said["gtid"]["last"]),
            began=_time(said["time"]["first"]),
            ended=_time(said["time"]["last"]),
            before=int(size["before"]),
            stored=int(size["stored"]),
            sha256=str(said["sha256"]),
        )
    if said["kind"] not in ("full", "incremental"):
        raise ValueError(f"is of the kind {said['kind']!r}")
    return Base(
        key=f"{folder}/{_name(said['object'])}",
        timeline=timeline,
        name=str(said["name"]),
        kind=str(said["kind"]),
        parent=None if said["parent"] is None else str(said["parent"]),
        node=str(said["node"]),
        server=str(said["server"]),
        begun=_time(said["begun"]),
        ended=_time(said["ended"]),
        domain=int(said["domain"]),
        start=int(said["gtid"]["start"]),
        end=int(said["gtid"]["end"]),
        before=int(size["before"]),
        stored=int(size["stored"]),
        sha256=str(said["sha256"]),
    )


def _name(text: Any) -> str:
    if not isinstance(text, str) or "/" in text or text.startswith("."):
        raise ValueError(f"names the object {text!r}, which is no name beside it")
    return text


def _time(text: str) -> datetime:
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError(f"has the time {text!r} without its offset")
    return at.astimezone(UTC)
