"""How much room a host's disks have, and what to do when it is little.

Owned here: the thresholds and the words. Left to others: measuring (facts/cluster.py).
"""

from __future__ import annotations

from collections.abc import Iterator

from components.host_scripts.disk import MOUNT_POINT, RESERVE
from operations.checks.check import Check
from operations.facts.cluster import Space

WARN = 0.25
"""Part of a file system that is to be free; with less `verify` warns."""
FULL = 0.10
"""With less `verify` fails: a full copy of the database, or a large import, may not find the room."""
ROOM_TO_START = 0.01
"""What an engine and a database need to come back at all; the reserve is twice as much."""
METADATA = 0.80
"""Part of btrfs' metadata that may be in use once nothing is left that could be given to it."""
SPARE = 1 << 30
"""Bytes that btrfs can still give to metadata when it is not short of them."""

MORE_ROOM = (
    "see what takes it (`docker system df`, `du -xsh /var/lib/docker/volumes/*`), or order larger disks in "
    "servers.disks and run `up`"
)
IN_AN_EMERGENCY = (
    f"in an emergency: rm {MOUNT_POINT}/{RESERVE}; sync (docs/how-to/operations.md, 'A full disk')"
)


def checks(host: str, space: Space, system: Space) -> Iterator[Check]:
    """What must hold of a host's file systems."""
    for where, each in ((MOUNT_POINT, space), ("/", system)):
        part = each.free / each.size if each.size else 0.0
        found = f"{_gigabytes(each.free)} of {_gigabytes(each.size)} free" if each.size else "unknown"
        notes = []
        if where == MOUNT_POINT:
            if each.unallocated is not None and each.unallocated < SPARE and each.metadata:
                used = each.metadata_used / each.metadata
                if used > METADATA:
                    notes.append(f"btrfs' metadata is {100 * used:.0f} % full and can't grow")
            if not each.reserve:
                notes.append("the reserve is gone")
        remedy = f"{MORE_ROOM}; {IN_AN_EMERGENCY}" if where == MOUNT_POINT else "see `du -xsh /var/*`"
        if part >= WARN and not each.reserve and where == MOUNT_POINT:
            remedy = "once there is room: `up` makes it again where its disk's step runs, or by hand: "
            remedy += f"fallocate -l 500M {MOUNT_POINT}/{RESERVE}"
        yield Check(
            host,
            f"room on {where}",
            part >= FULL,
            "; ".join([found, *notes]),
            warns=part < WARN or bool(notes),
            remedy=remedy,
        )


def shared(host: str, space: Space, system: Space) -> Iterator[Check]:
    """Of a host whose engine has no disk of its own. Args: space: of the file system with its data."""
    asked = [("the engine's data", space)] + ([] if space == system else [("/", system)])
    for where, each in asked:
        part = each.free / each.size if each.size else 0.0
        found = f"{_gigabytes(each.free)} of {_gigabytes(each.size)} free" if each.size else "unknown"
        remedy = "see what takes it (`docker system df`, `du -xsh /var/*`), or give the host more room"
        yield Check(host, f"room for {where}", part >= FULL, found, warns=part < WARN, remedy=remedy)


def _gigabytes(size: int) -> str:
    return f"{size / 1e9:.1f} GB"
