"""One process at a time: file locks that end with the process that holds them.

Owned here: taking one, waiting for one. Nothing is ever stale: the kernel drops a lock when its holder dies.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from lab.toolchain import places
from lab.toolchain.errors import ToolchainError

POLL = 0.2  # seconds between two tries for a lock somebody holds


def _take(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _holder(path: Path) -> str:
    """Who holds it, for people: the text the holder left, e.g. `make up, process 4711`."""
    try:
        return path.read_text(encoding="utf-8").strip() or "another process"
    except OSError:
        return "another process"


@contextmanager
def held(path: Path, who: str, *, refusal: str) -> Iterator[None]:
    """Hold the lock at `path` for the block; raise ToolchainError with `refusal` if somebody else does.

    `refusal` may contain `{holder}`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        if not _take(file):
            raise ToolchainError(refusal.format(holder=_holder(path)))
        _sign(file, who)
        yield
    finally:
        os.close(file)


@contextmanager
def waited_for(path: Path, who: str, waiting: Callable[[str], None]) -> Iterator[None]:
    """Hold the lock at `path` for the block, after its present holder; `waiting` is told who that is.

    Whatever `waiting` raises ends the wait; it is called once every poll.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        while not _take(file):
            waiting(_holder(path))
            time.sleep(POLL)
        _sign(file, who)
        yield
    finally:
        os.close(file)


def for_job(lab: str, who: str) -> AbstractContextManager[None]:
    """Hold the lab for a job, e.g. `make up`; raise ToolchainError while another one is at work on it."""
    refusal = f"{{holder}} is at work on lab {lab}: wait for its end, or end it with Ctrl-C where it runs."
    return held(places.job_lock(lab), who, refusal=refusal)


def _sign(file: int, who: str) -> None:
    os.ftruncate(file, 0)
    os.pwrite(file, f"{who}, process {os.getpid()}\n".encode(), 0)
