"""The second disk encrypted (LUKS2), below the volume group: made, opened, and opened again after each boot.

Owns: the encrypted disk and what follows once it is open. Leaves to others: what is in it (disk.py), the key
(components/docker_disk.py), who opens it after a boot (docker_disk.py, operations/unlock/locked_disks.py).

The key is on no disk of the host: it comes over standard input, and goes to cryptsetup through a pipe. At
boot nothing asks for it: the file system's line in fstab has `nofail`, and the engine is not started while
its mount is not there. So a host that has booted answers SSH, and waits.

What is ours says so by its label, `swarm-galera-new` from its creation until the volume group is in it, and
`swarm-galera` from then on: an encrypted disk without a group is made one only while it is new.
"""

from __future__ import annotations

from components.host_scripts import disk
from components.host_scripts.shell import assign, body

NAME = "docker_crypt"
"""Of the open disk, in the device mapper."""
NOTED = "/var/lib/swarm-galera/disk-being-encrypted"
"""On the host's own disk, while a blank one is being made an encrypted one."""
DAEMON_JSON = "/etc/docker/daemon.json"
NONE, NEW, LOCKED, CLOSED = "none", "new", "locked", "closed"
BESIDE, WAITING, STRANGER, OPEN = "beside", "waiting", "stranger", "open"
"""What `state` begins with: there is no encrypted disk; its preparation, `up`'s business, has not come to its
end; it is locked; open, and not mounted; mounted is something else; all but the engine is there; the key that
was given is not its own; in use."""


def require(hostname: str) -> str:
    """Shell text that fails on a kernel that can't encrypt disks. For before the packages."""
    return f"{assign(hostname=hostname)}\n{_REQUIRE}"


_REQUIRE = body("disk_crypt_require")


def prepare(hostname: str, places: disk.Places | None = None, find: str = "", noted: str = NOTED) -> str:
    """As `disk.prepare`, of an encrypted disk; `$key` is its key. A disk that is not encrypted and has data
    is refused.

    Args:
        noted: where it is noted that a disk was blank; another one is for tests.
    """
    at = places or disk.Places()
    facts = f"{_facts(hostname, at)}\n{assign(noted=noted)}"
    first = "\n".join(part for part in (find, facts, _FUNCTIONS, _CRYPT) if part)
    return f"{disk.prepare(hostname, at, first)}\n{_SETTLE}"


def unlock(hostname: str, places: disk.Places | None = None) -> str:
    """Shell text for a host that has booted: its disk is opened and mounted, and the engine started.

    Standard input: the key. Prints `NONE`, `NEW` (then nothing was done) or `OPEN`.
    """
    at = places or disk.Places()
    return f"{_facts(hostname, at)}\n{_FUNCTIONS}\n{_UNLOCK}"


def state(hostname: str, places: disk.Places | None = None) -> str:
    """Shell text that says how it is, and changes nothing.

    Standard input: the key, to be told whether it is the disk's; or nothing.
    """
    return f"{_facts(hostname, places or disk.Places())}\n{_FUNCTIONS}\n{_STATE}"


def _facts(hostname: str, at: disk.Places) -> str:
    return assign(
        hostname=hostname,
        mount=at.mount_point,
        fstab=at.fstab,
        vg=disk.VOLUME_GROUP,
        tag=disk.TAG,
        crypt=NAME,
        mapper=at.mapper,
        daemon_json=DAEMON_JSON,
    )


_FUNCTIONS = body("disk_crypt_functions")
_CRYPT = body("disk_crypt")
_SETTLE = body("disk_crypt_settle")
_UNLOCK = body("disk_unlock")
_STATE = body("disk_crypt_state")
