"""What is done on hosts of one's own and on no others: look before anything is touched, note what was there,
use an engine that is there, take away what was brought.

Owns: these scripts, and what of a host is somebody else's. Leaves to others: what all hosts get (the other
modules here), judging what was seen (components/own_hosts), when it is done (components/own_server.py).

What the program brings to a host and what was there before is known from notes on the host itself, in
`NOTES`: `stack` says whose it is, `engine` whether the engine was there (`kept`) or was installed
(`brought`), `daemon.json` with which configuration, `in-docker` which users were put into the group docker.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from components.host_scripts import disk_crypt, engine, engine_tls, host
from components.host_scripts.disk import BLANK, MOUNT_POINT
from components.host_scripts.shell import assign, body

NOTES = "/var/lib/swarm-galera"
"""Folder on each host of one's own; the engine's note outlives a stack."""
DRIVERS = ("overlay2", "overlayfs", "btrfs", "zfs", "fuse-overlayfs")
"""Storage drivers that bear a database's image layers in earnest; `overlayfs` is containerd's name of it."""
OLDEST_ENGINE = (20, 10)
"""What the scripts and the services are tried with, and no older."""
SSHD_DROPIN = "/etc/ssh/sshd_config.d/10-swarm-galera.conf"
ENDS_WITHIN = 60
"""Seconds for containers of services that were removed to end by themselves."""
GRACE = 600
"""Seconds for each that is then stopped."""
LEAVES_WITHIN = 90
"""Seconds for an engine to be out of a swarm that it was told to leave."""


@dataclass(frozen=True)
class Places:
    """Where things are on the host; other values are for tests."""

    notes: str = NOTES
    mount: str = MOUNT_POINT
    os_release: str = "/etc/os-release"
    sshd_dropin: str = SSHD_DROPIN
    state: str = "/run/swarm-galera"
    kernel_hostname: str = "/proc/sys/kernel/hostname"
    systemd: str = "/run/systemd/system"
    host_keys: str = "/etc/ssh"
    machine_id: str = "/etc/machine-id"
    mapper: str = "/dev/mapper"
    of_system: host.Places = field(default_factory=host.Places)


def look(
    hostname: str,
    subnet: str,
    disk: str | None,
    volumes: Sequence[str],
    shared: Sequence[str] = (),
    places: Places | None = None,
    of_engine: engine.Places | None = None,
) -> str:
    """Shell text that prints what a host is, as lines `name<TAB>value`, and changes nothing.

    Args:
        subnet: the overlay's.
        disk: that the settings name.
        volumes: names of the engine's volumes that would be taken for the cluster's own.
        shared: of these, the ones that may have been made by hand, with options: then they are not told of.
    """
    at = places or Places()
    facts = assign(
        notes=at.notes,
        mount=at.mount,
        disk=disk or "",
        volumes=list(volumes),
        shared=list(shared),
        os_release=at.os_release,
        kernel_hostname=at.kernel_hostname,
        systemd=at.systemd,
        host_keys=at.host_keys,
        machine_id=at.machine_id,
        overlap=host.refuse_overlap(subnet, hostname),
        blank=BLANK,
        crypt=f"{at.mapper}/{disk_crypt.NAME}",
        daemon_json=(of_engine or engine.Places()).daemon_json,
    )
    return f"{facts}\n{_NOTE}\n{_LOOK}"


_NOTE, _LOOK = body("own_note"), body("own_look")


def taken_in(
    owner: str, user: str, places: Places | None = None, of_engine: engine.Places | None = None
) -> str:
    """Shell text that notes whose the host is and what was there before; the first thing that is done on it.

    A user who is not root gets into the group docker: the docker plugin logs in as that user, and has no way
    to use sudo. With sudo and no password, that user is root already.
    """
    at, there = places or Places(), of_engine or engine.Places()
    facts = assign(notes=at.notes, owner=owner, user=user, daemon_json=there.daemon_json)
    return f"{facts}\n{_NOTE}\n{_TAKEN_IN}"


_TAKEN_IN = body("own_taken_in")


def configure(
    hostname: str,
    config: str,
    places: Places | None = None,
    of_engine: engine.Places | None = None,
    *,
    locks: bool = False,
    before: str = "",
) -> str:
    """Shell text that leaves the engine running and prints its version; for hosts whose data has no disk of
    its own, and for engines that were there before, which keep their configuration.

    Args:
        config: daemon.json's text, for an engine that the program has installed.
        locks: the host is a manager of a swarm with autolock.
        before: as in `engine.configure`.
    """
    at, there = places or Places(), of_engine or engine.Places()
    facts = assign(
        hostname=hostname,
        config=config,
        daemon_json=there.daemon_json,
        wants=there.wants,
        state=there.state,
        notes=at.notes,
        drivers=list(DRIVERS),
    )
    overlap = host.refuse_engine_overlap(engine.networks(config), hostname)
    listening = [before] if before else []
    return "\n".join((facts, engine.start(hostname, locks=locks), *listening, overlap, _ENGINE))


_ENGINE = body("own_engine")


def refuse_kept(hostname: str, places: Places | None = None) -> str:
    """Shell text that fails where the engine was there before the program."""
    return f"{assign(hostname=hostname, notes=(places or Places()).notes)}\n{_KEPT}"


_KEPT = body("own_kept")


def this_disk(named: str) -> str:
    """Shell text that has `disk.prepare` take the disk that the settings name, and no other."""
    return f"{assign(named=named)}\n{_DISK}"


_DISK = body("own_disk")


def still_ours(hostname: str, owner: str, places: Places | None = None) -> str:
    """Shell text for before `gone`: ends there, and well, on a host that another stack has by now. The mark
    of this one may have been removed by hand, and what runs there is that one's.
    """
    return f"{assign(hostname=hostname, notes=(places or Places()).notes, owner=owner)}\n{_STILL_OURS}"


_STILL_OURS = body("own_still_ours")


def gone(hostname: str, places: Places | None = None, *, listens: bool = False) -> str:
    """Shell text that takes away what the program brought: the swarm is left, name servers, words at login,
    sshd's limits and the user's group are as before. Packages, engine, disk, images and data stay.

    Args:
        listens: the engine's API may listen with TLS, and is not to.
    """
    at = places or Places()
    facts = assign(
        hostname=hostname,
        notes=at.notes,
        sshd_dropin=at.sshd_dropin,
        state=at.state,
        ends_within=ENDS_WITHIN,
        grace=GRACE,
        leaves_within=LEAVES_WITHIN,
    )
    of_system = at.of_system
    taken_back = (host.resolver_gone(of_system), host.agent_gone(of_system), host.motd_gone(of_system))
    # Last, as it may restart the engine: its containers are gone by then.
    listener = (engine.START, engine_tls.gone(hostname, at.state)) if listens else ()
    return "\n".join((*taken_back, facts, _GONE, *listener))


_GONE = body("own_gone")
