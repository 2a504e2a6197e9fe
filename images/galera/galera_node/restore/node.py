"""What a node's first process does for a restore: wait, put its data aside or back, and remove what was kept.

Leaves to others: when (`decision.restoring`), how (`aside`), loading the archive, which is a process of its
own in the same container (`loading`) and holds a lock while it works on the directory.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from ..config import server_options
from ..decision.outcomes import Bootstrap, Decision, Hold, PutBack, SetAside
from ..decision.restoring import DONE
from ..local_state import ASIDE, Local, kept_from
from ..own_data import OwnData
from ..parts import Parts
from ..placement import Placement, by_options
from ..settings import Settings
from ..store import Facts, Store, StoreError
from ..words import log
from . import aside, record
from .bootstrap import Beginner

LOCK = "restore.lock"


def place(data_dir: Path) -> Placement:
    """Where this node's mariadbd keeps its data, by the options of its files."""
    return by_options(data_dir, server_options())


@contextmanager
def alone(run_dir: Path) -> Iterator[bool]:
    """Whether nobody else works on the data directory for a restore; until the end nobody else does."""
    run_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    file = os.open(run_dir / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(file)


class Restoring:
    """Does what the rules say, in the node's loop."""

    def __init__(self, parts: Parts, own_data: OwnData) -> None:
        self._settings, self._topics, self._reports = parts.settings, parts.topics, parts.reports
        self._own_data, self._beginner = own_data, Beginner(parts.settings)

    def instead(self, decision: Decision, facts: Facts | None) -> Decision:
        """The decision; where an empty cluster would begin, and is to begin with an archive, that instead."""
        if self._beginner.wanted is None or facts is None:
            return decision
        begins = isinstance(decision, Bootstrap) and decision.first and decision.abort is None
        if begins or self._beginner.mine(facts):
            self._beginner.look(time.monotonic())
        return Hold("this cluster begins with the data of an archive (bootstrapFrom)") if begins else decision

    def act(self, decision: Hold | SetAside | PutBack, local: Local) -> Local:
        """One turn; the directory's state after it."""
        self._topics.say("decision", f"restore: {decision.reason}")
        self._reports.held(f"restore: {decision.reason}")
        if isinstance(decision, Hold):
            return self._own_data.again(local)
        with alone(self._settings.run_dir) as free:
            if not free:
                self._topics.say("restore", "waiting: what loads the archive here still works")
                return local
            self._topics.end("restore")
            where = place(self._settings.data_dir)
            if isinstance(decision, SetAside):
                aside.keep(where, decision.restore)
                log(f"the data of before is kept in {where.data / ASIDE}")
            else:
                aside.put_back(where, decision.restore)
                log("the data of before is in its place again")
        return self._own_data.local()


def end(settings: Settings, store: Store, facts: Facts) -> None:
    """What a Synced node does at a restore's end: removes what nobody needs, or notes that it is undone."""
    restore = facts.restore
    if restore is None:
        return
    if restore.phase == DONE and kept_from(settings.data_dir) == restore.id:
        log(f"removing the data of before the restore to {restore.target}")
        aside.remove(place(settings.data_dir))
    commit = record.ended(facts, settings.node, settings.size, datetime.now(UTC))
    try:
        if commit is not None and store.commit(commit.expect, commit.puts, commit.deletes):
            log(record.under_way(commit.record, facts))
    except StoreError as error:
        log(f"that the restore is over could not be noted yet: {error}")
