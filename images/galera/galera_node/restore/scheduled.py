"""Drills by schedule: a container of its own on the cluster's network, with `DRILL_EVERY` in its environment.

It sleeps until the last report in the store is old enough, whoever made that, and then does what a drill by
hand does: checksums of a node from a snapshot, the archive up to that position, a scratch server without a
network, the comparison, the report. Its private key is a secret of this service alone; no node has one.

Owns: the order, and the connection to a node. Leaves to others: when (`schedule`), all the rest (`archived`,
`scratch`, `tables`).
"""

from __future__ import annotations

import os
import shutil
import signal
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import pymysql

from .. import health
from ..archive import cadence, layout, records
from ..archive.plan import DOMAIN
from ..settings import Settings, SettingsError, one_line
from ..sql import SqlError
from ..store import Entry, Facts, Store, StoreError, parse
from ..words import log
from . import archived, report, streams, tables
from .archived import ArchiveError
from .loading import check
from .plan import Unreachable
from .schedule import due, node_of
from .scratch import Scratch, ScratchError
from .streams import StreamError
from .tables import Sums, TablesError
from .target import Number

EVERY, IDENTITY, AUTHORITY = "DRILL_EVERY", "drill-identity", "galera-ca.crt"
"""A variable, and two secrets."""
FOLDER = "scratch"
"""In the volume: all that a drill unpacks, the log that is being replayed, too."""
LOOK = 30.0  # seconds between looks at the store
ARCHIVED = 1800.0  # seconds until the archive has what the cluster had
POOL = 256 << 20
FAILURES = (
    ArchiveError,
    Unreachable,
    ScratchError,
    StreamError,
    TablesError,
    StoreError,
    SqlError,
    SettingsError,
    OSError,
)


def wanted() -> bool:
    """Whether this container is for drills, and no node."""
    return bool(os.environ.get(EVERY))


class RemoteSql:
    """root's connection to a node, over the cluster's network, with TLS where nodes speak it."""

    def __init__(self, settings: Settings, address: str) -> None:
        """Raises SqlError, SettingsError."""
        authority = settings.secrets / AUTHORITY
        encrypted = {"ssl_ca": str(authority), "ssl_verify_cert": True, "ssl_verify_identity": False}
        try:
            self._connection: Any = pymysql.connect(
                host=address,
                user="root",
                password=settings.secret("galera-root-password"),
                connect_timeout=10,
                read_timeout=12 * 3600,
                autocommit=True,
                **(encrypted if authority.exists() else {}),
            )
        except (pymysql.Error, OSError) as error:
            raise SqlError(str(error)) from error

    def run(self, statement: str, parameters: Sequence[str] = ()) -> list[tuple[Any, ...]]:
        """Rows. Raises SqlError."""
        try:
            with self._connection.cursor() as cursor:
                cursor.execute(statement, tuple(parameters))
                return list(cursor.fetchall())
        except (pymysql.Error, OSError) as error:
            raise SqlError(str(error)) from error

    def close(self) -> None:
        """Ends it."""
        with suppress(pymysql.Error, OSError):
            self._connection.close()


