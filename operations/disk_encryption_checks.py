"""What must hold of data disks that are encrypted (`servers.encryptedDisk`).

Owns: what is asked on a host, and the check made of the answer. Leaves to others: making it so
(components/host_scripts/disk_crypt.py), opening it (locked_disks.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from components.host_scripts import disk_crypt
from operations.check import Check
from operations.outputs import Outputs
from operations.remote_hosts import Answer

WHAT = "the data disk is encrypted (LUKS2), and open"
UNLOCK = "`python -m operations unlock` opens it and starts the engine"
REPLACE = (
    "what is on these disks is in plain: have their hosts replaced one after the other "
    "(docs/how-to/encryption-at-rest.md)"
)


def hosts_of(outputs: Outputs) -> list[str]:
    """The hosts that have an encrypted disk."""
    return [host.name for host in outputs.hosts if host.encrypted]


def ask(outputs: Outputs) -> dict[str, str]:
    """Shell text for each of them."""
    return {name: disk_crypt.state(name) for name in hosts_of(outputs)}


def of_disks(outputs: Outputs, answers: Mapping[str, Answer]) -> Iterator[Check]:
    """Each is encrypted and open; where some are, the others are warned of. Args: answers: to `ask`."""
    for name, answer in answers.items():
        state, *rest = answer.text.split() or [""]
        found = answer.error or {
            disk_crypt.NONE: "it is not encrypted",
            disk_crypt.NEW: "its preparation has not come to its end: `up` goes on with it",
            disk_crypt.BESIDE: "what is mounted is not on it, and in plain",
            disk_crypt.WAITING: "it is open, and the engine does not run",
            disk_crypt.LOCKED: "it is locked since the host's last boot",
            disk_crypt.CLOSED: "it is open, and not mounted",
            disk_crypt.OPEN: " ".join(rest),
        }.get(state, "no answer")
        waits = state in (disk_crypt.LOCKED, disk_crypt.CLOSED, disk_crypt.WAITING)
        yield Check(name, WHAT, state == disk_crypt.OPEN, found, remedy=UNLOCK if waits else "")
    if answers:
        for host in outputs.hosts:
            if not host.encrypted:
                yield Check(host.name, "the data disk is not encrypted", True, "", warns=True, remedy=REPLACE)
