"""What must hold of data disks that are encrypted (`servers.encryptedDisk`).

Owns: what is asked on a host, and the check made of the answer. Leaves to others: making it so
(components/host_scripts/disk_crypt.py), opening it (unlock/locked_disks.py).
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping

from components.host_scripts import disk_crypt
from operations.checks.check import Check
from operations.outputs import Outputs
from operations.remote_hosts import Answer, RemoteHosts

WHAT = "the data disk is encrypted (LUKS2), and open"
KEY = (
    "after its next boot nobody can open it: bring back the state, or the copy of the keys, that it was made "
    "with, or have the host replaced before it boots (servers.replace)"
)
UNLOCK = "`python -m operations unlock` opens it and starts the engine"
REPLACE = (
    "what is on these disks is in plain: have their hosts replaced one after the other "
    "(docs/how-to/encryption-at-rest.md)"
)


def hosts_of(outputs: Outputs) -> list[str]:
    """The hosts that have an encrypted disk."""
    return [host.name for host in outputs.hosts if host.encrypted]


async def ask(outputs: Outputs, hosts: RemoteHosts) -> dict[str, Answer]:
    """How the disk of each of them is, and whether the key of the outputs opens it."""
    names = hosts_of(outputs)
    keys = (f"{outputs.disk_keys.get(name, '')}\n" for name in names)
    runs = (hosts.run(name, disk_crypt.state(name), key) for name, key in zip(names, keys, strict=True))
    return dict(zip(names, await asyncio.gather(*runs), strict=True))


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
            disk_crypt.STRANGER: "it is open, and the key in the stack's state does not open it",
            disk_crypt.OPEN: " ".join(rest),
        }.get(state, "no answer")
        keyless = state in (disk_crypt.STRANGER, disk_crypt.OPEN) and name not in outputs.disk_keys
        if keyless:
            found = "it is open, and the outputs have no key of it (diskKeys)"
        waits = state in (disk_crypt.LOCKED, disk_crypt.CLOSED, disk_crypt.WAITING)
        remedy = UNLOCK if waits else KEY if keyless or state == disk_crypt.STRANGER else ""
        yield Check(name, WHAT, state == disk_crypt.OPEN and not keyless, found, remedy=remedy)
    if answers:
        for host in outputs.hosts:
            if not host.encrypted:
                yield Check(host.name, "the data disk is not encrypted", True, "", warns=True, remedy=REPLACE)
