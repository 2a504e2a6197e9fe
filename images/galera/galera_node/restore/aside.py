"""The data of before a restore, kept in a folder of the data directory: put there, put back, removed.

Only the node's first process does any of it, and each step can be gone on with after a crash: a file says
which was under way. It is a rename on one file system, so it takes no room and no time; only what mariadbd
keeps in folders elsewhere may have to be copied.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

from ..local_state import (
    ASIDE,
    NOT_DATA,
    TRANSFER_MARK,
    UNPACKED,
    _replace,
    clear,
    flush,
    kept_from,
    remove_mark,
    sync_folder,
)
from ..placement import Placement

KEEPING, KEPT, CLEARING, RETURNING, REMOVING = "keeping", "kept", "clearing", "returning", "removing"
STEP, RESTORE = "step", "restore"
"""Files in the folder: what is under way, and before which restore the data was here."""


def keep(place: Placement, restore: str) -> None:
    """Puts the data aside. The directory counts as empty from then on."""
    folder = place.data / ASIDE
    if folder.is_dir() and kept_from(place.data) not in ("", restore):
        remove(place)  # of a restore that is over: else this one could not have begun
    if not folder.is_dir():
        folder.mkdir(mode=0o700)
        _replace(folder, RESTORE, f"{restore}\n")
        _replace(folder, STEP, KEEPING)
    go_on(place)


def put_back(place: Placement, restore: str) -> None:
    """Empties the directory, and puts back what is aside; where nothing is, it stays empty.

    Args:
        restore: which one is undone. What is aside of an elder one is not what was here before this one.
    """
    folder = place.data / ASIDE
    if folder.is_dir() and kept_from(place.data) not in ("", restore):
        remove(place)
    shutil.rmtree(place.data / UNPACKED, ignore_errors=True)
    if folder.is_dir():
        go_on(place)
        _replace(folder, STEP, CLEARING)
        go_on(place)
    else:
        clear(place.data)
        place.clear()


def remove(place: Placement) -> None:
    """Deletes what is aside, for good, and what a restore has unpacked."""
    folder = place.data / ASIDE
    shutil.rmtree(place.data / UNPACKED, ignore_errors=True)
    if folder.is_dir():
        _replace(folder, STEP, REMOVING)
        go_on(place)


def half_way(data: Path) -> bool:
    """Whether some of the data of before is still where it was: nobody may load anything over it."""
    folder = data / ASIDE
    return (folder / RESTORE).exists() and _step(folder) == KEEPING


def _step(folder: Path) -> str:
    return (folder / STEP).read_text() if (folder / STEP).exists() else KEEPING


def go_on(place: Placement) -> None:
    """Finishes what a crash has interrupted; nothing where nothing was.

    Not while the archive is loaded here: what that has unpacked so far is removed.
    """
    folder = place.data / ASIDE
    shutil.rmtree(place.data / UNPACKED, ignore_errors=True)
    if not folder.is_dir():
        return None
    if not (folder / RESTORE).exists():  # it was just made, and nothing is in it
        return _drop(place, folder)
    step = _step(folder)
    if step == KEEPING:
        _keep(place, folder)
        _replace(folder, STEP, KEPT)
        _whole(place)
    if step == CLEARING:
        clear(place.data, frozenset({TRANSFER_MARK}))
        place.clear()
        step = RETURNING
        _replace(folder, STEP, step)
    if step == RETURNING:
        _return(place, folder)
        _whole(place)
    if step in (RETURNING, REMOVING):
        _drop(place, folder)
    return None


def _whole(place: Placement) -> None:
    """Nothing is half-way any more."""
    for folder in place.folders:
        flush(folder)
    remove_mark(place.data)


def _drop(place: Placement, folder: Path) -> None:
    """Deletes the folder: under another name, for half of it must not be taken for what is aside."""
    gone = place.data / UNPACKED
    shutil.rmtree(gone, ignore_errors=True)
    folder.rename(gone)
    sync_folder(place.data)
    shutil.rmtree(gone)


def _keep(place: Placement, folder: Path) -> None:
    # Whatever is there half-way must not be taken for data.
    (place.data / TRANSFER_MARK).touch()
    sync_folder(place.data)
    for name, source, entries in _parts(place):
        target = folder / name
        target.mkdir(mode=0o700, exist_ok=True)
        for entry in entries:
            shutil.move(entry, target / entry.name)
        sync_folder(source)
        sync_folder(target)


def _return(place: Placement, folder: Path) -> None:
    (place.data / TRANSFER_MARK).touch()
    sync_folder(place.data)
    for name, target, _ in _parts(place):
        if (folder / name).is_dir():
            for entry in list((folder / name).iterdir()):
                shutil.move(entry, target / entry.name)
            sync_folder(target)


def _parts(place: Placement) -> Iterator[tuple[str, Path, list[Path]]]:
    """Name below the folder, where its entries are, and which they are: those outside the directory first,
    for its folders may lie in it.
    """
    if place.undo != place.data:
        yield "undo", place.undo, list(place.undo_tablespaces())
    if place.binlog is not None and place.binlog.parent != place.data:
        logs = [file for file in place.binlogs() if file.exists()]
        yield "binlog", place.binlog.parent, logs
    entries = [
        entry for entry in place.data.iterdir() if entry.name not in NOT_DATA and entry.name != TRANSFER_MARK
    ]
    yield "data", place.data, entries
