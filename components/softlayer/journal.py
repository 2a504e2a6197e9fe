"""Notes on this machine of requests that must not be made twice: orders and reloads.

Owns: where notes are, their lock, reading and writing them so that they survive a crash.
Leaves to others: what they say (orders.py, reloads.py).

The state cannot hold them: Pulumi writes it when a call of a provider returns, and that is too late.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from components.softlayer.errors import SoftLayerFailed
from components.softlayer.progress import wait_for
from components.state_folder import state_folder

LOCK_LIMIT = 300.0
"""Seconds to wait for another process that is at the same thing."""


def folder(state: Path | None = None) -> Path:
    """Where the notes are kept: `orders` in a state folder, by default the program's own."""
    return (state or state_folder()) / "orders"


@dataclass
class Entry:
    """One note, held under its lock."""

    path: Path

    def read(self) -> dict[str, Any]:
        """What it says; nothing when it is empty or was cut off while it was written."""
        return _content(self.path.read_text())

    def write(self, content: Mapping[str, Any]) -> None:
        """On disk before this returns."""
        with self.path.open("w") as file:
            file.write(json.dumps(content) if content else "")
            file.flush()
            os.fsync(file.fileno())


@contextlib.contextmanager
def held(key: str, what: str, place: Path | None = None) -> Iterator[Entry]:
    """The note of that key; no other process has it at the same time.

    Args:
        key: what it is about, unique among all stacks of the account.
        what: what is to be done, e.g. `place the order of galera-1`.
        place: the folder, by default `folder()`.

    Raises:
        SoftLayerFailed: the folder cannot be written, or another process holds the note for too long.
    """
    where = place or folder()
    path = where / f"{hashlib.sha256(key.encode()).hexdigest()[:24]}.json"
    try:
        where.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.touch()
    except OSError as error:
        raise SoftLayerFailed(
            f"{where} cannot be written ({error.strerror}); it keeps a note on each order under way, so that "
            "none is placed twice. Set XDG_STATE_HOME to a folder that can be written"
        ) from None
    # The file is left behind: removing a locked file would let two processes hold locks of the same name on
    # two different files.
    lock = FileLock(path, preserve_lock_file=True)

    def look() -> tuple[bool | None, str]:
        try:
            lock.acquire(blocking=False)
        except Timeout:
            return None, "another process is at it"
        return True, ""

    wait_for(
        f"waiting to {what}",
        look,
        LOCK_LIMIT,
        "look for another `pulumi` or left-over `pulumi.dynamic` process of this stack and end it",
    )
    try:
        yield Entry(path)
    finally:
        lock.release()


def entries(place: Path | None = None) -> list[dict[str, Any]]:
    """What all notes say, without their locks."""
    return [_content(path.read_text()) for path in sorted((place or folder()).glob("*.json"))]


def _content(text: str) -> dict[str, Any]:
    try:
        content = json.loads(text)
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}
