"""What the node and the SST program tell each other: progress of a transfer, and whose data is there.

Small files in memory; times are of the monotonic clock that all processes of a host share.
"""

from __future__ import annotations

import json
import os
import time
from dataclasses import dataclass
from pathlib import Path

FILE = "transfer"
HISTORY = "history"


@dataclass(frozen=True)
class Progress:
    """One that is under way.

    `phase`: waiting, receiving, preparing, starting, sending, incremental. `at`: last advance, in seconds.
    """

    role: str
    phase: str
    done: int
    at: float

    def __str__(self) -> str:
        return f"{self.role} {self.phase}, {self.done / 1e6:.1f} MB"


def write(run_dir: Path, role: str, phase: str, done: int) -> None:
    """Notes an advance now."""
    new = run_dir / f"{FILE}.{os.getpid()}"
    new.write_text(json.dumps({"role": role, "phase": phase, "done": done, "at": time.monotonic()}))
    new.rename(run_dir / FILE)


def read(run_dir: Path) -> Progress | None:
    """The last advance, or None when no transfer is under way."""
    try:
        return Progress(**json.loads((run_dir / FILE).read_text()))
    except (OSError, ValueError, TypeError):
        return None


def remember_history(run_dir: Path, uuid: str, epoch: str = "") -> None:
    """Notes whose data the directory holds, before mariadbd starts: a transfer must not replace another's."""
    (run_dir / HISTORY).write_text(f"{uuid} {epoch}")


def history(run_dir: Path) -> str:
    """The UUID noted last, empty if none was."""
    return _history(run_dir)[0]


def epoch(run_dir: Path) -> str:
    """The epoch noted last, empty if none was, or the first."""
    return _history(run_dir)[1]


def _history(run_dir: Path) -> tuple[str, str]:
    try:
        uuid, _, epoch = (run_dir / HISTORY).read_text().partition(" ")
        return uuid, epoch
    except FileNotFoundError:
        return "", ""


def end(run_dir: Path) -> None:
    """The transfer is over."""
    (run_dir / FILE).unlink(missing_ok=True)
