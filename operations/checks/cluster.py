"""What must hold of hosts, swarm, network and store: facts in, checks out.

Owns: the checks, each with what was wanted and what was found. Leaves to others: gathering the facts
(facts/cluster.py), the database (galera.py).
"""

from __future__ import annotations

import datetime as dt
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping

from components.host_scripts.disk import LOGICAL_VOLUME, VOLUME_GROUP
from components.host_scripts.own import DRIVERS
from operations.checks import disk_space
from operations.checks.check import Check
from operations.checks.tls import RENEWED, SOON
from operations.facts.cluster import HostFacts
from operations.outputs import Outputs

RESTART_BY_HAND = (
    "this program never restarts an engine that was there before it: systemctl restart docker on {host}, "
    "once the other nodes are Synced"
)
RESTART = (
    "`up` restarts the engine of {host} once the other hosts are well; by hand, with room on its disk and "
    "the other nodes Synced: systemctl reset-failed docker; systemctl restart docker"
)

LOCKED = (
    "`python -m operations unlock` (in the lab `make unlock`) unlocks all managers that are locked; so does "
    "`up`"
)

STILL_IN_A_SWARM = (
    "`up` once more: hosts leave the swarm when Pulumi has removed what was on it. If it stays: docker swarm "
    "leave --force on that host, once no container of a service runs there"
)

OTHER_CONTENT = (
    "whoever asks hears now this, now that. Where most members agree, let the other one come anew: on its "
    "host, in the container of {store}: rm -rf /var/lib/etcd/member; then docker kill it. Where no two "
    "agree, look first which one has what `galera-node status` on the host that serves says"
)


def of_hosts(outputs: Outputs, facts: Mapping[str, HostFacts]) -> list[Check]:
    """Disk, engine and swarm of each host; the managers as the swarm sees them, where there is one."""
    managers = _managers(outputs, facts) if outputs.has("swarm") else ()
    return [*_each_host(outputs, facts), *managers]


def _each_host(outputs: Outputs, facts: Mapping[str, HostFacts]) -> Iterator[Check]:
    in_swarm = outputs.has("swarm")
    for host in outputs.hosts:
        seen = facts[host.name]
        yield Check(
            host.name, "answers SSH with its pinned host key", not seen.error, seen.error or host.address
        )
        drivers: tuple[str, ...] = DRIVERS
        if host.disk:
            drivers = ("btrfs",)
            on_lvm = seen.volume == f"{VOLUME_GROUP}/{LOGICAL_VOLUME}"
            yield Check(
                host.name,
                "/var/lib/docker is btrfs on LVM",
                on_lvm and seen.mount[1:] == ("btrfs",),
                f"{' '.join(seen.mount[1:]) or 'not mounted'} on {seen.volume or 'no volume'}",
            )
        in_error = seen.swarm == "error" or seen.engine == "failed"
        stores = "on btrfs" if host.disk else "with a storage driver that will do"
        yield Check(
            host.name,
            f"engine {stores}, active in the swarm" if in_swarm else f"engine {stores}, in no swarm",
            seen.driver in drivers and seen.swarm == ("active" if in_swarm else "inactive"),
            f"{seen.driver or f'no engine ({seen.engine})'}, {seen.swarm or 'no swarm'}"
            + (f" ({seen.swarm_error})" if seen.swarm_error else ""),
            remedy=_engine_remedy(host.name, seen, in_error, in_swarm),
        )
        yield Check(
            host.name,
            "every container listed as running runs",
            not seen.ghosts and not seen.error,
            f"not: {', '.join(seen.ghosts)}" if seen.ghosts else "not asked" if seen.error else "so it is",
            remedy=_restart(host.name, seen) if seen.ghosts else "",
        )
        if not seen.error:
            if host.disk:
                yield from disk_space.checks(host.name, seen.space, seen.system)
            else:
                yield from disk_space.shared(host.name, seen.beside, seen.system)


def one_image(service: str, images: Mapping[str, str], remedy: str = "") -> Check:
    """Whether all hosts run the same content. `images`: the service's, by host; empty for no container."""
    alike = len(set(images.values())) == 1 and all(images.values())
    told = ", ".join(f"{short(image) or 'none'} on {name}" for name, image in images.items())
    return Check(
        "cluster",
        f"one image of {service} on every host",
        alike,
        short(next(iter(images.values()))) if alike else told,
        remedy="" if alike else remedy,
    )


def short(image: str) -> str:
    """The beginning of an image's id, as docker shows it."""
    return image.removeprefix("sha256:")[:12]


def _engine_remedy(host: str, seen: HostFacts, in_error: bool, in_swarm: bool) -> str:
    if not in_swarm and seen.swarm not in ("", "inactive"):
        return STILL_IN_A_SWARM
    if seen.swarm == "locked":
        return LOCKED
    return _restart(host, seen) if in_error else ""


def _restart(host: str, seen: HostFacts) -> str:
    return (RESTART_BY_HAND if seen.kept else RESTART).format(host=host)


