"""What the node's own data directory says: empty, data with a position, or a transfer that never ended.

Owns grastate.dat (read and write), the marker of a broken transfer, and discarding. Leaves what follows from
it to `decision`.
"""

from __future__ import annotations

import ctypes
import os
import re
import shutil
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

NO_UUID = "00000000-0000-0000-0000-000000000000"
# Written before a transfer touches the directory, removed after its last step: see `sst`.
TRANSFER_MARK = "galera-node.transfer"
# What mkfs and docker leave in a fresh volume.
NOT_DATA = frozenset({"lost+found"})
# What a first start that ended before any table was there may leave.
LEFT_OVER = (
    "galera.cache",
    "gcache.",
    "grastate.dat",
    "gvwstate.dat",
    "ib_",
    "undo",
    "aria_log",
    "ddl_recovery",
)


class Kind(Enum):
    EMPTY = "empty"
    PARTIAL = "partial"  # an interrupted transfer or first start: worthless, may be replaced
    DATA = "data"
    FOREIGN = "foreign"  # something that no mariadbd has put there


@dataclass(frozen=True)
class Local:
    """The data directory. `seqno` is -1 when the last stop was not orderly (it is then in InnoDB).

    `view`: the last view of the group was saved; with it a member can restore a Primary component that was
    lost, once all of that view meet again.
    """

    kind: Kind
    uuid: str = NO_UUID
    seqno: int = -1
    view: bool = False


def parse_grastate(text: str) -> tuple[str, int]:
    """UUID and seqno of a grastate.dat; NO_UUID and -1 where it does not say."""
    uuid = re.search(r"^uuid:\s*([0-9a-fA-F-]{36})\s*$", text, re.MULTILINE)
    seqno = re.search(r"^seqno:\s*(-?\d+)\s*$", text, re.MULTILINE)
    return (uuid.group(1).lower() if uuid else NO_UUID, int(seqno.group(1)) if seqno else -1)


def read(data_dir: Path) -> Local:
    """The state of `data_dir`. A directory with tables but without a UUID counts as data, never as empty."""
    entries = {entry.name for entry in data_dir.iterdir()} - NOT_DATA
    if not entries:
        return Local(Kind.EMPTY)
    if TRANSFER_MARK in entries:
        return Local(Kind.PARTIAL)
    grastate = data_dir / "grastate.dat"
    uuid, seqno = parse_grastate(grastate.read_text(errors="replace")) if grastate.exists() else (NO_UUID, -1)
    if not entries & {"ibdata1", "mysql"}:
        return Local(Kind.PARTIAL if all(name.startswith(LEFT_OVER) for name in entries) else Kind.FOREIGN)
    return Local(Kind.DATA, uuid, seqno, "gvwstate.dat" in entries)


def write_grastate(data_dir: Path, uuid: str, seqno: int, safe_to_bootstrap: bool) -> None:
    """Writes grastate.dat durably: a rename over the old one, both file and directory synced."""
    text = (
        "# GALERA saved state\nversion: 2.1\n"
        f"uuid:    {uuid}\nseqno:   {seqno}\nsafe_to_bootstrap: {int(safe_to_bootstrap)}\n"
    )
    new = data_dir / "grastate.dat.new"
    with open(new, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    new.rename(data_dir / "grastate.dat")
    directory = os.open(data_dir, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def flush(data_dir: Path) -> None:
    """Brings the file system that holds `data_dir`, and only that one, to its disk."""
    directory = os.open(data_dir, os.O_RDONLY)
    try:
        if ctypes.CDLL(None, use_errno=True).syncfs(directory) != 0:
            raise OSError(ctypes.get_errno(), "syncfs", str(data_dir))
    finally:
        os.close(directory)


def forget_view(data_dir: Path) -> None:
    """Removes the saved last view: from now on only a bootstrap under the lease restores a component."""
    (data_dir / "gvwstate.dat").unlink(missing_ok=True)


def clear(data_dir: Path, keep: frozenset[str] = frozenset()) -> None:
    """Empties the directory but for `keep`. The transfer mark goes last: a crash half-way stays visible."""
    (data_dir / TRANSFER_MARK).touch()
    for entry in data_dir.iterdir():
        if entry.name in keep or entry.name in NOT_DATA or entry.name == TRANSFER_MARK:
            continue
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()
    if TRANSFER_MARK not in keep:
        (data_dir / TRANSFER_MARK).unlink()
