"""The section `bootstrapFrom`: a new cluster that begins with the data of an archive instead of none.

Owns: its settings. Leaves to others: the archive (images/galera, `restore`), how it gets to the nodes
(components/bootstrap_from.py).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import Annotated, ClassVar

from pydantic import AfterValidator

from settings import values
from settings.archive import Archive
from settings.backup import Identity
from settings.database import names
from settings.section import Section

GTID = re.compile(r"\d+-\d+-\d+")
DAY = re.compile(r"\d{4}-?\d\d-?\d\d")


def target(value: str) -> str:
    """A moment, a GTID, or latest."""
    text = value.strip()
    if DAY.fullmatch(text) or _is_day(text):
        raise values.Refused(f"{value} is a day", "say which moment of it, like '2026-11-28 14:32:10' (UTC)")
    if text == "latest" or GTID.fullmatch(text):
        return text
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise values.Refused(
            f"{value!r} is no target of a restore",
            "write '2026-11-28 14:32:10' (UTC, or with an offset), a GTID like 1-1-51288, or latest",
        ) from None
    if (at.replace(tzinfo=UTC) if at.tzinfo is None else at) > datetime.now(UTC):
        raise values.Refused(f"{value} is yet to come", "a time without an offset is UTC")
    return text


def _is_day(text: str) -> bool:
    """Whether it is a day in any of the forms that there are, which would be taken for its midnight."""
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


def timeline(value: str) -> str:
    """A timeline's name, as the archive has it."""
    if not re.fullmatch(r"[0-9a-f-]{36}\.[0-9a-z-]+", value):
        raise values.Refused(f"{value!r} is no timeline", "copy its name from the archive: UUID.EPOCH")
    return value


Target = Annotated[str, AfterValidator(target)]
Timeline = Annotated[str, AfterValidator(timeline)]


class _Moment(Section):
    to: Target = "latest"


class BootstrapFrom(Archive, _Moment):  # its keys are told in the opposite order: `to` first
    """Where a new cluster's data comes from, at its very first bootstrap and never again. Without this
    section it begins empty. [How](../how-to/backup-and-restore.md#into-a-new-stack).

    Attributes:
        to: '2026-11-28 14:32:10' (UTC, or with an offset), a GTID, or latest.
        endpoint, bucket, prefix, region: of the archive, as in `backup`; it is read only.
        access_key: a secret.
        secret_key: a secret.
        authority: as in `backup`.
        cluster: whose archive it is: the `galera.clusterName` of that stack; by default this one's.
        timeline: which of its histories; by default the one that was last written to.
        identity: a private key of age that can read it, a secret. The nodes have it as long as this section
            is there: take the section out once the cluster has formed.
    """

    title: ClassVar[str] = "bootstrapFrom"
    cluster: Annotated[str, AfterValidator(names.cluster_name)] | None = None
    timeline: Timeline | None = None
    identity: Identity

    @property
    def confidential(self) -> list[str]:
        """The keys whose values must be encrypted in the stack's file."""
        return ["accessKey", "secretKey", "identity"]

    def clashes(self, initdb: str | None) -> Iterator[str]:
        """What else would fill a new cluster. Args: initdb: `galera.initdb`."""
        if initdb is not None:
            yield (
                "galera.initdb: it makes what an empty cluster begins with, and bootstrapFrom brings the "
                "data of an archive. Remedy: leave one of the two out"
            )
