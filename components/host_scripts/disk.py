"""The second disk becomes /var/lib/docker: a volume group, one logical volume, btrfs, mounted by UUID.

Owns: finding the disk, refusing one that holds anything that is not ours, preparing it step by step so that
an interrupted run goes on where it stopped, having the file system take the room of a disk that was grown.
Leaves to others: the tools (packages.py) and the engine (engine.py).

The disk has no fixed name: it is the first disk that is not the system's, holds no swap, can be written and
is larger than SoftLayer's configuration drive.

What is ours says so in LVM's own tags, which stay on the disk when the system's disk is reloaded:
`swarm-galera` on the group; on the volume `swarm-galera-new` from its creation until it has its file system,
`swarm-galera-formatted` from then on. A volume is formatted only while it is new: one that was formatted and
can't be read any more is refused, whatever the reason. Whether it can be read is decided by finding btrfs,
not by finding nothing: `blkid` ends with the same code for a device without a signature and for one that it
couldn't read.
"""

from __future__ import annotations

from dataclasses import dataclass

from components.host_scripts.shell import assign, body

MOUNT_POINT = "/var/lib/docker"
VOLUME_GROUP = "docker_vg"
LOGICAL_VOLUME = "docker_lv1"
TAG = "swarm-galera"
SMALLEST = 1 << 30
"""Bytes; SoftLayer's configuration drive has 64 MB."""
BLANK = 2 << 20
"""Bytes at its start that must be zero in a disk without a signature: databases on raw disks and encrypted
volumes have none, and begin here. The volume group's own area and the start of the volume are within."""
RESERVE = "swarm-galera.reserve"
"""File at the top of the file system that only takes up room: deleted, it gives the engine and the database
room to go on with when nothing else can be deleted in a hurry."""
RESERVED = 50
"""A fiftieth of the file system is its size, up to `MOST_RESERVED`."""
MOST_RESERVED = 1 << 30
"""Bytes."""
GROWTH = 700 << 20
"""Bytes by which a file system may be smaller than its volume without being told to grow: disks grow by whole
GB, and btrfs keeps less than this for itself."""


@dataclass(frozen=True)
class Places:
    """Where things are on the host; other values are for tests.

    Attributes:
        mount_point: where the engine keeps its data.
        fstab: the table of file systems.
        mapper: folder of the device mapper's nodes.
        filesystems: the kernel's list of file systems.
    """

    mount_point: str = MOUNT_POINT
    fstab: str = "/etc/fstab"
    mapper: str = "/dev/mapper"
    filesystems: str = "/proc/filesystems"


def require_btrfs(hostname: str, places: Places | None = None) -> str:
    """Shell text that fails on a kernel without btrfs. For before the packages: they would not help."""
    at = places or Places()
    return f"{assign(hostname=hostname, filesystems=at.filesystems)}\n{_REQUIRE}"


def prepare(hostname: str, places: Places | None = None, find: str = "") -> str:
    """Shell text that leaves the prepared disk mounted, now and after every boot, in its whole size.

    Standard output is the file system's UUID. Errors name the disk, what it holds and the remedy.

    Args:
        find: shell text with another `find_disk`, where the disk is not the first that is free.
    """
    at = places or Places()
    variables = assign(
        hostname=hostname,
        mount=at.mount_point,
        fstab=at.fstab,
        vg=VOLUME_GROUP,
        lv=LOGICAL_VOLUME,
        tag=TAG,
        volume=f"{at.mapper}/{VOLUME_GROUP}-{LOGICAL_VOLUME}",
        smallest=SMALLEST,
        blank=BLANK,
        growth=GROWTH,
        reserve=RESERVE,
        reserved=RESERVED,
        most_reserved=MOST_RESERVED,
    )
    functions = f"{_FUNCTIONS}\n{find}" if find else _FUNCTIONS
    return f"{variables}\n{functions}\n{_MAIN}"


_REQUIRE = body("disk_require")

_FUNCTIONS = body("disk_functions")

_MAIN = body("disk_main")
