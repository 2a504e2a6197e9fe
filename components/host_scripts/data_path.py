"""The database's data at a path of the user's choice: a subvolume of the data disk, mounted there.

Owns: making the subvolume, its mount and the engine's volume that leads to it; taking all of it away again.
Leaves to others: which paths may be (settings/paths.py), the disk (disk.py), when either is done
(components/data_path.py, taken_down.py).

The rows stay on the second disk, so that they outlive a reload of the system's; what is on the system's disk
(the folder, the line in fstab) is made again after one. The engine goes on calling the volume as without a
path, so that nothing else need know.

The volume leads to a folder below the mount's top, never to the top. Where the subvolume is not mounted, that
folder does not exist, and the engine refuses to start a container with the volume. At the top there would be
the empty folder that the mount hides, and a node would believe that it has no data. To forbid writing into
that folder instead (chattr +i) depends on the system's file system, and would have the container start first.
"""

from __future__ import annotations

from dataclasses import dataclass

from components.host_scripts import disk
from components.host_scripts.shell import assign, body

SUBVOLUME = "galera-data"
"""Its name at the top of the data disk's file system."""
FOLDER = "data"
"""In the subvolume; what the volume leads to."""
USER, MODE = 999, "0750"
"""Owner and group of the data, and the folder's mode, as in the image (images/galera/Dockerfile)."""


@dataclass(frozen=True)
class Places:
    """Where things are on the host; other values are for tests."""

    mount_point: str = disk.MOUNT_POINT
    fstab: str = "/etc/fstab"


def device(path: str) -> str:
    """Where the volume's data is on the host."""
    return f"{path}/{FOLDER}"


def prepare(hostname: str, path: str, volume: str, places: Places | None = None) -> str:
    """Shell text that leaves the subvolume mounted at `path`, now and after every boot, and the engine with
    `volume` bound to the folder in it. Data that is there already is taken over only with that volume.

    Standard input: the data disk's UUID. Prints `device`. Nothing is changed before all was looked at.
    """
    facts = assign(volume=volume, folder=FOLDER, user=USER, mode=MODE)
    return f"{_facts(hostname, path, places)}\n{facts}\n{_FUNCTIONS}\n{_PREPARE}"


def remove(hostname: str, path: str, places: Places | None = None) -> str:
    """Shell text that removes mount, folder, line and subvolume, with all data, once the volume has gone."""
    return f"{_facts(hostname, path, places)}\n{_FUNCTIONS}\n{_REMOVE}"


def _facts(hostname: str, path: str, places: Places | None) -> str:
    at = places or Places()
    return assign(hostname=hostname, path=path, mount=at.mount_point, fstab=at.fstab, subvolume=SUBVOLUME)


_FUNCTIONS = body("data_path_functions")

_PREPARE = body("data_path")

_REMOVE = body("data_path_gone")
