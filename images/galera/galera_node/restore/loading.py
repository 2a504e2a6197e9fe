"""The archive into this node's data directory, for a restore of the whole cluster.

A process of its own beside the node's first one, which meanwhile holds mariadbd back by the store's record
and has put the old data aside. The directory is marked as half-way until all is in its place on disk; only
then does the store hear of the new cluster, which this node's own rules start.

May be killed at any moment: the next one begins anew, or, where the data was in its place, tells the store.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from .. import accounts, local_state
from ..config import tune
from ..local_state import NO_UUID, TRANSFER_MARK, UNPACKED, Kind, Note
from ..settings import Settings
from ..sql import Sql, SqlError
from ..store import Facts, Store, StoreError, parse
from . import aside, record
from .fact import Restore
from .node import alone, place
from .people import as_now
from .plan import Plan
from .record import Commit, NotNow
from .scratch import LOG, Say, Scratch, ScratchError
from .streams import Source

LOOK = 2.0
"""Seconds between looks at the store's record."""
PATIENCE = 180.0
"""Seconds for the node's first process to put the data aside."""
LOCKED = 20.0
"""Seconds for whoever else works on the directory."""
POOL = 256 << 20
"""Bytes of the scratch server's buffer pool, where the machine does not say what is good."""
BROKEN = (
    "SELECT CONCAT(TABLE_SCHEMA, '.', TABLE_NAME, ': ', IFNULL(TABLE_COMMENT, '')) FROM "
    "information_schema.TABLES WHERE TABLE_TYPE = 'BASE TABLE' AND ENGINE IS NULL"
)


class Loading:
    """One load. `plan_of`: the plan for the record's position, once it is asked for."""

    def __init__(
        self, settings: Settings, store: Store, source: Source, plan_of: Callable[[Restore], Plan], say: Say
    ) -> None:
        self._settings, self._store, self._source = settings, store, source
        self._plan_of, self._say = plan_of, say
        self._looked = self._told = 0.0
        self._id = ""

    def run(self, key: str) -> None:
        """All of it. Raises NotNow, ScratchError, StreamError, SqlError, StoreError, OSError."""
        commit = record.load(self._facts(), self._settings.node, _now())
        if commit is not None:
            self._write(commit, "somebody else has just changed the restore's record: repeat")
        facts = self._facts()
        if facts.restore is None:
            raise NotNow("the restore's record has gone")
        restore = facts.restore
        self._id = restore.id
        plan = self._plan_of(restore)
        if self._made_way(restore):
            self._say("the data is in its place already")
        else:
            self._alone(plan, restore, key)
        self._join()

    def _alone(self, plan: Plan, restore: Restore, key: str) -> None:
        """Loads once nobody else works on the directory: the first process may not be quite done with it."""
        deadline = time.monotonic() + LOCKED
        while True:
            half = False
            with alone(self._settings.run_dir) as free:
                if free and not (half := aside.half_way(self._settings.data_dir)):
                    return self._load(plan, restore, key)
            if time.monotonic() > deadline and half:
                raise NotNow("the data of before is not wholly aside yet: the node goes on with it; repeat")
            if time.monotonic() > deadline:
                raise NotNow("another load works in this container: wait for it, or undo the restore")
            time.sleep(0.2)

    def _made_way(self, restore: Restore) -> bool:
        """Waits until the old data is aside. Whether the new one is in its place, from a load before."""
        deadline = time.monotonic() + PATIENCE
        while True:
            local = local_state.read(self._settings.data_dir)
            if local.kind is Kind.DATA and (local.uuid, local.epoch) == (restore.uuid, restore.epoch):
                return True
            if local.kind in (Kind.EMPTY, Kind.PARTIAL):
                return False
            if local.uuid not in (restore.former_uuid, NO_UUID) or local.kind is Kind.FOREIGN:
                raise NotNow(f"the directory holds data of another cluster, {local.uuid}: nothing is touched")
            if time.monotonic() > deadline:
                raise NotNow(f"the node has not put its data aside within {PATIENCE:.0f} s: its log says why")
            self._progress("the node puts its data aside", 0, 0)
            time.sleep(0.5)

    def _load(self, plan: Plan, restore: Restore, key: str) -> None:
        data, run = self._settings.data_dir, self._settings.run_dir / "restore"
        unpacked = data / UNPACKED
        shutil.rmtree(unpacked, ignore_errors=True)
        free = shutil.disk_usage(data).free
        if free < plan.room:
            raise NotNow(f"{free / 1e6:.0f} MB are free here, and the restore needs {plan.room / 1e6:.0f} MB")
        unpacked.mkdir(mode=0o700)
        stage = unpacked / "data"
        chosen = tune(data).sizes
        pool = POOL if chosen is None else chosen.pool
        scratch = Scratch(stage, run, pool, self._say, self._progress)
        try:
            scratch.make(plan, self._source, key)
            check(scratch.sql)
            people(self._settings, scratch.sql)
            scratch.stop()
        finally:
            scratch.kill()
            shutil.rmtree(run, ignore_errors=True)
        self._still(restore.id)
        put_in_place(data, stage, restore)
        shutil.rmtree(unpacked)
        self._say(f"the data is in its place, at {restore.position}")

    def _join(self) -> None:
        for _ in range(10):
            commit = record.join(self._facts(), _now())
            if self._store.commit(commit.expect, commit.puts, commit.deletes):
                self._say(f"the store knows the new cluster, {commit.record.uuid}")
                return
            time.sleep(0.5)
        raise NotNow("the store's records change all the time: repeat, the data is in its place")

    # ---- the store

    def _facts(self) -> Facts:
        return parse(self._store.read())

    def _write(self, commit: Commit, else_: str) -> None:
        if not self._store.commit(commit.expect, commit.puts, commit.deletes):
            raise NotNow(else_)

    def _progress(self, what: str, now: int, whole: int) -> None:
        """Hears how it comes along; looks now and then whether it is still to go on."""
        at = time.monotonic()
        if at - self._looked >= LOOK:
            self._looked = at
            self._still(self._id)
        if at - self._told >= 5.0:
            self._told = at
            self._say(f"  {what}: {now / 1e6:.1f} of {whole / 1e6:.1f} MB" if whole else f"  {what} …")

    def _still(self, of: str) -> None:
        try:
            restore = self._facts().restore
        except StoreError:
            return  # nothing is told to the store before the end, and that insists on the record
        if restore is None or restore.id != of or restore.phase != "load":
            raise NotNow("the restore was undone meanwhile")


