"""The API's memory: one SQLite file, written through at every commit, so that a killed API loses nothing it
said.

Owned here: records by table and id, ids, and who may write when. One lock serves all threads: a call sees
one state from beginning to end, and a call that fails leaves nothing behind.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from lab.api.records import Record

R = TypeVar("R", bound=Record)

_FIRST_ID = 100_000_001  # in the range that SoftLayer's own ids have now, and far below int32's end


class Store:
    """Records, kept in `path`. Every method may be called from any thread."""

    def __init__(self, path: Path) -> None:
        """Open or make the database. Raises OSError or sqlite3.Error when the file cannot be used."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = threading.RLock()
        self._depth = 0
        self._after_commit: list[Callable[[], None]] = []
        self._written: set[str] = set()
        self._listeners: list[Callable[[frozenset[str]], None]] = []
        self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._db.execute("PRAGMA journal_mode=WAL")
        # A killed process loses nothing in this mode; only a power cut may lose the last commits.
        self._db.execute("PRAGMA synchronous=NORMAL")
        self._db.execute(
            "CREATE TABLE IF NOT EXISTS records "
            "(kind TEXT NOT NULL, id INTEGER NOT NULL, body TEXT NOT NULL, PRIMARY KEY (kind, id))"
        )
        self._db.execute("CREATE TABLE IF NOT EXISTS sequence (next INTEGER NOT NULL)")
        if self._db.execute("SELECT count(*) FROM sequence").fetchone() == (0,):
            self._db.execute("INSERT INTO sequence VALUES (?)", (_FIRST_ID,))

    def close(self) -> None:
        """Close the file; later calls fail."""
        with self._lock:
            self._db.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing: commits at the end, rolls back on any exception. Joins an outer one of this
        thread.
        """
        with self._lock:
            if self._depth:
                self._depth += 1
                try:
                    yield
                finally:
                    self._depth -= 1
                return
            self._db.execute("BEGIN IMMEDIATE")
            self._depth = 1
            try:
                yield
            except BaseException:
                self._db.execute("ROLLBACK")
                self._after_commit.clear()
                self._written.clear()
                raise
            else:
                self._db.execute("COMMIT")
            finally:
                self._depth = 0
            hooks, self._after_commit = self._after_commit, []
            written, self._written = frozenset(self._written), set()
        for hook in hooks:
            hook()
        if written:
            for listener in self._listeners:
                listener(written)

    def after_commit(self, hook: Callable[[], None]) -> None:
        """Call `hook` once the transaction open now has been committed; never if it is rolled back."""
        with self._lock:
            self._after_commit.append(hook)

    def listen(self, listener: Callable[[frozenset[str]], None]) -> None:
        """Call `listener` after every commit that wrote records, with their tables; before the writer goes
        on.
        """
        self._listeners.append(listener)

    def next_id(self) -> int:
        """A number that no record ever had."""
        with self.transaction():
            (number,) = self._db.execute("UPDATE sequence SET next = next + 1 RETURNING next - 1").fetchone()
            return int(number)

    def get(self, kind: type[R], number: int) -> R | None:
        """The record, or None."""
        with self._lock:
            row = self._db.execute(
                "SELECT body FROM records WHERE kind = ? AND id = ?", (kind.table, number)
            ).fetchone()
        return kind.model_validate_json(row[0]) if row else None

    def all(self, kind: type[R]) -> list[R]:
        """All records of a kind, oldest first."""
        with self._lock:
            rows = self._db.execute(
                "SELECT body FROM records WHERE kind = ? ORDER BY id", (kind.table,)
            ).fetchall()
        return [kind.model_validate_json(body) for (body,) in rows]

    def put(self, record: Record) -> None:
        """Write a record, new or changed."""
        with self.transaction():
            self._db.execute(
                "INSERT INTO records VALUES (?, ?, ?) "
                "ON CONFLICT (kind, id) DO UPDATE SET body = excluded.body",
                (record.table, record.id, record.model_dump_json()),
            )
            self._written.add(record.table)

    def delete(self, record: Record) -> None:
        """Forget a record; one that is gone already is no error."""
        with self.transaction():
            self._db.execute("DELETE FROM records WHERE kind = ? AND id = ?", (record.table, record.id))
            self._written.add(record.table)
