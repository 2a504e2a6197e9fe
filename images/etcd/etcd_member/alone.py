"""A member that goes on alone by a person's word: the word, and the start that makes one cluster of it.

`etcd --force-new-cluster` drops from the log what it does not know as committed. That a write was committed
gets to the disk with the next one only, while the database beside the log may hold it already. So the log
then lacks a write that the database has: a member that joined and replayed that log would count other
revisions, and what is written on a condition would hold here and not there: one store with two contents.
Entries with the number of the lost one would even be passed over here. So nobody gets to see the log: this
start is on the loopback alone, writes until a write is seen to have been done, and ends with a snapshot
behind it. Who joins later gets the database itself.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from .api import ClusterApi, LocalMember
from .ctl import ApiError

WORD = "force-new-cluster"  # in the data directory, until the cluster of one is made
KEY = "etcd-member/alone"  # what is written; the value says when
RETRY = 0.3  # seconds between tries


class AloneError(Exception):
    """The start has come to nothing; the word stays, so that the next one tries again."""


def leave_word(data_dir: Path) -> None:
    """Says, durably, that the next start is to go on alone."""
    (data_dir / WORD).touch()
    sync(data_dir)


def has_word(data_dir: Path) -> bool:
    """Whether a person has said so."""
    return (data_dir / WORD).exists()


def take_word(data_dir: Path) -> None:
    """Takes the word away, durably: a further such start would remove members that have joined meanwhile."""
    (data_dir / WORD).unlink()
    sync(data_dir)


def sync(folder: Path) -> None:
    """Has what was made or removed in a folder outlive a loss of power."""
    directory = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def last_snapshot(data_dir: Path) -> int:
    """The number of the last log entry that a snapshot covers; 0 without any."""
    files = (data_dir / "member" / "snap").glob("*-*.snap")
    return max((int(file.stem.rpartition("-")[2], 16) for file in files), default=0)


def settle(
    argv: Sequence[str], data_dir: Path, member: LocalMember, api: ClusterApi, log: Callable[[str], None]
) -> None:
    """Runs etcd as `argv` says until a snapshot covers all that may be missing in the log.

    Repeatable: as long as nobody can join, a start that was broken off leaves nothing that the next one
    minds.

    Args:
        argv: forced, on the loopback, with a snapshot every few entries.
        member, api: that etcd, as nobody and as root.
    Raises AloneError when etcd ends by itself.
    """
    log("a person has said that the majority is lost: going on alone, with all records")
    process = subprocess.Popen(argv, env={"PATH": os.environ.get("PATH", "/usr/bin:/bin")})
    try:
        written, said = 0, ""
        while not written or last_snapshot(data_dir) < written:
            if process.poll() is not None:
                raise AloneError(f"etcd has ended with {process.returncode}; its log says why")
            try:
                api.put(KEY, time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()))
                written = written or member.last_entry()
            except ApiError as error:
                if str(error) != said:
                    said = str(error)
                    log(f"not yet: {said}")
                time.sleep(RETRY)
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        process.wait()
    log(f"a cluster of one, with a snapshot behind entry {written}: whoever joins gets the records from that")
