"""The process beside mariadbd that archives, on the node whose turn it is; on all nodes, removes old logs.

A process of its own (`galera-node archive`), started again by the node whenever it ends: what goes wrong here
ends no database. Owns: the loop, the store's records, one base at a time in a thread. Leaves to others: whose
turn it is (`holder`), what is due (`cadence`), how it is done (`logs`, `base`, `pruning`).

While the store is away, who archives goes on: nobody else can take its place. All that rests on the bucket
alone is found out anew by whoever comes next.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime

from ..settings import Settings
from ..sql import ServerStatus, Sql, SqlError
from ..store import Entry, Facts, Put, SessionLost, Store, StoreError, parse
from ..words import Topics, log
from . import chain as chains
from . import layout, manifest, records
from .base import BaseError, Bases, Cancelled, Folders, data_mark, parent_of, resync
from .binlog import BinlogError
from .bucket import Bucket, BucketError
from .holder import Do, Seen, decide
from .logs import Logs, Where
from .manifest import ManifestError
from .own_logs import OwnLogs
from .pipeline import PipelineError
from .plan import Plan, keys
from .pruning import prune
from .records import Archive, Backup, Known

LOOK = 2.0  # seconds between looks
SESSION_TTL = 45  # seconds without renewal until another node may archive
REMOVE_EVERY = 60.0  # seconds between looks for logs that may go
PRUNE_EVERY = 6 * 3600.0  # seconds between looks for what the retention lets go
AGAIN = 300.0  # seconds after a failed base until the next try, doubled up to an hour
TOLD = 5.0  # seconds between words on how far a base is
FAILURES = (SqlError, BinlogError, PipelineError, BucketError, ManifestError, OSError)


def utc() -> datetime:
    """Now."""
    return datetime.now(UTC)


class OneAtATime:
    """A store whose calls wait for one another: the base's thread tells of itself by the same connection."""

    def __init__(self, store: Store) -> None:
        self._store, self._lock = store, threading.Lock()

    def read(self) -> dict[str, Entry]:
        with self._lock:
            return self._store.read()

    def open_session(self, ttl: int) -> None:
        with self._lock:
            self._store.open_session(ttl)

    def renew(self) -> None:
        with self._lock:
            self._store.renew()

    def close_session(self) -> None:
        with self._lock:
            self._store.close_session()

    def commit(
        self, expect: Mapping[str, int], puts: Mapping[str, Put], deletes: tuple[str, ...] = ()
    ) -> bool:
        with self._lock:
            return self._store.commit(expect, puts, deletes)


