"""A server that goes on alone by a person's word: the word, and the file by which Consul makes one of many.

Consul reads `raft/peers.json` at its start, makes a snapshot of all its records with the servers listed
there, and removes it. Whoever joins later gets the records from that snapshot. The others, should they come
back, must come empty: with their data they would be a majority of their own.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

from .config import RPC

WORD = "force-new-cluster"  # in the data directory, until the file is written
PEERS = "peers.json"


class AloneError(Exception):
    """The start would come to nothing; the word stays."""


def has_records(data_dir: Path) -> bool:
    """Whether the directory holds a server's records."""
    raft = data_dir / "raft"
    return (raft / "raft.db").is_file() or (raft / "wal").is_dir()


def leave_word(data_dir: Path) -> None:
    """Says, durably, that the next start is to go on alone."""
    (data_dir / WORD).touch()
    _sync(data_dir)


def take_word(data_dir: Path, address: str, log: Callable[[str], None]) -> None:
    """Turns a word that was left into Consul's file, durably, and takes it away: it counts once.

    `address`: this host's. Raises AloneError.
    """
    word, raft = data_dir / WORD, data_dir / "raft"
    if not word.exists():
        return
    try:
        own = (data_dir / "node-id").read_text().strip()
    except OSError as error:
        raise AloneError(f"{data_dir} holds no server that could go on alone: {error}") from None
    new = raft / f"{PEERS}.new"
    new.write_text(json.dumps([{"id": own, "address": f"{address}:{RPC}", "non_voter": False}]))
    _sync(new)
    new.rename(raft / PEERS)
    _sync(raft)
    word.unlink()
    _sync(data_dir)
    log("a person has said that the majority is lost: going on alone, with all records")


def _sync(path: Path) -> None:
    opened = os.open(path, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
