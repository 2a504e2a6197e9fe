"""The archive as a restore meets it on a node: its catalog, its objects, and what there is now.

Owns: putting together the stack's own words (`archive.plan`), the bucket and the store. Leaves to others: all
decisions.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO, cast

from ..archive import binlog, layout
from ..archive import plan as backup
from ..archive.bucket import ENVIRONMENT, Bucket, BucketError, brief
from ..archive.own_logs import OwnLogs
from ..settings import Settings
from ..sql import Sql, SqlError
from ..store import Facts
from . import bootstrap, objects, streams
from .bootstrap import Beginning
from .catalog import Catalog, catalog
from .plan import Plan, Present, Unreachable, plan, resolved
from .sources import Fetched
from .target import Target

OFF = "The stack has no backup: its settings have no section `backup` (docs/how-to/backup.md)."
PATIENCE = 600.0
"""Seconds for all manifests."""


class ArchiveError(Exception):
    """The archive can't be read; the message says why."""


@dataclass(frozen=True)
class Archive:
    """An archive that has been looked at. `sizes` raises BucketError."""

    catalog: Catalog
    source: Fetched
    domain: int
    sizes: objects.Sizes


def look(settings: Settings, beginning: Beginning | None = None) -> Archive:
    """Reads all manifests. Raises ArchiveError, SettingsError.

    Args:
        beginning: another archive than the stack's own.
    """
    folder_of_keys = settings.run_dir / "restore-bucket"
    if beginning is not None:
        bucket = Bucket(beginning.target, *bootstrap.keys(settings.secrets), folder_of_keys)
        root = beginning.place.root
    elif (told := backup.read(settings.cluster)) is not None:
        bucket = Bucket(told.target, *backup.keys(settings.secrets), folder_of_keys)
        root = told.place.root
    else:
        raise ArchiveError(OFF)
    with tempfile.TemporaryDirectory() as folder:
        manifests = _manifests(bucket, root, Path(folder))
    source = Fetched(lambda key: bucket.command("cat", bucket.at(f"{root}/{key}")), brief)

    def sizes(folder: str) -> dict[str, int]:
        return {entry.key: entry.size for entry in bucket.listed(f"{root}/{folder}")}

    return Archive(catalog(manifests), source, backup.DOMAIN, sizes)


def _manifests(bucket: Bucket, root: str, folder: Path) -> dict[str, Any]:
    """All at once: one by one, those of a month of logs would take an hour."""
    words = bucket.command("copy", "--include", "*.json", "--transfers", "16", bucket.at(root), str(folder))
    try:
        done = subprocess.run(
            words,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=PATIENCE,
            check=False,
            env=ENVIRONMENT,
        )
    except subprocess.TimeoutExpired:
        raise ArchiveError(f"The object store has not answered for {PATIENCE:.0f} s.") from None
    except OSError as error:
        raise ArchiveError(f"{words[0]} can't be run: {error}.") from None
    said = done.stderr.decode(errors="replace")
    if done.returncode != 0 and "directory not found" not in said:
        raise ArchiveError(
            f"The archive can't be read: {brief(said)}. Remedy: see that the object store of backup.endpoint "
            "answers, and that backup.accessKey and backup.secretKey may read there."
        )
    found: dict[str, Any] = {}
    for file in folder.rglob("*.json"):
        text = file.read_text(errors="replace")
        found[str(file.relative_to(folder))] = text
        with suppress(ValueError):
            found[str(file.relative_to(folder))] = json.loads(text)
    return found


def present(settings: Settings, facts: Facts, sql: Sql | None) -> Present:
    """What there is now. `sql`: of the node here; what does not answer is not known."""
    cluster, last = facts.cluster, None
    if sql is not None:
        with suppress(SqlError):
            last = OwnLogs(sql, settings.data_dir).here()
    return Present(
        now=datetime.now(UTC),
        timeline=None if cluster is None else layout.timeline(cluster.uuid, cluster.epoch),
        last=last,
        server=settings.version,
        upgrade_to=settings.upgrade_to,
    )


def planned(archive: Archive, target: Target, now: Present, timeline: str | None, key: str | None) -> Plan:
    """The plan; with the private key, its exact position, and the knowledge that the key is the right one.

    Raises Unreachable, also for an object that is not in the store as its manifest says; StreamError,
    ArchiveError.
    """
    made = plan(archive.catalog, target, now, timeline)
    _there(archive, made)
    if key is None:
        return made
    streams.readable(archive.source, made.chain[0], key)
    if made.search is None:
        return made
    line = archive.catalog.timelines[made.timeline]
    # Without a name: whatever ends this program, what was encrypted stays nowhere.
    with tempfile.TemporaryFile() as log:
        streams.into_open(archive.source, made.search, key, log)
        log.seek(0)
        try:
            exact = resolved(made, times(cast(BinaryIO, log), made.domain), line, now)
        except binlog.BinlogError as error:
            raise Unreachable(f"{made.search.key} can't be read: {error}.") from None
    _there(archive, exact)
    return exact


def _there(archive: Archive, made: Plan) -> None:
    try:
        objects.there(made, archive.sizes)
    except BucketError as error:
        raise ArchiveError(f"The archive's objects can't be listed: {error}.") from None


def times(log: BinaryIO, domain: int) -> Iterator[tuple[int, datetime]]:
    """Number and time of each transaction of a domain in a binary log. Raises BinlogError."""
    for event in binlog.events(log):
        if event.type == binlog.GTID:
            number, of, _ = binlog.GTID_HEAD.unpack_from(event.body)
            if of == domain:
                yield number, datetime.fromtimestamp(event.time, UTC)