class Archiver:
    """One node's part in the archive."""

    def __init__(
        self,
        settings: Settings,
        plan: Plan,
        store: Store,
        sql: Callable[[], Sql],
        now: Callable[[], datetime] = utc,
    ) -> None:
        self._settings, self._plan, self._now = settings, plan, now
        self._store = OneAtATime(store)
        self._sql, self._base_sql = sql(), sql()
        self._bucket = Bucket(plan.target, *keys(settings.secrets), settings.run_dir / "archive")
        self._own = OwnLogs(self._sql, settings.data_dir)
        self._topics = Topics()
        self._session = self._shown = self._holds = False
        self._known, self._facts = Known(), Facts()
        self._revision = 0  # of the key that this node holds
        self._logs: Logs | None = None
        self._archive = Archive()
        self._vacant: float | None = None
        self._logs_at = self._removed_at = self._pruned_at = float("-inf")
        self._base: threading.Thread | None = None
        self._cancel = threading.Event()
        self._failed_at, self._failures = float("-inf"), 0
        self._lock = threading.Lock()
        self._stop = threading.Event()

    # ---- the loop

    def run(self) -> int:
        """Until SIGTERM."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self._stop.set())
        while not self._stop.wait(LOOK):
            self.look()
        self._cancel.set()
        if self._base is not None:
            self._base.join(10)
        with suppress(StoreError):
            if self._session:
                self._store.close_session()
        return 0

    def look(self) -> None:
        """One look, whatever fails in it."""
        try:
            status = self._sql.status()
        except SqlError:
            return  # mariadbd starts, or stops: there is nothing to archive
        if not (status.primary and status.ready):
            return
        heard = self._hear()
        try:
            if not self._making:
                resync(self._base_sql, self._settings.run_dir)
            if heard:
                self._take_turn(status)
            if self._holds and self._cluster() == "":
                return
            if self._holds:
                self._work(status)
            self._remove()
        except SessionLost as error:
            self._lose(str(error))
        except StoreError as error:
            self._topics.say("archive store", f"archive: {error}")
        except FAILURES as error:
            self._topics.say("archive", f"archive: {type(error).__name__}: {error}")

    def _hear(self) -> bool:
        """Reads the store. False while it is away; then what was known counts."""
        try:
            if not self._session:
                self._store.open_session(SESSION_TTL)
                self._session, self._shown = True, False
            if not self._shown and self._logging():
                self._store.commit({}, {f"{records.LOGGING}{self._settings.node}": Put("", bound=True)})
                self._shown = True
            self._store.renew()
            entries = self._store.read()
            self._facts, self._known = parse(entries), records.known(entries)
            self._revision = revision(entries, records.ARCHIVER)
        except SessionLost as error:
            self._lose(str(error))
            return False
        except StoreError as error:
            self._topics.say("archive store", f"archive: {error}")
            return False
        self._topics.end("archive store")
        return True

    def _logging(self) -> bool:
        """Whether the server writes the binary logs that the archive needs."""
        try:
            return self._sql.run("SELECT @@GLOBAL.log_bin, @@GLOBAL.wsrep_gtid_mode") == [(1, 1)]
        except SqlError:
            return False

    def _lose(self, why: str) -> None:
        self._session = False
        if self._holds:
            log(f"archive: {why}; another node may archive now")
        self._give_up()

    def _give_up(self) -> None:
        self._holds, self._logs = False, None
        self._cancel.set()

    def _cluster(self) -> str:
        """The present timeline; empty while no cluster is known that is open."""
        cluster = self._facts.cluster
        if cluster is None or cluster.phase == "forming":
            return ""
        return layout.timeline(cluster.uuid, cluster.epoch)

    # ---- whose turn it is

    def _take_turn(self, status: ServerStatus) -> None:
        now = time.monotonic()
        if self._known.archiver:
            self._vacant = None
        elif self._vacant is None:
            self._vacant = now
        self._holds = self._known.holds
        if not self._holds and self._logs is not None:
            self._give_up()
        last = self._known.archive.last if self._known.archive.timeline == self._cluster() else None
        may = not self._known.archiver and status.state == "Synced"
        do = decide(
            Seen(
                node=self._settings.node,
                holds=self._holds,
                holder=self._known.archiver,
                synced=frozenset(
                    name for name, presence in self._facts.present.items() if presence.state == "synced"
                ),
                writer=self._facts.writer or "",
                covers=chains.covers(self._own.begins(), last) if may else False,
                busy=self._making,
                vacant=0.0 if self._vacant is None else now - self._vacant,
            )
        )
        node = self._settings.node
        if do is Do.CLAIM and may:
            put = {records.ARCHIVER: Put(node, bound=True)}
            if self._store.commit({records.ARCHIVER: 0}, put):
                log(f"archive: {node} archives from now on")
                self._holds, self._logs, self._archive = True, None, Archive()
                self._revision = revision(self._store.read(), records.ARCHIVER)
                if broken := self._known.archive.running:
                    by = self._known.archive.node
                    self._note(running="", done=0, failed=f"{broken} of {by} did not come to its end")
        elif do is Do.RELEASE:
            self._store.commit({records.ARCHIVER: self._revision}, {}, (records.ARCHIVER,))
            log(f"archive: {node} leaves it to another node")
            self._give_up()

    # ---- what the one does

    def _work(self, status: ServerStatus) -> None:
        timeline = self._cluster()
        if self._logs is not None and self._logs.where.timeline != timeline:
            self._logs = None
            self._cancel.set()
        due = time.monotonic() - self._logs_at >= self._plan.log_seconds
        if due or self._logs is None:
            try:
                self._archive_logs(timeline, status)
            except FAILURES as error:
                self._note(problem=f"{error}")
                self._topics.say("archive logs", f"archive: logs are not archived: {error}")
                self._logs_at = time.monotonic()
                return
            if self._topics.end("archive logs"):
                log("archive: logs are archived again")
        if self._logs is not None and self._logs.last is not None:
            self._look_for_bases(timeline, status)
        if time.monotonic() - self._pruned_at >= PRUNE_EVERY and not self._making:
            self._pruned_at = time.monotonic()
            self._forget(prune(self._plan, self._bucket, list(self._known.bases), timeline, self._now()))

    def _archive_logs(self, timeline: str, status: ServerStatus) -> None:
        if waited := self._without_logs():
            self._note(timeline=timeline, problem=f"waiting for binary logs of {', '.join(waited)}")
            self._topics.say(
                "archive wait", f"archive: waits for {', '.join(waited)}, without binary logs yet"
            )
            return
        self._topics.end("archive wait")
        if self._logs is None:
            ((version,),) = self._sql.run("SELECT @@GLOBAL.version")
            logs = Logs(
                self._plan, self._bucket, self._own, Where(timeline, self._settings.node, str(version))
            )
            logs.begin(lambda: status.committed)
            self._learn_bases(timeline)
            self._logs = logs
        logs = self._logs
        self._logs_at = time.monotonic()
        logs.archive(self._now, lambda: self._tell_logs(logs))
        self._tell_logs(logs)

    def _without_logs(self) -> list[str]:
        """Nodes of the component whose servers write no binary logs yet: their numbers would be others."""
        return sorted(
            name
            for name, presence in self._facts.present.items()
            if presence.state in ("primary", "synced") and name not in self._known.logging
        )

    def _tell_logs(self, logs: Logs) -> None:
        gap = logs.chain.gaps[-1] if logs.chain.gaps else None
        self._note(
            timeline=logs.where.timeline,
            first=logs.chain.first,
            last=logs.chain.last if logs.chain.last is not None else logs.last,
            gap=gap,
            problem="",
            **({"reach": logs.reach} if logs.reach else {}),
        )

    @property
    def _noted(self) -> Archive:
        """The record, as this node has last written it, or else has found it."""
        return self._archive if self._archive.node else self._known.archive

    def _note(self, **changes: object) -> None:
        """Writes the record `archive`, as long as this node holds the key."""
        with self._lock:
            before = self._noted
            if changes.get("timeline", before.timeline) != before.timeline:
                before = replace(before, first=None, last=None, reach="", gap=None)
            self._archive = replace(before, node=self._settings.node, **changes)  # type: ignore[arg-type]
            if self._archive == before or not self._holds:
                return
            expect = {records.ARCHIVER: self._revision}
            put = {records.ARCHIVE: Put(self._archive.dumps())}
            try:
                if not self._store.commit(expect, put):
                    self._topics.say("archive record", "archive: another node holds the right to archive")
            except StoreError as error:
                self._archive = before  # so that it is written once the store is back
                self._topics.say("archive store", f"archive: {error}")

    def _learn_bases(self, timeline: str) -> None:
        """Makes the store's records those of the bucket: one of the two may have been lost."""
        place = self._plan.place
        names = {
            entry.key.partition("/")[0]
            for entry in self._bucket.listed(place.bases(timeline))
            if entry.key.endswith(f"/{layout.MANIFEST}")
        }
        recorded = {backup.name: backup for backup in self._known.of(timeline)}
        for name in sorted(names - recorded.keys()):
            text = self._bucket.read(f"{place.base(timeline, name)}/{layout.MANIFEST}")
            try:
                self._record(Backup.of(manifest.loads(manifest.Base, text)))
            except ManifestError as error:
                self._topics.say(f"base {name}", f"archive: {name} is passed over: {error}")
        self._forget([recorded[name] for name in recorded.keys() - names])

    def _record(self, backup: Backup) -> None:
        text = records.dumps(backup)
        with suppress(StoreError):  # the next holder learns it from the bucket
            self._store.commit({}, {records.key(backup): Put(text)})
        self._known = replace(self._known, bases=(*self._known.bases, backup))

    def _forget(self, gone: list[Backup]) -> None:
        for backup in gone:
            self._store.commit({}, {}, (records.key(backup),))
        self._known = replace(
            self._known, bases=tuple(base for base in self._known.bases if base not in gone)
        )

    def _remove(self) -> None:
        """Removes this node's own logs that are archived; all nodes do so, each when it looks."""
        archive = self._known.archive
        if time.monotonic() - self._removed_at < REMOVE_EVERY or archive.timeline != self._cluster():
            return
        self._removed_at = time.monotonic()
        until = chains.removable(self._own.closed(), archive.last)
        if until is not None:
            self._own.remove(until)

    # ---- bases

    @property
    def _making(self) -> bool:
        return self._base is not None and self._base.is_alive()

    def _look_for_bases(self, timeline: str, status: ServerStatus) -> None:
        """Begins a base if one is due or asked for."""
        if self._making or status.state != "Synced":
            return
        bases = self._known.of(timeline)
        wanted = self._known.wanted
        asked = wanted if wanted is not None and wanted.id != self._noted.asked else None
        kind = self._due(bases)
        if asked is not None:
            kind = asked.kind
        elif time.monotonic() - self._failed_at < min(AGAIN * 2 ** max(0, self._failures - 1), 3600.0):
            return
        if kind is None:
            return
        mark = data_mark(self._settings.data_dir)
        parent = parent_of(bases, self._settings.node, mark) if kind == "incremental" else None
        if kind == "incremental" and parent is None:
            log("archive: the last backup is not of this node's data: a full one is made, not an incremental")
        self._cancel.clear()
        id_ = asked.id if asked is not None else self._noted.asked
        self._base = threading.Thread(
            target=self._make, args=(timeline, parent, id_), name="base", daemon=True
        )
        self._base.start()

    def _due(self, bases: list[Backup]) -> str | None:
        logs = self._logs
        missing = 0 if logs is None else chains.missing(logs.chain.first, logs.chain.gaps[-1:])
        if not any(base.gtid >= missing for base in bases):
            return "full"
        fulls = [base.began for base in bases if base.kind == "full"]
        return self._plan.rhythm.due(fulls, [base.began for base in bases], self._now())

    def _make(self, timeline: str, parent: Backup | None, asked: str) -> None:
        """In a thread of its own, so that logs are archived meanwhile."""
        begun, told = self._now(), 0.0
        kind = "full" if parent is None else "incremental"
        name = layout.base_name(begun, kind)

        def progress(done: int) -> None:
            nonlocal told
            if self._cancel.is_set():
                raise Cancelled("this node stops, or another one archives")
            if time.monotonic() - told >= TOLD:
                told = time.monotonic()
                self._note(running=name, done=done)

        self._note(tried=manifest.said(begun), running=name, done=0)
        failed = ""
        try:
            folders = Folders(self._settings.data_dir, self._settings.run_dir)
            bases = Bases(self._plan, self._bucket, self._base_sql, folders)
            ((version,),) = self._base_sql.run("SELECT @@GLOBAL.version")
            where = Where(timeline, self._settings.node, str(version))
            base = bases.make(where, parent, self._now, progress)
            self._record(Backup.of(base))
        except Cancelled as error:
            log(f"archive: backup {name} is broken off: {error}")
            failed, asked = f"broken off: {error}", self._noted.asked
        except Exception as error:
            failed = (
                f"{error}"
                if isinstance(error, (BaseError, *FAILURES))
                else f"{type(error).__name__}: {error}"
            )
            log(f"archive: backup {name} failed: {failed}")
        if failed:
            self._failed_at, self._failures = time.monotonic(), self._failures + 1
        else:
            self._failed_at, self._failures = float("-inf"), 0
        self._note(running="", done=0, failed=failed, asked=asked)


def revision(entries: Mapping[str, Entry], key: str) -> int:
    """Of a key; 0 if it is not there."""
    return entries[key].revision if key in entries else 0
