"""What was seen of a host of one's own.

Owns: reading what host_scripts/own_look.sh prints. Leaves to others: what follows from it (fit.py).
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from components.host_scripts.swarm import HEARTBEAT


@dataclass(frozen=True)
class Facts:
    """One host, as it is.

    Attributes:
        host_key: the one to pin; empty of a host that did not answer.
        refused: why it could not be looked at, with a remedy; empty if it could.
        unreachable: whether that was because nothing answered.
        systems, system_name: words that name its system; its name for people.
        boot: another one on every machine and in every container of one, and after every boot.
        mark: whose it is, `StackIdentity.owner`; empty for nobody's.
        kept: whether its engine was there before the program, or will have been.
        engine, unit: there is a docker; it has the unit that the program knows.
        version, driver, swarm, engine_name: the engine's; empty if it does not answer.
        live_restore, rootless: what keeps it out of a swarm.
        managers: addresses of its swarm's.
        cluster: id of the swarm that it manages; empty of a worker, and while that has no leader.
        begun: whether that swarm is as the program begins one; else somebody else has.
        volumes: those that would be taken for the cluster's own.
        filesystem: below the engine's data. mounted: what is mounted there, if anything is. holds: name of
            the first thing that is there.
        disk: type and what is on the disk that the settings name; `none` if there is no such device.
        disk_parts, disk_group: names of what is in it; LVM's group that it belongs to.
        encrypted: the engine's data is on a disk of this program's that is encrypted, and open.
        overlap: what is wrong with the overlay's subnet there.
    """

    host_key: str = ""
    refused: str = ""
    unreachable: bool = False
    systems: tuple[str, ...] = ()
    system_name: str = ""
    boot: str = ""
    hostname: str = ""
    machine: str = ""
    systemd: bool = False
    addresses: tuple[str, ...] = ()
    mark: str = ""
    kept: bool = False
    engine: bool = False
    unit: bool = False
    version: str = ""
    driver: str = ""
    live_restore: bool = False
    swarm: str = ""
    engine_name: str = ""
    rootless: bool = False
    managers: str = ""
    cluster: str = ""
    begun: bool = False
    volumes: tuple[str, ...] = ()
    filesystem: str = ""
    mounted: str = ""
    holds: str = ""
    btrfs: bool = False
    disk: str = ""
    disk_parts: tuple[str, ...] = ()
    disk_group: str = ""
    encrypted: bool = False
    overlap: str = ""


def parse(text: str, host_key: str) -> Facts:
    """What own_look.sh printed of a host with that key."""
    found: dict[str, list[str]] = defaultdict(list)
    for line in text.splitlines():
        name, _, value = line.partition("\t")
        found[name].append(value.strip())

    def first(name: str) -> str:
        return next(iter(found[name]), "")

    cluster, _, beats = first("cluster").partition("|")
    info = (first("info").split("|") + [""] * 6)[:6]
    note = first("engine_note")
    return Facts(
        host_key=host_key,
        systems=tuple(first("system").split()),
        system_name=first("system_name"),
        boot=first("boot"),
        hostname=first("hostname"),
        machine=first("machine"),
        systemd=bool(first("systemd")),
        addresses=tuple(found["address"]),
        mark=first("mark"),
        kept=note == "kept" or (not note and bool(first("engine"))),
        engine=bool(first("engine")),
        unit=bool(first("unit")),
        version=info[0],
        driver=info[1],
        live_restore=info[2] == "true",
        swarm=info[3],
        engine_name=info[4],
        rootless="rootless" in info[5],
        managers=" ".join(first("managers").split()),
        cluster=cluster,
        begun=beats in (f"{HEARTBEAT}s", f"{HEARTBEAT}000000000"),
        volumes=tuple(found["volume"]),
        filesystem=first("filesystem"),
        mounted=first("mounted"),
        holds=first("holds"),
        btrfs=bool(first("btrfs")),
        disk=" ".join(first("disk").split()),
        disk_parts=tuple(each for each in found["disk_has"] if each),
        disk_group=first("disk_group"),
        encrypted=bool(first("encrypted")),
        overlap=" ".join(found["overlap"]).removeprefix("error: ").strip(),
    )
