"""What the clients have said: each write that was begun, each that was acknowledged, and when.

Owns: the record on this machine, which is on its disk before a write counts as recorded, and the pauses in
it. Leaves to others: who says it (`clients.py`), whether the cluster still has it (`judge.py`).

Times are those at which a line arrived here: one clock for all hosts, whatever theirs show.
"""

from __future__ import annotations

import itertools
import json
import os
import threading
import time
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

EVERY = 0.2
"""Seconds between two times that the record is brought to the disk."""

Key = tuple[str, int]
"""A write: its checker, and the checker's number for it."""


@dataclass
class Said:
    """What the clients' lines come to.

    Attributes:
        tried: each write that was begun. acked: what was said of each that was acknowledged, by its key.
        times: of the acknowledgements, by the checker's way, e.g. `writer@galera-1`, whichever its life.
        errors: what went wrong, by way. ended: checkers that said their last word.
    """

    tried: set[Key] = field(default_factory=set)
    acked: dict[Key, tuple[int, ...]] = field(default_factory=dict)
    times: dict[str, list[float]] = field(default_factory=dict)
    errors: dict[str, list[str]] = field(default_factory=dict)
    ended: set[str] = field(default_factory=set)

    def take(self, at: float, line: Sequence[Any]) -> None:
        """One line. Raises ValueError for one that no client says."""
        match line:
            case ["try", str(checker), int(number)]:
                self.tried.add((checker, number))
            case ["ack", str(checker), int(number), *told] if all(isinstance(each, int) for each in told):
                self.acked[checker, number] = tuple(told)
                self.times.setdefault(way(checker), []).append(at)
            case ["error", str(checker), int(), str(text)]:
                self.errors.setdefault(way(checker), []).append(text)
            case ["end", str(checker), int()]:
                self.ended.add(checker)
            case _:
                raise ValueError(f"no client says this: {line!r}")


class Journal:
    """The record of one run, in a file; use as a context. What it says is in `said`."""

    def __init__(self, path: Path) -> None:
        self.path, self.said = path, Said()
        self.odd: list[str] = []
        self._lock, self._over = threading.Lock(), threading.Event()
        self._flusher = threading.Thread(target=self._flush_again_and_again, daemon=True)

    def __enter__(self) -> Journal:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._file = self.path.open("w", encoding="utf-8")
        self._flusher.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._flusher.join()
        self._flush()
        self._file.close()

    def take(self, text: str, at: float | None = None) -> None:
        """A client's line, now. What is none is kept apart: it may be a container's last words."""
        at = time.monotonic() if at is None else at
        with self._lock:
            try:
                line = json.loads(text)
                self.said.take(at, line)
            except ValueError:
                self.odd.append(text.rstrip())
                return
            self._file.write(json.dumps([round(at, 3), *line]) + "\n")

    def last(self, named: str) -> float | None:
        """When that way's last acknowledged write was; None if there was none yet."""
        with self._lock:
            return max(self.said.times.get(named, ()), default=None)

    def _flush_again_and_again(self) -> None:
        while not self._over.wait(EVERY):
            self._flush()

    def _flush(self) -> None:
        with self._lock:
            self._file.flush()
            number = os.dup(self._file.fileno())
        try:
            os.fsync(number)
        finally:
            os.close(number)


def way(checker: str) -> str:
    """A checker without its life."""
    return checker.rpartition("/")[0]


def read(path: Path) -> Said:
    """What a record holds. Raises OSError, ValueError."""
    said = Said()
    for text in path.read_text(encoding="utf-8").splitlines():
        at, *line = json.loads(text)
        said.take(at, line)
    return said


def longest(times: Iterable[float], since: float, until: float) -> float:
    """The longest time without one of them, from the last before `since` on, up to `until`."""
    known = sorted(times)
    begin = max((each for each in known if each <= since), default=since)
    inside = [each for each in known if since < each < until]
    return max(later - before for before, later in itertools.pairwise([begin, *inside, until]))


def without_writes(
    said: Said, name: str, hosts: Collection[str], spared: Collection[str], since: float, until: float
) -> float:
    """Seconds for which a client of that way got no write acknowledged, in the worst case.

    Of the clients on hosts that were spared, each by itself. If none was, a client is taken that is wherever
    writes are acknowledged first: all clients together.
    """
    if spared:
        return max(longest(said.times.get(f"{name}@{host}", ()), since, until) for host in spared)
    return longest((at for host in hosts for at in said.times.get(f"{name}@{host}", ())), since, until)


def first_after(said: Said, name: str, hosts: Collection[str], since: float) -> float | None:
    """Seconds until any client of that way got a write acknowledged; None if none did."""
    times = (at for host in hosts for at in said.times.get(f"{name}@{host}", ()) if at > since)
    first = min(times, default=None)
    return None if first is None else first - since
