"""What the node's own data directory says: empty, data with a position, or a transfer that never ended.

Owns grastate.dat (read and write), the node's own note beside it (the epoch of the data, and the last Primary
component it was in), the marker of a broken transfer, and discarding. Leaves what follows from it to
`decision`.
"""

from __future__ import annotations

import ctypes
import fcntl
import json
import os
import re
import shutil
from dataclasses import asdict, dataclass, field, replace
from enum import Enum
from pathlib import Path

from .store import View, view_from

NO_UUID = "00000000-0000-0000-0000-000000000000"
# Written before a transfer touches the directory, removed after its last step: see `sst`.
TRANSFER_MARK = "galera-node.transfer"
# The node's own note; whatever replaces the data removes it.
NOTE = "galera-node.note"
# Full copies that have begun since the node was last Synced; outlives them and the container: see `copies`.
COPIES = "galera-node.copies"
# On which authority all nodes have agreed, and so that they speak TLS alone; outlives the data: see `tls`.
AGREED = "galera-node.tls"
# The data of before a restore, and what a restore unpacks: see `restore.aside`.
ASIDE = ".before-restore"
UNPACKED = ".restore"
# What mkfs and docker leave in a fresh volume, and what says nothing about what else is there.
NOT_DATA = frozenset({"lost+found", COPIES, AGREED, ASIDE, UNPACKED})
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
    "binlog.",
    "galera-node.",
)


