"""One base backup: mariadb-backup's stream of this node, as an object with a manifest.

Owns: the node's being desynced meanwhile, the schema's version, what belongs together in one backup.
Leaves to others: when and of which kind (`archiver`), the way into the bucket (`pipeline`).
"""

from __future__ import annotations

import hashlib
import os
import secrets
import subprocess
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from ..sql import Sql, SqlError
from . import backup_stream, layout, manifest, pipeline
from .backup_stream import Notes, Position
from .bucket import Bucket
from .logs import Where
from .manifest import Base
from .own_logs import OwnLogs
from .pipeline import Made
from .plan import DOMAIN, Plan
from .records import Backup

BACKUP = "/usr/bin/mariadb-backup"
CHUNK = 1 << 20
MARK = "galera-node.data"
"""In the data directory, and gone with the data: an incremental only fits to the data of its parent."""
DESYNCED = "backup-desynced"
"""In memory: this program has desynced the node, and must end that."""
USERS = "('mysql', 'sys', 'information_schema', 'performance_schema')"
SCHEMA = (
    "SELECT TABLE_SCHEMA, TABLE_NAME, ORDINAL_POSITION, COLUMN_NAME, COLUMN_TYPE, IS_NULLABLE, COLUMN_KEY, "  # noqa: S608 - of constants alone
    "EXTRA, COLLATION_NAME FROM information_schema.COLUMNS "
    f"WHERE TABLE_SCHEMA NOT IN {USERS} ORDER BY 1, 2, 3"
)
TABLES = (
    "SELECT COUNT(*) FROM information_schema.TABLES "  # noqa: S608 - of constants alone
    f"WHERE TABLE_TYPE = 'BASE TABLE' AND TABLE_SCHEMA NOT IN {USERS}"
)


class BaseError(Exception):
    """No base backup was made; the message says why."""


class Cancelled(BaseError):
    """This node is to stop, or another one archives."""


@dataclass(frozen=True)
class Folders:
    """`data`: the data directory. `run`: in memory, with mariadbd's option file."""

    data: Path
    run: Path


def data_mark(data: Path) -> str:
    """The mark of this data; made where there is none yet."""
    path = data / MARK
    with suppress(OSError):
        if found := path.read_text().strip():
            return found
    new = path.with_suffix(".new")
    new.write_text(secrets.token_hex(8))
    new.rename(path)
    return path.read_text()


def parent_of(bases: list[Backup], node: str, mark: str, keys: str) -> Backup | None:
    """What an incremental of this node's data goes on from: the newest base, if it is of that data.

    The newest by its position, as clocks may differ. And if it is for the same `keys` (`records.keys_of`):
    whoever has a new one alone could open an incremental, and not what that goes on from.
    """
    newest = max(bases, key=lambda base: (base.gtid, base.began), default=None)
    if newest is None or (newest.node, newest.data) != (node, mark) or newest.keys not in ("", keys):
        return None
    return newest


def schema_version(sql: Sql) -> dict[str, Any]:
    """How many tables users have, and a sum over their columns. Raises SqlError."""
    ((tables,),) = sql.run(TABLES)
    rows = "\n".join("\t".join(map(str, row)) for row in sql.run(SCHEMA))
    return {"tables": int(tables), "sha256": hashlib.sha256(rows.encode()).hexdigest()}


def resync(sql: Sql, run: Path) -> None:
    """Ends a desync that an interrupted backup has left. Raises SqlError."""
    mark = run / DESYNCED
    if mark.exists():
        sql.run("SET GLOBAL wsrep_desync = OFF")
        mark.unlink(missing_ok=True)


