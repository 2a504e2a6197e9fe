"""This node's part of the store's records on the archive: what is there, its right, its word.

Owns: the session, the key `archiver`, the order in which the records are written, and that only who holds the
key writes them. Leaves to others: the records' form (`records`), whose turn it is (`holder`).
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace

from ..store import Entry, Facts, Put, SessionLost, Store, StoreError, parse
from ..words import Topics, log
from . import layout, records
from .records import Archive, Backup, Known

SESSION_TTL = 45  # seconds without renewal until another node may archive


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


class Ledger:
    """Of one node.

    Attributes:
        facts, known: as they were last read.
        holds: this node has the right to archive, as far as is known.
    """

    def __init__(self, store: Store, node: str, topics: Topics) -> None:
        self._store, self._node, self._topics = OneAtATime(store), node, topics
        self.facts, self.known, self.holds = Facts(), Known(), False
        self._session = self._shown = False
        self._revision = 0  # of the key that this node holds
        self._written, self._owes = Archive(), False
        self._unrecorded: list[Backup] = []
        self._lock = threading.Lock()

    @property
    def timeline(self) -> str:
        """The present one; empty while no cluster is known that is open."""
        cluster = self.facts.cluster
        if cluster is None or cluster.phase == "forming":
            return ""
        return layout.timeline(cluster.uuid, cluster.epoch)

    @property
    def noted(self) -> Archive:
        """The record of the logs, as this node has last told it, or else has found it."""
        return self._written if self._written.node else self.known.archive

    def hear(self, logging: bool) -> bool:
        """Reads the store; False while it is away, and then what was known counts.

        `logging`: this node's server writes binary logs, which is shown.
        """
        try:
            if not self._session:
                self._store.open_session(SESSION_TTL)
                self._session, self._shown = True, False
            if logging and not self._shown:
                self._store.commit({}, {f"{records.LOGGING}{self._node}": Put("", bound=True)})
                self._shown = True
            self._store.renew()
            self._record()
            self._read()
        except SessionLost as error:
            self.lose(str(error))
            return False
        except StoreError as error:
            self._topics.say("archive store", f"archive: {error}")
            return False
        self._topics.end("archive store")
        self.holds = self.known.holds
        return True

    def _read(self) -> None:
        entries = self._store.read()
        self.facts, self.known = parse(entries), records.known(entries)
        self._revision = entries[records.ARCHIVER].revision if records.ARCHIVER in entries else 0

    def lose(self, why: str) -> None:
        """The session is over, and the right with it."""
        if self.holds:
            log(f"archive: {why}; another node may archive now")
        self._session = self.holds = False

    def claim(self) -> bool:
        """Takes the right; False if another one was first. Raises StoreError."""
        if not self._store.commit({records.ARCHIVER: 0}, {records.ARCHIVER: Put(self._node, bound=True)}):
            return False
        self._read()
        self.holds, self._written, self._owes = True, Archive(), False
        log(f"archive: {self._node} archives from now on")
        if broken := self.known.archive.running:
            by, kind = self.known.archive.node, layout.kind(broken) or "full"
            failed = f"{broken} of {by} did not come to its end"
            self.note(running="", done=0, failed=failed, broken=kind)
        return True

    def release(self) -> None:
        """Gives the right to another node. Raises StoreError."""
        self._store.commit({records.ARCHIVER: self._revision}, {}, (records.ARCHIVER,))
        self.holds = False
        log(f"archive: {self._node} leaves it to another node")

    def leave(self) -> None:
        """The end of this process."""
        with suppress(StoreError):  # it expires by itself
            if self._session:
                self._store.close_session()

    def note(self, **changes: object) -> None:
        """Changes the record of the logs, as long as this node holds the right.

        What could not be written is written with the next call, whatever that changes: a failure must not go
        unsaid because the store was away when it was to be told.
        """
        with self._lock:
            before = self.noted
            if changes.get("timeline", before.timeline) != before.timeline:
                before = replace(before, first=None, last=None, reach="", gap=None)
            after = replace(before, node=self._node, **changes)  # type: ignore[arg-type]
            if (after == before and not self._owes) or not self.holds:
                return
            self._written, self._owes = after, True
            try:
                written = self._store.commit(
                    {records.ARCHIVER: self._revision}, {records.ARCHIVE: Put(after.dumps())}
                )
            except StoreError as error:
                self._topics.say("archive store", f"archive: {error}")
                return
            self._owes = False
            if not written:
                self._topics.say("archive record", "archive: another node holds the right to archive")

    def add(self, backup: Backup) -> None:
        """Records a base that is in the bucket; while the store is away, once it is there again."""
        with self._lock:
            self._unrecorded.append(backup)
        with suppress(StoreError):
            self._record()
        self.known = replace(self.known, bases=(*self.known.bases, backup))

    def _record(self) -> None:
        """Writes down the bases that are not in the store yet. Raises StoreError."""
        with self._lock:
            while self._unrecorded:
                backup = self._unrecorded[0]
                self._store.commit({}, {records.key(backup): Put(records.dumps(backup))})
                self._unrecorded.pop(0)

    def remove(self, gone: list[Backup]) -> None:
        """Forgets bases that are not in the bucket. Raises StoreError."""
        for backup in gone:
            self._store.commit({}, {}, (records.key(backup),))
        left = tuple(base for base in self.known.bases if base not in gone)
        self.known = replace(self.known, bases=left)
