"""Whether hosts of one's own can be used: facts in, every problem out, each with its remedy.

Owns: what is refused, and the words. Changes nothing. Leaves to others: finding the facts (look.py).

A host that this stack has taken in already (its mark is on it) is only asked what may have changed: it is in
a swarm, which must be the stack's, has the cluster's volumes, and its engine is as the program left it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from components.host_scripts.disk import MOUNT_POINT, VOLUME_GROUP
from components.host_scripts.own import DRIVERS, NOTES, OLDEST_ENGINE
from components.host_scripts.packages import FAMILIES
from components.own_hosts.facts import Facts
from settings.own_hosts import OwnHost, is_address

MACHINES = ("x86_64",)
"""What the images are built for."""


@dataclass(frozen=True)
class Wanted:
    """A host of the settings beside what was seen of it.

    Attributes:
        member: whether the last complete run had it.
        ours: whether its mark is this stack's.
        listens: whether its engine's API is to listen with TLS.
    """

    host: OwnHost
    seen: Facts
    member: bool
    ours: bool
    listens: bool = False


_EACH_ONE = ", and each must be a host of its own. Remedy: correct it in servers.hosts"


def problems(wanted: Iterable[Wanted], cluster: str | None = None) -> list[str]:
    """Everything that is in the way, host by host, in words with a remedy.

    Args:
        cluster: id of the swarm that the last complete run had; empty if it had none, None if it did not
            say which.
    """
    wanted, found = list(wanted), []
    if cluster and all(_outside(each.seen, cluster) for each in wanted):
        cluster = ""  # nobody is in it any more: another one may have been begun in a run that was killed
    boots: dict[str, str] = {}
    whose: dict[str, str] = {}
    for each in wanted:
        host, name, seen = each.host, each.host.name, each.seen
        by_address, by_way = (whose.setdefault(value, name) for value in (host.address, host.way))
        if by_way != name:
            # Who was looked at is the other one.
            found.append(f"{name}: {host.way} is that of {by_way} already{_EACH_ONE}")
            continue
        if by_address != name:
            found.append(f"{name}: {host.address} is that of {by_address} already{_EACH_ONE}")
        if seen.refused:
            # A host of a running cluster may be down: what needs it is left out, or waits.
            if not (each.member and seen.unreachable):
                found.append(f"{name}: {seen.refused}")
            continue
        if seen.boot and boots.setdefault(seen.boot, name) != name:
            found.append(
                f"{name}: it is the same machine as {boots[seen.boot]}. Remedy: correct the addresses in "
                "servers.hosts; containers that were copied need a machine-id each (systemd-machine-id-setup)"
            )
        other = _in_another(each, cluster) if each.ours else _new(each)
        found += [f"{name}: {problem}" for problem in (*_always(each), *other)]
    return found


def _always(wanted: Wanted) -> Iterable[str]:
    host, seen = wanted.host, wanted.seen
    if seen.hostname != host.name:
        yield (
            f"the machine calls itself {seen.hostname!r}, and swarm, store and database know it by that. "
            f"Remedy: name it so in servers.hosts, or rename it (`hostnamectl set-hostname {host.name}`, "
            "then restart its engine if it has one)"
        )
    if host.address not in seen.addresses:
        yield (
            f"{host.address} is none of its own addresses ({', '.join(seen.addresses) or 'none'}): the "
            "others reach it there, and its engine listens there. Remedy: set address to the one on the "
            "network that the hosts share; what only SSH goes to belongs into sshHost"
        )
    if seen.overlap:
        yield seen.overlap
    if seen.live_restore:
        yield (
            "its engine has live-restore, which swarm mode refuses. Remedy: take it out of daemon.json there "
            "and restart the engine"
        )
    if wanted.listens:
        yield from _listens(wanted)
    # After a boot, what is mounted has the kernel's name, which does not say whose it is.
    if wanted.ours and host.disk and not seen.mounted:
        yield from _room_for(host.disk, seen)


def _listens(wanted: Wanted) -> Iterable[str]:
    """What keeps its engine from listening."""
    host, seen = wanted.host, wanted.seen
    if seen.kept:
        yield (
            "its engine was there before, and is never reconfigured, so it can't come to listen with TLS "
            "(engine.access). Remedy: leave engine.access out; or remove that engine with its data, and the "
            "program installs one"
        )
    at = host.reached_at
    if is_address(at) and at not in seen.addresses:
        yield (
            f"{at} (sshHost) is none of its own addresses ({', '.join(seen.addresses) or 'none'}), so its "
            "engine can't listen there with TLS (engine.access). Remedy: leave sshHost out, if this machine "
            "reaches address; or leave engine.access out"
        )


def _outside(seen: Facts, cluster: str) -> bool:
    """Whether a host is in no swarm, or manages another one. Workers, an engine that does not run and a
    manager without a leader can't say.
    """
    if seen.refused:
        return False
    return seen.cluster != cluster if seen.cluster else seen.swarm == "inactive" or not seen.engine


def _in_another(wanted: Wanted, cluster: str | None) -> Iterable[str]:
    """Of a host that this stack has taken in: one that was marked by a run that was killed, or has left
    since, may manage a swarm that somebody has begun by hand. Any manager is asked: services would go there.
    """
    seen = wanted.seen
    if cluster is not None and seen.cluster and not (seen.cluster == cluster if cluster else seen.begun):
        yield (
            f"it manages another swarm than this stack's ({seen.cluster}). Remedy: only if that swarm is of "
            "no use, docker swarm leave --force there; it then comes to this stack's"
        )


def _new(wanted: Wanted) -> Iterable[str]:
    """Of a host that this stack has not taken in yet."""
    seen = wanted.seen
    if seen.mark:
        yield (
            f"it belongs to another stack of this program ({seen.mark}). Remedy: take it out of that one, or "
            f"destroy that; if there is no such stack any more: rm {NOTES}/stack on it"
        )
        return
    families = [family for family in FAMILIES if set(family.ids) & set(seen.systems)]
    if not families or not seen.systemd:
        known = "; ".join(family.name for family in FAMILIES)
        yield (
            f"it runs {seen.system_name or 'an unknown system'}"
            f"{'' if seen.systemd else ' without systemd'}, and this program knows: {known}, with systemd. "
            "Remedy: use another host, or install one of these"
        )
    if seen.machine not in MACHINES:
        yield (
            f"it is a {seen.machine or 'machine of an unknown kind'}, and the images are built for "
            f"{', '.join(MACHINES)}. Remedy: use another host"
        )
    if seen.volumes:
        volumes = " ".join(seen.volumes)
        removed = f"docker volume rm {volumes}"
        if not seen.version:
            removed = f"rm -r {' '.join(f'{MOUNT_POINT}/volumes/{name}' for name in seen.volumes)}"
        yield (
            f"it has the engine's volumes {volumes}, which would be taken for this cluster's data, and are a "
            f"former one's. Remedy: save what is needed, then `{removed}` there"
        )
    if seen.engine:
        yield from _engine(wanted)
    if wanted.host.disk:
        yield from _disk(wanted.host.disk, seen)


def _engine(wanted: Wanted) -> Iterable[str]:
    """One that is there is used as it is, so it must fit."""
    seen = wanted.seen
    if not seen.unit:
        yield (
            "there is a docker that is not the unit docker.service (a snap, podman's, only the client). "
            "Remedy: remove it; without any, the program installs the system's own engine"
        )
        return
    if not seen.version:
        yield (
            "its engine does not answer. Remedy: see `journalctl -u docker` there and start it; or remove "
            "it, and the program installs the system's own"
        )
        return
    number = tuple(int(part) for part in re.findall(r"\d+", seen.version)[:2])
    if number < OLDEST_ENGINE:
        oldest = ".".join(map(str, OLDEST_ENGINE))
        yield f"its engine is {seen.version}, and {oldest} is the oldest that will do. Remedy: upgrade it"
    if seen.swarm not in ("", "inactive"):
        yield (
            "it is in a swarm that is not this stack's "
            f"({seen.swarm}{f', managers {seen.managers}' if seen.managers else ''}). Remedy: use another "
            "host; only if that swarm is of no use any more: docker swarm leave --force there"
        )
    if seen.rootless:
        yield "its engine is rootless, and has no overlay networks. Remedy: install the system's own engine"
    if seen.kept and seen.driver and seen.driver not in DRIVERS:
        yield (
            f"its engine stores with {seen.driver!r}, which is for trials only or gone from newer engines. "
            "Remedy: have it store with overlay2 (ext4, or xfs with ftype=1 below its data)"
        )
    if seen.engine_name and seen.engine_name != seen.hostname:
        yield (
            f"its engine still calls it {seen.engine_name!r}: the name is read when the engine starts. "
            "Remedy: restart the engine there"
        )
    if seen.kept and wanted.host.disk and VOLUME_GROUP not in seen.mounted:
        yield (
            f"its engine was there before, with its data, and is to get {wanted.host.disk} for "
            f"{MOUNT_POINT}. Remedy: leave disk out; or remove that engine with its data, and the program "
            "installs one"
        )


def _disk(named: str, seen: Facts) -> Iterable[str]:
    if not seen.btrfs:
        yield (
            f"its kernel has no btrfs, which {named} is to get. Remedy: leave disk out, or use a kernel "
            "that has it, as those of Debian and Ubuntu"
        )
    if seen.disk == "none":
        yield (
            f"it has no device {named}. Remedy: correct disk (`ls -l /dev/disk/by-id` there), or leave it out"
        )
        return
    if _is_prepared(seen):
        return
    if not (seen.engine and seen.kept):  # that is told already
        yield from _room_for(named, seen)
    # lsblk and wipefs both name a file system.
    held = dict.fromkeys([*seen.disk.split()[1:], *seen.disk_parts, *filter(None, [seen.disk_group])])
    if held:
        what = ", ".join(held)
        yield (
            f"{named} is not blank ({what}), and nothing is overwritten. Remedy: name a blank disk, or save "
            f"what is needed and run `wipefs --all {named}` there"
        )


def _is_prepared(seen: Facts) -> bool:
    """Whether the program's volume is there already, or half of it."""
    return seen.disk_group == VOLUME_GROUP or VOLUME_GROUP in seen.mounted


