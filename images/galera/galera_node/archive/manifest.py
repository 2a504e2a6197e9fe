"""The manifests of an archive: records of plain JSON, written last, without which a data object is nothing.

Owns: their fields, format 1, and what is refused when one is read. Leaves to others: where they are
(`layout`). Times are UTC with whole seconds.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from typing import Any, TypeVar

FORMAT = 1
TIME = "%Y-%m-%dT%H:%M:%SZ"
R = TypeVar("R", "Base", "Log", "Reach")


class ManifestError(Exception):
    """A manifest that this version does not understand; the message says which and why."""


def said(moment: datetime) -> str:
    """A time as the manifests have it."""
    return moment.astimezone(UTC).strftime(TIME)


def moment(text: str) -> datetime:
    """A time from a manifest. Raises ValueError."""
    return datetime.strptime(text, TIME).replace(tzinfo=UTC)


@dataclass(frozen=True, kw_only=True)
class Base:
    """A base backup; see docs/reference/archive.md for each field.

    `gtid`: `start` and `end`; `lsn`: `from` and `to`; `schema`: `tables` and `sha256`; `bytes`: `before` and
    `stored`.
    """

    cluster: str
    timeline: str
    name: str
    kind: str
    parent: str | None
    node: str
    data: str
    server: str
    image: str
    begun: str
    ended: str
    domain: int
    gtid: Mapping[str, int]
    wsrep: str
    lsn: Mapping[str, int]
    schema: Mapping[str, Any]
    object: str
    bytes: Mapping[str, int]
    sha256: str
    recipients: tuple[str, ...]
    format: int = FORMAT
    what: str = "base"


@dataclass(frozen=True, kw_only=True)
class Log:
    """A binary log; see docs/reference/archive.md.

    `gtid`: `previous` (None for the first), `first`, `last`; `time`: `first` and `last`; `gap`: None, or
    `first` and `last` of what is in no log.
    """

    cluster: str
    timeline: str
    node: str
    server: str
    begun: str
    ended: str
    domain: int
    gtid: Mapping[str, int | None]
    time: Mapping[str, str]
    gap: Mapping[str, int] | None
    file: str
    object: str
    bytes: Mapping[str, int]
    sha256: str
    recipients: tuple[str, ...]
    format: int = FORMAT
    what: str = "log"


@dataclass(frozen=True, kw_only=True)
class Reach:
    """All that was committed before `at`, by the clock of `node`, has a number up to `last`."""

    cluster: str
    timeline: str
    node: str
    at: str
    last: int
    format: int = FORMAT
    what: str = "reach"


def dumps(record: Base | Log | Reach) -> str:
    """As it is stored, for people to read as well."""
    return json.dumps(asdict(record), indent=1, sort_keys=True) + "\n"


def loads(kind: type[R], text: str) -> R:
    """A manifest of this kind. Fields that are not known are passed over. Raises ManifestError."""
    try:
        values = json.loads(text)
    except ValueError as error:
        raise ManifestError(f"not JSON: {error}") from None
    if not isinstance(values, dict) or values.get("what") != kind.__dataclass_fields__["what"].default:
        raise ManifestError(f"no manifest of a {kind.__dataclass_fields__['what'].default}")
    if values.get("format") != FORMAT:
        raise ManifestError(f"format {values.get('format')!r}, and this version knows {FORMAT}")
    known = {field.name: values[field.name] for field in fields(kind) if field.name in values}
    missing = [field.name for field in fields(kind) if field.name not in known]
    if missing:
        raise ManifestError(f"it lacks {', '.join(missing)}")
    if "recipients" in known:
        known["recipients"] = tuple(known["recipients"])
    return kind(**known)
