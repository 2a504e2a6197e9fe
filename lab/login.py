"""Logging in to a host as a data center's console would let one in: with the lab's own key, as root.

Owns: the command line of ssh, the connection that is kept for the next login. Leaves to others: which host is
meant, how one gets into the lab's network.

A login is most of what a short question to a host costs. So one connection to each host stays open for a
while after its last use, and further logins go through it. Its name has the host's boot: a host that was
restarted, however, is never asked through a connection to what it was before.
"""

from __future__ import annotations

import fcntl
import subprocess
from collections.abc import Sequence
from pathlib import Path

from lab import network
from lab.hosts import seed
from lab.hosts.backend import HostSpec
from lab.hosts.machine import Machine
from lab.paths import LabPaths

STAYS = 60
"""Seconds that a connection stays open without being used."""
LONGEST = 86
"""Letters of the socket's path: ssh adds 17 while it makes it, and the kernel takes 107."""


def words(lab: LabPaths, spec: HostSpec) -> list[str]:
    """The command line up to the host; what is to be run there may follow."""
    options = {
        "IdentitiesOnly": "yes",
        "StrictHostKeyChecking": "yes",
        "UserKnownHostsFile": str(_known_hosts(lab, spec)),
        "HostKeyAlgorithms": "ssh-ed25519",
        "LogLevel": "ERROR",
        "ConnectTimeout": "10",
        "ServerAliveInterval": "10",  # who has gone is noticed after three of them
    }
    each = [part for name, value in options.items() for part in ("-o", f"{name}={value}")]
    at = f"root@{spec.private.address}"
    return ["ssh", "-i", str(lab.ssh / "id_ed25519"), "-b", str(network.CONSOLE), *each, at]


def through_kept(lab: LabPaths, spec: HostSpec) -> list[str]:
    """`words`, through the connection that is kept; it is made if there is none.

    Without one, for whatever reason, they connect by themselves, and say themselves what is wrong.
    """
    plain = words(lab, spec)
    socket = _socket(lab, spec)
    if socket is None:
        return plain
    kept = ["ssh", "-S", str(socket), *plain[1:]]
    with open(socket.with_suffix(".lock"), "wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # the second one would stay, too, and nobody would find it
        if not _succeeds(lab, [*kept[:-1], "-O", "check", kept[-1]]):
            socket.unlink(missing_ok=True)
            _succeeds(lab, [*kept[:-1], "-fNM", "-o", f"ControlPersist={STAYS}", kept[-1]])
    return kept


def _succeeds(lab: LabPaths, argv: Sequence[str]) -> bool:
    """Runs a command inside the lab, silently."""
    none = subprocess.DEVNULL
    words = network.command(lab.namespace, argv)
    return subprocess.run(words, stdin=none, stdout=none, stderr=none, check=False).returncode == 0


def _socket(lab: LabPaths, spec: HostSpec) -> Path | None:
    """Of the connection to this boot of the host; None if it is off, or if the path is too long."""
    run = Machine(lab.hosts / str(spec.id)).mconsole.parent
    try:
        boot = run.stat().st_mtime_ns
    except FileNotFoundError:
        return None
    path = lab.ssh / f"{spec.id}-{boot:x}"
    return path if len(str(path).encode()) <= LONGEST else None


def _known_hosts(lab: LabPaths, spec: HostSpec) -> Path:
    """A known-hosts file with this host's key, which the lab knows because it made it."""
    key = seed.known_host(Machine(lab.hosts / str(spec.id)).seed)
    path = lab.ssh / f"known_hosts-{spec.id}"
    path.write_text(f"{spec.private.address} {key}\n", encoding="ascii")
    return path