def check(sql: Sql) -> None:
    """Whether every table can be opened. Raises ScratchError."""
    if broken := [str(row[0]) for row in sql.run(BROKEN)]:
        raise ScratchError(f"these tables can't be opened: {'; '.join(broken[:10])}")


def people(settings: Settings, sql: Sql) -> None:
    """The stack's own accounts with the passwords that it has now. Raises SqlError.

    Not before the replay: what is written before that takes the numbers of what is to come.
    """
    sql.run("SET SESSION sql_log_bin = 0")
    try:
        if (move := accounts.moved(settings, sql.run(accounts.STORED))) is not None:
            sql.run(*move)
        for statement in as_now(settings, sql.run(accounts.STORED)):
            sql.run(*statement)
    finally:
        sql.run("SET SESSION sql_log_bin = 1")


def put_in_place(data: Path, stage: Path, restore: Restore) -> None:
    """The data of `stage` as this node's, of the new cluster. The directory counts as nothing meanwhile."""
    (data / TRANSFER_MARK).touch()
    local_state.sync_folder(data)
    for entry in list(stage.iterdir()):
        if entry.name.startswith(f"{LOG}."):
            entry.unlink()
    where = place(data)
    where.make_folders()
    where.clear()
    local_state.clear(data, frozenset({TRANSFER_MARK}))
    where.take(stage)
    local_state.write_note(data, Note(restore.epoch))
    local_state.write_grastate(data, restore.uuid, 0, safe_to_bootstrap=True)
    for folder in where.folders:
        local_state.flush(folder)
    local_state.remove_mark(data)


def _now() -> datetime:
    return datetime.now(UTC)


__all__ = ["Loading", "ScratchError", "SqlError"]