def own(data_dir: Path) -> int | None:
    """Take the directory for this process until it ends; None while another container has it.

    Of the directory itself, so that whatever replaces its content does not touch the lock.
    """
    file = os.open(data_dir, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(file)
        return None
    return file


class Kind(Enum):
    """What a data directory is worth."""

    EMPTY = "empty"
    PARTIAL = "partial"  # an interrupted transfer or first start: worthless, may be replaced
    DATA = "data"
    FOREIGN = "foreign"  # something that no mariadbd has put there


@dataclass(frozen=True)
class Note:
    """What the node remembers of its data; all of it empty for data of the version that kept no note.

    `epoch`: the cluster's epoch that the data belongs to. `begins`: one that this node was about to begin
    with this data; whether it did is in the store. `start`: the position `UUID:seqno` of a bootstrap that was
    under way. `component`: the last Primary component in which the node was Synced.
    """

    epoch: str = ""
    begins: str = ""
    start: str = ""
    component: View | None = None


@dataclass(frozen=True)
class Local:
    """The data directory. `seqno` is -1 when the last stop was not orderly (it is then in InnoDB).

    `view`: the last view of the group was saved; with it a member can restore a Primary component that was
    lost, once all of that view meet again. `trusted`: Galera has not marked the data as unusable, as it does
    with those of a node that the others have voted out. `note`: see `Note`. `unrecovered`: why InnoDB,
    which was asked for the position, has not told it. `aside`: the restore before which other data was here
    that is kept; empty for none.
    """

    kind: Kind
    uuid: str = NO_UUID
    seqno: int = -1
    view: bool = False
    trusted: bool = True
    note: Note = field(default_factory=Note)
    unrecovered: str = ""
    aside: str = ""

    @property
    def epoch(self) -> str:
        return self.note.epoch


def parse_grastate(text: str) -> tuple[str, int]:
    """UUID and seqno of a grastate.dat; NO_UUID and -1 where it does not say."""
    uuid = re.search(r"^uuid:\s*([0-9a-fA-F-]{36})\s*$", text, re.MULTILINE)
    seqno = re.search(r"^seqno:\s*(-?\d+)\s*$", text, re.MULTILINE)
    return (uuid.group(1).lower() if uuid else NO_UUID, int(seqno.group(1)) if seqno else -1)


def read(data_dir: Path) -> Local:
    """The state of `data_dir`. A directory with tables but without a UUID counts as data, never as empty."""
    return replace(_read(data_dir), aside=kept_from(data_dir))


def kept_from(data_dir: Path) -> str:
    """The restore before which the data was here that is kept aside; empty for none."""
    try:
        return (data_dir / ASIDE / "restore").read_text().strip()
    except OSError:
        return ""


def _read(data_dir: Path) -> Local:
    entries = {entry.name for entry in data_dir.iterdir()} - NOT_DATA
    if not entries:
        return Local(Kind.EMPTY)
    if TRANSFER_MARK in entries:
        return Local(Kind.PARTIAL)
    grastate = data_dir / "grastate.dat"
    uuid, seqno = parse_grastate(grastate.read_text(errors="replace")) if grastate.exists() else (NO_UUID, -1)
    if not entries & {"ibdata1", "mysql"}:
        return Local(Kind.PARTIAL if all(name.startswith(LEFT_OVER) for name in entries) else Kind.FOREIGN)
    return Local(Kind.DATA, uuid, seqno, "gvwstate.dat" in entries, note=read_note(data_dir) or Note())


def read_note(data_dir: Path) -> Note | None:
    """The node's note, None without one. One that is damaged belongs to no epoch that anybody has begun."""
    try:
        values = json.loads((data_dir / NOTE).read_text())
    except FileNotFoundError:
        return None
    except (OSError, ValueError):
        return Note(epoch="?")
    try:
        component = values["component"]
        return Note(
            epoch=str(values["epoch"]),
            begins=str(values["begins"]),
            start=str(values["start"]),
            component=None if component is None else view_from(json.dumps(component)),
        )
    except (ValueError, TypeError, KeyError):
        return Note(epoch="?")


def write_note(data_dir: Path, note: Note) -> None:
    """Writes the note durably."""
    _replace(data_dir, NOTE, json.dumps(asdict(note)))


@dataclass(frozen=True)
class Copies:
    """Full copies that have begun since the node was last Synced. `at`: the last did (Unix time)."""

    begun: int = 0
    at: float = 0.0

    def pause(self, now: float) -> float:
        """Seconds until the next may begin: none after the first, then 30, doubled up to ten minutes.

        One that cannot succeed would load a donor that serves clients, for ever. A clock that was set back
        does not lengthen it.
        """
        if self.begun < 2:
            return 0.0
        whole = min(30.0 * float(1 << min(self.begun - 2, 10)), 600.0)
        return max(0.0, whole - max(0.0, now - self.at))


def copies(data_dir: Path) -> Copies:
    """What is known of the full copies so far."""
    try:
        begun, at = (data_dir / COPIES).read_text().split()
        return Copies(int(begun), float(at))
    except (OSError, ValueError):
        return Copies()


def copy_begins(data_dir: Path, now: float) -> None:
    """Counts a full copy, before it touches the directory."""
    _replace(data_dir, COPIES, f"{copies(data_dir).begun + 1} {now}\n")


def copy_succeeded(data_dir: Path) -> None:
    """The node is Synced."""
    (data_dir / COPIES).unlink(missing_ok=True)


def agreed(data_dir: Path) -> str:
    """On which authority all nodes had agreed when this one last heard of it; empty for none."""
    try:
        return (data_dir / AGREED).read_text().strip()
    except OSError:
        return ""


def agree(data_dir: Path, authority: str) -> None:
    """Remembers that."""
    _replace(data_dir, AGREED, f"{authority}\n")


def write_grastate(data_dir: Path, uuid: str, seqno: int, safe_to_bootstrap: bool) -> None:
    """Writes grastate.dat durably."""
    text = (
        "# GALERA saved state\nversion: 2.1\n"
        f"uuid:    {uuid}\nseqno:   {seqno}\nsafe_to_bootstrap: {int(safe_to_bootstrap)}\n"
    )
    _replace(data_dir, "grastate.dat", text)


def _replace(data_dir: Path, name: str, text: str) -> None:
    """Writes a file durably: a rename over the old one, both file and directory synced."""
    new = data_dir / f"{name}.new"
    with open(new, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    new.rename(data_dir / name)
    sync_folder(data_dir)


def sync_folder(folder: Path) -> None:
    """Brings a folder's own entries to the disk: names that were made, renamed or removed."""
    directory = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def drop_empty_log(data_dir: Path) -> bool:
    """Removes a tc.log of no bytes; whether there was one.

    mariadbd makes this log of prepared transactions anew at each start and sizes it after that. On a full
    disk only the first succeeds, and no later start gets over the empty file ("Can't init tc log"). It has
    never held anything: the server that would have written to it did not come up.
    """
    log = data_dir / "tc.log"
    if not log.exists() or log.stat().st_size:
        return False
    log.unlink()
    return True


def remove_mark(data_dir: Path) -> None:
    """The data is whole. Durably: a mark that a power cut brought back would make it count as nothing."""
    (data_dir / TRANSFER_MARK).unlink(missing_ok=True)
    sync_folder(data_dir)


def distrust(data_dir: Path) -> None:
    """Has Galera replace the data by a full copy: it then knows no position of its own to go on from."""
    write_grastate(data_dir, NO_UUID, -1, safe_to_bootstrap=False)
    forget_view(data_dir)


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
        remove_mark(data_dir)