class Bases:
    """Makes base backups of this node."""

    def __init__(self, plan: Plan, bucket: Bucket, sql: Sql, folders: Folders) -> None:
        self._plan, self._bucket, self._sql, self._folders = plan, bucket, sql, folders
        self._own = OwnLogs(sql, folders.data)

    def make(
        self,
        where: Where,
        parent: Backup | None,
        now: Callable[[], datetime],
        progress: Callable[[int], None],
    ) -> Base:
        """A full one, or an incremental to `parent`.

        Args:
            progress: called with the bytes so far; what it raises ends the backup.

        Raises BaseError, SqlError, PipelineError, BucketError.
        """
        kind = "full" if parent is None else "incremental"
        begun = now()
        name = layout.base_name(begun, kind)
        folder = self._plan.place.base(where.timeline, name)
        start, schema = self._own.here(), schema_version(self._sql)
        notes = Notes()
        made = self._stored(parent, notes, f"{folder}/{layout.DATA}", progress)
        position = self._checked(notes, parent, folder, made)
        base = Base(
            cluster=self._plan.place.cluster,
            timeline=where.timeline,
            name=name,
            kind=kind,
            parent=None if parent is None else parent.name,
            node=where.node,
            data=data_mark(self._folders.data),
            server=where.server,
            image=self._plan.image,
            begun=manifest.said(begun),
            ended=manifest.said(now()),
            domain=DOMAIN,
            gtid={"start": start, "end": position.gtid},
            wsrep=position.wsrep,
            lsn=position.lsn,
            schema=schema,
            object=layout.DATA,
            bytes={"before": made.before, "stored": made.stored},
            sha256=made.sha256,
            recipients=self._plan.recipients,
        )
        self._bucket.put(f"{folder}/{layout.MANIFEST}", manifest.dumps(base))
        return base

    def _stored(self, parent: Backup | None, notes: Notes, key: str, progress: Callable[[int], None]) -> Made:
        """The data as an object. The node is desynced meanwhile."""
        sent = 0

        def so_far(count: int) -> None:
            nonlocal sent
            sent = count
            progress(count)

        self._desync()
        try:
            return pipeline.store(
                self._stream(parent, notes, so_far),
                self._bucket,
                key,
                self._plan.recipients,
                size_of(self._folders.data),
                waiting=lambda: progress(sent),
            )
        finally:
            with suppress(SqlError):  # `resync` tries again
                resync(self._sql, self._folders.run)

    def _checked(self, notes: Notes, parent: Backup | None, folder: str, made: Made) -> Position:
        """Where the backup is, once it is seen to fit to its parent and to be in the store as it was sent."""
        position = backup_stream.position(notes, DOMAIN)
        if parent is not None and position.lsn["from"] != parent.lsn:
            raise BaseError(f"it goes on from {position.lsn['from']}, and its parent ends at {parent.lsn}")
        stored = {entry.key: entry.size for entry in self._bucket.listed(folder)}
        if (there := stored.get(layout.DATA, 0)) != made.stored:
            raise BaseError(f"the store has {there} of the {made.stored} bytes that were sent")
        return position

    def _desync(self) -> None:
        """The others need not wait for this node while it reads everything."""
        mark = self._folders.run / DESYNCED
        mark.touch()
        self._sql.run("SET GLOBAL wsrep_desync = ON")

    def _stream(
        self, parent: Backup | None, notes: Notes, progress: Callable[[int], None]
    ) -> Callable[[Callable[[bytes], None]], None]:
        """mariadb-backup as a source."""
        run = self._folders.run
        scratch, words = run / "base", run / "base.log"
        command = [
            BACKUP,
            f"--defaults-file={run / 'my.cnf'}",
            "--backup",
            "--galera-info",
            "--stream=mbstream",
            f"--target-dir={scratch}",
            *([] if parent is None else [f"--incremental-lsn={parent.lsn}"]),
        ]

        def give(to: Callable[[bytes], None]) -> None:
            scratch.mkdir(mode=0o700, exist_ok=True)
            sent = 0
            with open(words, "wb") as said:
                backup = subprocess.Popen(
                    command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=said
                )
                source = backup.stdout
                if source is None:
                    raise AssertionError("it was started with this pipe")
                try:
                    while data := os.read(source.fileno(), CHUNK):
                        notes.feed(data)
                        to(data)
                        sent += len(data)
                        progress(sent)
                    code = backup.wait()
                finally:
                    if backup.poll() is None:
                        backup.kill()
                        backup.wait()
                    source.close()
            if code != 0:
                raise BaseError(f"mariadb-backup ended with {code}: {last_words(words)}")

        return give


def last_words(path: Path) -> str:
    """Why mariadb-backup ended, from its words, in one line."""
    with suppress(OSError):
        lines = [line.strip() for line in path.read_text(errors="replace").splitlines() if line.strip()]
        told = [line for line in lines if "error" in line.lower() or "FATAL" in line]
        return (told or lines or ["it has said nothing"])[-1][:300]
    return "it has said nothing"


def size_of(data: Path) -> int:
    """Bytes of all files below the data directory, which bounds a backup's."""
    total = 0
    for folder, _, names in os.walk(data):
        for name in names:
            with suppress(OSError):  # it has just gone
                total += os.lstat(os.path.join(folder, name)).st_size
    return total