def _room_for(named: str, seen: Facts) -> Iterable[str]:
    """What is where the disk is to be mounted. The engine is bound to that mount before the disk is looked
    at, and would not start any more after a reboot.
    """
    if _is_prepared(seen) or not seen.holds:
        return
    whose, remedy = "an engine that was removed", "move it away, or leave disk out"
    if seen.engine:
        whose, remedy = "its engine", "leave disk out; or remove the engine with its data first"
    yield (
        f"its {MOUNT_POINT} holds data of {whose} ({seen.holds} …), and {named} is to be mounted there. "
        f"Remedy: {remedy}"
    )


def told(hosts: Mapping[str, OwnHost], seen: Mapping[str, Facts]) -> str:
    """What the program will use, for people: one line a host."""
    lines = ["Hosts of your own, which are neither ordered nor ever deleted:"]
    for name, host in hosts.items():
        facts = seen[name]
        if facts.refused:
            lines.append(f"  {name} ({host.role}): {'does not answer' if facts.unreachable else 'refused'}")
            continue
        if facts.engine and not facts.version:
            engine = "its engine does not run"
        elif facts.kept:
            engine = f"engine {facts.version} as it is, engine.* of the settings does not count there"
        elif facts.version:
            engine = f"engine {facts.version}"
        else:
            engine = "engine to be installed"
        storage = (
            f"btrfs on {host.disk}" if host.disk else f"{facts.driver or 'its choice'} on {facts.filesystem}"
        )
        lines.append(f"  {name} ({host.role}): {facts.system_name}, {engine}, storage {storage}")
    return "\n".join(lines)
