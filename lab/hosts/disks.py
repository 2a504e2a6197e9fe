"""Disk files: sparse data disks, and a system disk that outgrows the image it is a copy on write of.

Owned here: sizes, and the format of user-mode Linux's copy-on-write files (version 3,
arch/um/drivers/cow_user.c). Left to others: which disks a host has.
"""

from __future__ import annotations

import os
import re
import struct
import subprocess
from dataclasses import dataclass
from pathlib import Path

from lab.errors import LabError

GB = 1024**3
HEADER = struct.Struct(
    ">IIIQIII4096s"
)  # magic, version, mtime, size, sector size, alignment, format, backing file
MAGIC = 0x4F4F4F4D
TOUCHED = re.compile(rb"[^\0]+")


@dataclass(frozen=True)
class Cow:
    """The header of a copy-on-write file; sizes and offsets in bytes."""

    base: Path
    size: int
    sector: int
    bitmap: int
    data: int


def read_cow(path: Path) -> Cow:
    """Read a copy-on-write file's header; LabError if it is none."""
    with path.open("rb") as file:
        raw = file.read(HEADER.size)
    if len(raw) < HEADER.size:
        raise LabError(f"{path} is no copy-on-write disk: it has {len(raw)} bytes.")
    magic, version, _mtime, size, sector, alignment, _format, base = HEADER.unpack(raw)
    if magic != MAGIC or version != 3:
        raise LabError(
            f"{path} is no copy-on-write disk that this lab can read (magic {magic:#x}, version {version})."
        )
    bitmap = _up(HEADER.size, alignment)
    data = _up(bitmap + (size // sector + 7) // 8, alignment)
    return Cow(Path(os.fsdecode(base.partition(b"\0")[0])), size, sector, bitmap, data)


def _up(value: int, step: int) -> int:
    return (value + step - 1) // step * step


def merge(cow_file: Path, target: Path) -> None:
    """Write what the copy-on-write file and its base make together to `target`, sparse."""
    cow = read_cow(cow_file)
    _run(["cp", "--sparse=always", str(cow.base), str(target)])
    with cow_file.open("rb") as source, target.open("r+b") as out:
        source.seek(cow.bitmap)
        bitmap = source.read((cow.size // cow.sector + 7) // 8)
        for run in TOUCHED.finditer(bitmap):
            for index in range(run.start(), run.end()):
                for bit in range(8):
                    if bitmap[index] >> bit & 1:
                        at = (index * 8 + bit) * cow.sector
                        source.seek(cow.data + at)
                        out.seek(at)
                        out.write(source.read(cow.sector))


def grow_system(disk: Path, size: int, *, is_cow: bool) -> None:
    """Make a system disk `size` GB large, and its file system with it. The host must be off.

    A copy on write becomes a disk of its own: its format has no other size than its base's.
    """
    fresh = disk.with_name(disk.name + ".new")
    fresh.unlink(missing_ok=True)
    if is_cow:
        merge(disk, fresh)
    else:
        _run(["cp", "--sparse=always", str(disk), str(fresh)])
    os.truncate(fresh, size * GB)
    _run(["e2fsck", "-f", "-p", str(fresh)], accept=(0, 1))
    _run(["resize2fs", str(fresh)])
    fresh.replace(disk)


def ensure_data(disk: Path, size: int) -> None:
    """A sparse disk of `size` GB: made, grown, or left as it is. LabError when it would have to shrink."""
    if not disk.exists():
        disk.touch(mode=0o600)
    present = disk.stat().st_size
    if present > size * GB:
        raise LabError(
            f"{disk} has {present / GB:.0f} GB and cannot shrink to {size} GB: order at least what it has."
        )
    if present < size * GB:
        os.truncate(disk, size * GB)


def _run(argv: list[str], accept: tuple[int, ...] = (0,)) -> None:
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode not in accept:
        raise LabError(
            f"`{' '.join(argv)}` ended with code {done.returncode}: {(done.stderr or done.stdout).strip()}"
        )
