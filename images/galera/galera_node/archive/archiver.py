"""The process beside mariadbd that archives, on the node whose turn it is; on all nodes, removes old logs.

A process of its own (`galera-node archive`), started again by the node whenever it ends: what goes wrong here
ends no database. Owns: the loop and its order. Leaves to others: whose turn it is (`holder`), the store
(`ledger`), logs (`logs`) and bases (`making`), what may be deleted (`pruning`).

While the store is away, who archives goes on: nobody else can take its place. All that rests on the bucket
alone is found out anew by whoever comes next.
"""

from __future__ import annotations

import copy
import signal
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime

from ..settings import Settings
from ..sql import ServerStatus, Sql, SqlError
from ..store import SessionLost, Store, StoreError
from ..words import Topics, log
from . import chain as chains
from . import layout, manifest
from .binlog import BinlogError
from .bucket import Bucket, BucketError
from .holder import Do, Seen, decide
from .ledger import Ledger
from .logs import Logs, Waits, Where
from .making import Making
from .manifest import ManifestError
from .own_logs import OwnLogs
from .pipeline import PipelineError
from .plan import DOMAIN, Plan, keys
from .pruning import Clock, Shared, prune
from .records import Backup, broken

LOOK = 3.0  # seconds between looks
HEAR = 10.0  # seconds between words to the store while a log is on its way
REMOVE_EVERY = 60.0  # seconds between looks for logs that may go
PRUNE_EVERY = 6 * 3600.0  # seconds between looks for what the retention lets go
PRUNE_AGAIN = 1800.0  # the same after one that was refused
JOINING = 900.0  # seconds for which a base waits for nodes that join
LAST = (
    2.0  # seconds for a base to be broken off when the process is to end: it has three (archiving.PATIENCE)
)
FAILURES = (SqlError, BinlogError, PipelineError, BucketError, ManifestError, OSError)