class Drills:
    """The container's process."""

    def __init__(self, settings: Settings, store: Store) -> None:
        """Raises SettingsError."""
        text = os.environ.get(EVERY, "")
        every = cadence.every(text)
        if every is None:
            raise SettingsError(f"{EVERY}={text!r} must be a cadence, like week or 2 days.")
        self._settings, self._store, self._every = settings, store, every
        self._folder = settings.data_dir / FOLDER
        self._stop = threading.Event()

    def run(self) -> int:
        """Until SIGTERM."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self._stop.set())
        self._settings.run_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        threading.Thread(target=self._well, daemon=True).start()
        shutil.rmtree(self._folder, ignore_errors=True)
        log("drill: waits until one is due")
        while not self._stop.wait(LOOK):
            with suppress(StoreError):
                entries = self._store.read()
                if due(entries, self._every, datetime.now(UTC)):
                    self.drill(entries)
        return 0

    def _well(self) -> None:
        """The health check hears that this program lives; what it finds is told by its reports."""
        while not self._stop.wait(5.0):
            with suppress(OSError):
                health.write(self._settings.run_dir, True, "waits for a drill, or makes one")

    def drill(self, entries: Mapping[str, Entry]) -> report.Report:
        """One drill, and its report in the store. Raises StoreError if that can't be written."""
        began = time.monotonic()
        values: dict[str, Any] = {"by": "schedule", "base": "", "timeline": "", "position": ""}
        differs: list[str] = []
        log("drill: begins")
        try:
            differs = self._compared(parse(entries), values)
        except FAILURES as error:
            values["failed"] = str(error)
        finally:
            shutil.rmtree(self._folder, ignore_errors=True)
        values["seconds"] = round(time.monotonic() - began, 1)
        made = report.made(values, differs, datetime.now(UTC))
        log(f"drill: {made.told()}")
        self._store.commit({}, report.puts(made))
        return made

    def _compared(self, facts: Facts, values: dict[str, Any]) -> list[str]:
        settings = self._settings
        key = streams.identity(one_line(settings.secrets / IDENTITY))
        name, address = node_of(facts)
        sql = RemoteSql(settings, address)
        try:
            cluster = tables.of_cluster(sql, DOMAIN, lambda _text: self._end())
        finally:
            sql.close()
        log(f"drill: {len(cluster.tables)} tables of {name} at number {cluster.number}")
        self._archived(cluster.number, facts)
        archive = archived.look(settings)
        now = archived.present(settings, facts, None)
        plan = archived.planned(archive, Number(DOMAIN, 1, cluster.number), now, None, key)
        values |= {"base": plan.base.name, "timeline": plan.timeline, "position": plan.gtid(cluster.number)}
        values |= {"logs": len(plan.logs), "tables": len(cluster.tables), "rows": cluster.rows}
        began = time.monotonic()
        shutil.rmtree(self._folder, ignore_errors=True)
        if (free := shutil.disk_usage(settings.data_dir).free) < plan.room:
            raise TablesError(
                f"the scratch server needs {plan.room / 1e6:.0f} MB; {free / 1e6:.0f} MB are free on this "
                "host, and a node's database fills the same disk. Remedy: larger disks (servers.disks)"
            )
        self._folder.mkdir(mode=0o700)
        data, run = self._folder / "data", settings.run_dir / FOLDER
        scratch = Scratch(data, run, POOL, self._say, self._progress, "\n")
        try:
            scratch.make(plan, archive.source, key)
            values["restoring"] = round(time.monotonic() - began, 1)
            check(scratch.sql)
            restored = Sums(cluster.number, tables.of_scratch(scratch.sql, 0, lambda _t: self._end()).tables)
        finally:
            scratch.kill()
        return tables.differences(cluster, restored)

    def _archived(self, number: int, facts: Facts) -> None:
        """Until the archive has a number, of the present timeline. Raises TablesError after `ARCHIVED` s."""
        cluster = facts.cluster
        timeline = "" if cluster is None else layout.timeline(cluster.uuid, cluster.epoch)
        deadline = time.monotonic() + ARCHIVED
        while True:
            archive = records.known(self._store.read()).archive
            if archive.timeline == timeline and archive.last is not None and archive.last >= number:
                return
            if time.monotonic() > deadline:
                raise TablesError(
                    f"the archive has not come to {number} within {ARCHIVED:.0f} s (it is at "
                    f"{archive.last}): {archive.problem or 'no node says why'}"
                )
            self._stop.wait(5.0)
            self._end()

    def _say(self, text: str) -> None:
        log(f"drill: {text}")

    def _progress(self, _what: str, _now: int, _whole: int) -> None:
        self._end()

    def _end(self) -> None:
        """Raises TablesError once this container is to stop."""
        if self._stop.is_set():
            raise TablesError("the container was stopped meanwhile")
