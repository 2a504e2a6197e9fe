"""Bases of this node, one at a time, in a thread: logs are archived meanwhile.

Owns: whether one begins now, of which kind, and what is told of it. Leaves to others: the cadence
(`cadence`), how one is made (`base`).

One that ended with its node, or with that node's right, is made anew by whoever has the right next, at once:
it was begun within the window, and nobody would make it before the next one.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from datetime import datetime

from ..settings import Settings
from ..sql import Sql, SqlError
from ..words import log
from . import chain as chains
from . import layout, manifest
from .backup_stream import StreamError
from .base import BaseError, Bases, Cancelled, Folders, data_mark, parent_of, resync
from .bucket import Bucket, BucketError
from .ledger import Ledger
from .logs import Logs, Where
from .pipeline import PipelineError
from .plan import Plan
from .records import Backup, keys_of

AGAIN = 300.0  # seconds after one that failed until the next try, doubled up to an hour
LONGEST = 3600.0
TOLD = 5.0  # seconds between words on how far one is
FAILURES = (BaseError, SqlError, StreamError, PipelineError, BucketError, OSError)


class Making:
    """What this node makes, and has made.

    Attributes:
        cancel: set it to break off the one that is being made.
        thread: that makes it; None before the first.
    """

    def __init__(
        self,
        plan: Plan,
        settings: Settings,
        bucket: Bucket,
        sql: Sql,
        ledger: Ledger,
        now: Callable[[], datetime],
    ) -> None:
        """`sql`: a connection of its own."""
        self._plan, self._settings, self.bucket = plan, settings, bucket
        self._sql, self._ledger, self._now = sql, ledger, now
        self.cancel = threading.Event()
        self.thread: threading.Thread | None = None
        self.failed_at, self._failures = float("-inf"), 0

    @property
    def busy(self) -> bool:
        """Whether one is being made."""
        return self.thread is not None and self.thread.is_alive()

    def recover(self) -> None:
        """Ends what an interrupted one has left of this node. Raises SqlError."""
        if not self.busy:
            resync(self._sql, self._settings.run_dir)

    def look(self, timeline: str, logs: Logs, *, only_asked: bool = False) -> None:
        """Begins one if that is due or asked for; with `only_asked` not for being due."""
        if self.busy:
            return
        bases, noted = self._ledger.known.of(timeline), self._ledger.noted
        wanted = self._ledger.known.wanted
        asked = wanted if wanted is not None and wanted.id != noted.asked else None
        if asked is None and (only_asked or time.monotonic() - self.failed_at < self._pause):
            return
        kind = asked.kind if asked is not None else self._due(bases, logs) or noted.broken
        if not kind:
            return
        parent = None
        if kind == "incremental":
            mark = data_mark(self._settings.data_dir)
            keys = keys_of(self._plan.recipients)
            parent = parent_of(bases, self._settings.node, mark, keys)
            if parent is None:
                log(
                    "archive: the last backup is not of this node's data, or for other keys: a full one is "
                    "made instead"
                )
        self.cancel.clear()
        answers = asked.id if asked is not None else noted.asked
        self.thread = threading.Thread(
            target=self._make, args=(timeline, parent, answers), name="base", daemon=True
        )
        self.thread.start()

    @property
    def _pause(self) -> float:
        return min(AGAIN * 2.0 ** max(0, self._failures - 1), LONGEST)

    def _due(self, bases: Sequence[Backup], logs: Logs) -> str | None:
        missing = chains.missing(logs.chain.first, logs.chain.gaps[-1:])
        if not any(base.gtid >= missing for base in bases):
            return "full"
        fulls = [base.began for base in bases if base.kind == "full"]
        return self._plan.rhythm.due(fulls, [base.began for base in bases], self._now())

    def _make(self, timeline: str, parent: Backup | None, answers: str) -> None:
        """In the thread. `answers`: the request, if it is for one."""
        begun, kind = self._now(), "full" if parent is None else "incremental"
        name = layout.base_name(begun, kind)
        self._ledger.note(tried=manifest.said(begun), running=name, done=0)
        log(f"archive: backup {name} begins")
        failed = broken = ""
        try:
            folders = Folders(self._settings.data_dir, self._settings.run_dir)
            bases = Bases(self._plan, self.bucket, self._sql, folders)
            ((version,),) = self._sql.run("SELECT @@GLOBAL.version")
            where = Where(timeline, self._settings.node, str(version))
            made = Backup.of(bases.make(where, parent, self._now, self._progress(name)))
            sizes = f"{made.before / 1e6:.1f} MB, {made.stored / 1e6:.1f} MB stored"
            log(f"archive: backup {made.name} is there: {sizes}, number {made.gtid}")
            self._ledger.add(made)
        except Cancelled as error:
            failed, answers, broken = f"broken off: {error}", self._ledger.noted.asked, kind
        except Exception as error:  # in a thread, nobody else would hear of it
            failed = f"{error}" if isinstance(error, FAILURES) else f"{type(error).__name__}: {error}"
        if failed:
            log(f"archive: backup {name} failed: {failed}")
            self.failed_at, self._failures = time.monotonic(), self._failures + 1
        else:
            self.failed_at, self._failures = float("-inf"), 0
        self._ledger.note(running="", done=0, failed=failed, asked=answers, broken=broken)

    def _progress(self, name: str) -> Callable[[int], None]:
        """Tells how far it is; ends it when it is to be broken off."""
        told = 0.0

        def progress(done: int) -> None:
            nonlocal told
            if self.cancel.is_set():
                raise Cancelled("this node stops, or another one archives")
            if time.monotonic() - told >= TOLD:
                told = time.monotonic()
                self._ledger.note(running=name, done=done)

        return progress