def utc() -> datetime:
    """Now."""
    return datetime.now(UTC)


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
        self._sql, self._topics = sql(), Topics()
        self.bucket = Bucket(plan.target, *keys(settings.secrets), settings.run_dir / "archive")
        self._own = OwnLogs(self._sql, settings.data_dir)
        self.ledger = Ledger(store, settings.node, self._topics)
        self.making = Making(plan, settings, copy.copy(self.bucket), sql(), self.ledger, now)
        self.bucket.waiting = self._while_log  # here, and not in the thread of a base
        self.logs: Logs | None = None
        self._vacant: float | None = None
        self._joining: float | None = None
        self.logs_at = self.removed_at = self.heard_at = self._pruned_at = float("-inf")
        self._stop = threading.Event()

    def run(self) -> int:
        """Until SIGTERM."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self._stop.set())
        while not self._stop.wait(LOOK):
            self.look()
        self.making.cancel.set()
        if self.making.thread is not None:
            self.making.thread.join(LAST)
        self.ledger.leave()
        return 0

    def look(self) -> None:
        """One look, whatever fails in it."""
        try:
            status = self._sql.status()
        except SqlError:
            return  # mariadbd starts, or stops: there is nothing to archive
        if not (status.primary and status.ready):
            return
        try:
            self.making.recover()
            heard = self.ledger.hear(self._logging())
            if heard:
                self._take_turn(status)
            if not self.ledger.holds:
                self._give_up()
            elif self.ledger.timeline:
                self._work(self.ledger.timeline, status, heard)
            self._remove()
        except SessionLost as error:
            self.ledger.lose(str(error))
            self._give_up()
        except StoreError as error:
            self._topics.say("archive store", f"archive: {error}")
        except FAILURES as error:
            self._topics.say("archive", f"archive: {type(error).__name__}: {error}")

    def _logging(self) -> bool:
        """Whether the server writes the binary logs that the archive needs.

        A server that joins takes over its donor's domain, whatever its own option says; that of a donor
        without `plan.options` is 0, and so would be the numbers of whoever is the first to have them.
        """
        if self._sql.run("SELECT @@GLOBAL.log_bin, @@GLOBAL.wsrep_gtid_mode") != [(1, 1)]:
            return False
        ((domain,),) = self._sql.run("SELECT @@GLOBAL.wsrep_gtid_domain_id")
        if domain != DOMAIN:
            self._sql.run(f"SET GLOBAL wsrep_gtid_domain_id = {DOMAIN}")
            log(f"archive: numbers of this node have domain {DOMAIN} from now on, not its donor's {domain}")
        return True

    def _give_up(self) -> None:
        """What this node archived is another's."""
        self.logs = None
        self.making.cancel.set()

    # ---- whose turn it is

    def _take_turn(self, status: ServerStatus) -> None:
        now, known, facts = time.monotonic(), self.ledger.known, self.ledger.facts
        if known.archiver:
            self._vacant = None
        elif self._vacant is None:
            self._vacant = now
        may = not known.archiver and status.state == "Synced"
        last = known.archive.last if known.archive.timeline == self.ledger.timeline else None
        do = decide(
            Seen(
                node=self._settings.node,
                holds=self.ledger.holds,
                holder=known.archiver,
                synced=frozenset(name for name, here in facts.present.items() if here.state == "synced"),
                writer=facts.writer or "",
                covers=chains.covers(self._own.begins(), last) if may else False,
                busy=self.making.busy,
                vacant=0.0 if self._vacant is None else now - self._vacant,
            )
        )
        if do is Do.CLAIM and may and self.ledger.claim():
            self.logs = None
        elif do is Do.RELEASE:
            self.ledger.release()

    # ---- what the one does

    def _work(self, timeline: str, status: ServerStatus, heard: bool) -> None:
        if self.logs is not None and self.logs.where.timeline != timeline:
            self._give_up()
        if self.logs is None or time.monotonic() - self.logs_at >= self._plan.log_seconds:
            self.logs_at = time.monotonic()
            try:
                self._archive_logs(timeline, status)
            except FAILURES as error:
                # No end of the look: who asks for a backup meanwhile is to hear what comes of it.
                self.ledger.note(timeline=timeline, problem=f"{error}")
                self._topics.say("archive logs", f"archive: logs are not archived: {error}")
            else:
                if self.logs is not None and self._topics.end("archive logs"):
                    log("archive: logs are archived again")
                    if self.ledger.noted.kept:  # for the same reason, perhaps
                        self._pruned_at = float("-inf")
        if self.logs is None:
            return
        if status.state == "Synced":
            self.making.look(timeline, self.logs, only_asked=self._others_join())
        # Not on what was known before the store went away: the cluster may be in another timeline since.
        if heard and time.monotonic() - self._pruned_at >= PRUNE_EVERY and not self.making.busy:
            self._pruned_at = time.monotonic()
            self._prune(timeline)

    def _prune(self, timeline: str) -> None:
        try:
            self._learn_bases(timeline)
            gone = prune(self._plan, self.bucket, list(self.ledger.known.bases), timeline, self._now())
        except (ManifestError, BucketError, Shared, Clock) as error:
            self.ledger.note(kept=str(error))
            self._topics.say("archive retention", f"archive: {error}")
            self._pruned_at += PRUNE_AGAIN - PRUNE_EVERY
            return
        self._topics.end("archive retention")
        self.ledger.note(kept="")
        self.ledger.remove(gone)

    def _others_join(self) -> bool:
        """Whether a node is to get its data, and this one may be its donor: a base would keep it waiting.

        For a while only: one that can't join must not keep a cluster from being backed up.
        """
        here = self.ledger.facts.present.values()
        if not any(presence.state in ("empty", "starting") for presence in here):
            self._joining = None
            return False
        now = time.monotonic()
        self._joining = now if self._joining is None else self._joining
        return now - self._joining < JOINING

    def _archive_logs(self, timeline: str, status: ServerStatus) -> None:
        if self.logs is None:
            ((version,),) = self._sql.run("SELECT @@GLOBAL.version")
            where = Where(timeline, self._settings.node, str(version))
            logs = Logs(self._plan, self.bucket, self._own, where)
            try:
                logs.begin(lambda: status.committed, self._without_logs())
            except Waits as error:
                self.ledger.note(timeline=timeline, problem=f"{error}")
                self._topics.say("archive wait", f"archive: {error}")
                return
            self._topics.end("archive wait")
            self._learn_bases(timeline)
            self.logs = logs
        logs = self.logs
        logs.archive(self._now, lambda: self._after_log(logs), self._while_log)
        self._tell_logs(logs)
        if logs.uneven and not self._without_logs():
            logs.even()

    def _after_log(self, logs: Logs) -> None:
        self._tell_logs(logs)
        self._still_mine()

    def _while_log(self) -> None:
        if time.monotonic() - self.heard_at >= HEAR:
            self._still_mine()

    def _still_mine(self) -> None:
        """Raises SessionLost: many logs, or a large one, may take longer than a session lasts unheard of."""
        self.heard_at = time.monotonic()
        self.ledger.hear(True)
        if not self.ledger.holds:
            raise SessionLost("the right to archive was lost while logs were archived")

    def _without_logs(self) -> list[str]:
        """Nodes of the component that do not say that their servers write binary logs."""
        return sorted(
            name
            for name, presence in self.ledger.facts.present.items()
            if presence.state in ("primary", "synced") and name not in self.ledger.known.logging
        )

    def _tell_logs(self, logs: Logs) -> None:
        # No reason to hold up the logs of all: their numbers are the same since the archive's first.
        silent = ", ".join(self._without_logs())
        self.ledger.note(
            timeline=logs.where.timeline,
            first=logs.chain.first,
            last=logs.last,
            gap=logs.chain.gaps[-1] if logs.chain.gaps else None,
            problem=f"no word of binary logs of {silent}" if silent else "",
            **({"reach": logs.reach} if logs.reach else {}),
        )

    def _learn_bases(self, timeline: str) -> None:
        """Makes the store's records those of the bucket: one of the two may have been lost. A manifest whose
        data is not there, or not all of it, is none.
        """
        place = self._plan.place
        sizes = {entry.key: entry.size for entry in self.bucket.listed(place.bases(timeline))}
        names = {key.partition("/")[0] for key in sizes if key.endswith(f"/{layout.MANIFEST}")}
        recorded = {backup.name: backup for backup in self.ledger.known.of(timeline)}
        read = {name: recorded.get(name) or self._read_base(timeline, name) for name in sorted(names)}
        found = {name: backup for name, backup in read.items() if backup is not None}
        gone = [recorded[name] for name in sorted(recorded.keys() - names)]
        for name, backup in found.items():
            if why := broken(backup, found, sizes):
                self._topics.say(f"base {name}", f"archive: {name} is no backup: {why}")
                gone += [backup] * (name in recorded)
            elif name not in recorded:
                self.ledger.add(backup)
        self.ledger.remove(gone)

    def _read_base(self, timeline: str, name: str) -> Backup | None:
        """By its manifest; None, and said, for one that is not understood."""
        text = self.bucket.read(f"{self._plan.place.base(timeline, name)}/{layout.MANIFEST}")
        try:
            return Backup.of(manifest.loads(manifest.Base, text))
        except ManifestError as error:
            self._topics.say(f"base {name}", f"archive: {name} is passed over: {error}")
            return None

    def _remove(self) -> None:
        """Removes this node's own logs that are archived; all nodes do so, each when it looks."""
        archive = self.ledger.known.archive
        if time.monotonic() - self.removed_at < REMOVE_EVERY or archive.timeline != self.ledger.timeline:
            return
        self.removed_at = time.monotonic()
        until = chains.removable(self._own.closed(), archive.last)
        if until is not None:
            self._own.remove(until)