def _managers(outputs: Outputs, facts: Mapping[str, HostFacts]) -> Iterator[Check]:
    """By the nodes' ids, not their names: a replaced host's former self has its name, and a vote."""
    seen = next((facts[host.name].managers for host in outputs.managers if facts[host.name].managers), ())
    status = {manager.node: manager.status for manager in seen}
    nodes = {facts[host.name].node: host.name for host in outputs.managers if facts[host.name].node}
    names = [host.name for host in outputs.managers]
    good = [name for node, name in nodes.items() if status.get(node) in ("Leader", "Reachable")]
    leaders = [name for node, name in nodes.items() if status.get(node) == "Leader"]
    unknown = [name for name in names if name not in nodes.values()]
    lost = [
        f"{name} {status.get(node, 'missing').lower()}" for node, name in nodes.items() if name not in good
    ]
    others = sorted(
        f"{manager.name} {manager.status.lower()} as {manager.node}"
        for manager in seen
        if manager.node not in nodes and manager.name not in unknown
    )
    yield Check(
        "cluster",
        f"{len(names)} managers reachable, one of them leads",
        len(good) == len(names) and len(leaders) == 1 and not others,
        ", ".join(
            [
                f"{len(good)} reachable",
                f"leader {' and '.join(leaders) or 'none'}",
                *lost,
                *(f"{name} unknown" for name in unknown),
                *others,
            ]
        ),
    )


def of_network(outputs: Outputs, facts: Mapping[str, HostFacts]) -> list[Check]:
    """The overlay's encryption as the engines have it, and IPsec between all hosts that bear nodes.

    Without nodes, only managers know the network, and nothing is on it that there could be IPsec for.
    """
    wanted = "encrypted" if outputs.encrypted else "not encrypted"
    checks = []
    bearing = [host for host in outputs.hosts if host.name in outputs.members]
    if not outputs.has("data"):
        bearing = list(outputs.managers)
    for host in bearing:
        seen = facts[host.name]
        encrypted = "encrypted" in seen.network_options
        peers = {other.private_ip for other in bearing if other is not host}
        expected = outputs.encrypted and outputs.has("data")
        missing = sorted(peers - seen.ipsec_peers) if expected else []
        known = f"{'encrypted' if encrypted else 'not encrypted'}"
        found = known if seen.network_options else "no such network"
        if missing and not seen.error:
            found += f", no IPsec to {', '.join(missing)}"
        ok = bool(seen.network_options) and encrypted == outputs.encrypted and not missing
        checks.append(Check(host.name, f"overlay network {outputs.network} is {wanted}", ok, found))
    return checks


def of_store(outputs: Outputs, facts: Mapping[str, HostFacts], today: dt.date | None = None) -> list[Check]:
    """One healthy member on each manager, all of the same cluster."""
    wanted = len(outputs.managers)
    today = today or dt.datetime.now(dt.UTC).date()
    checks = []
    for host in outputs.managers:
        seen = facts[host.name]
        health = "healthy" if seen.etcd_healthy else "not healthy"
        checks.append(
            Check(
                host.name,
                f"{outputs.store} healthy with {wanted} members",
                seen.etcd_healthy and seen.etcd_members == wanted,
                f"{health}, {seen.etcd_members} members" if seen.etcd_cluster else "no answer",
            )
        )
        days = _days_left(seen.etcd_clients, today)
        checks.append(
            Check(
                host.name,
                f"{outputs.store} lets in users with TLS and nobody else",
                seen.etcd_clients.startswith("users") and days >= SOON,
                seen.etcd_clients or "no answer",
                warns=days < RENEWED,
                remedy="`up` ends a change that was interrupted, and renews certificates; where it changes "
                "nothing, somebody has let others in: `etcd-member secure` in the container of any member",
            )
        )
    clusters = {facts[host.name].etcd_cluster for host in outputs.managers} - {""}
    checks.append(
        Check("cluster", f"one {outputs.store} cluster", len(clusters) == 1, f"{len(clusters)} seen")
    )
    checks.append(
        of_content(outputs, {host.name: facts[host.name].etcd_content for host in outputs.managers})
    )
    return checks


def _days_left(told: str, today: dt.date) -> int:
    """Until the first of the store's certificates ends, its peers' too; many where it does not say."""
    found = re.search(r" until (\d{4}-\d\d-\d\d)$", told)
    return (dt.date.fromisoformat(found[1]) - today).days if found else RENEWED


def of_content(outputs: Outputs, contents: Mapping[str, Mapping[int, tuple[int, int]]]) -> Check:
    """All members of the store have the same content at the same revision."""
    what = f"all members of {outputs.store} have the same content"
    common = [
        revision
        for revision in set.intersection(*[set(content) for content in contents.values()] or [set()])
        # What has been compacted away does not count, and members do that one after the other.
        if len({content[revision][1] for content in contents.values()}) == 1
    ]
    if not common:
        remedy = "repeat: the store is written to faster than it was asked"
        return Check("cluster", what, False, "the members were not seen at a common revision", remedy=remedy)
    revision = max(common)
    names: dict[tuple[int, int], list[str]] = defaultdict(list)
    for name, content in contents.items():
        names[content[revision]].append(name)
    groups = sorted(map(sorted, names.values()), key=lambda group: (-len(group), group))
    found = f"the same at revision {revision}"
    if len(groups) > 1:
        found = f"at revision {revision}, not the same: {' / '.join(', '.join(group) for group in groups)}"
    return Check("cluster", what, len(groups) == 1, found, remedy=OTHER_CONTENT.format(store=outputs.store))
