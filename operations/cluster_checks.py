"""What must hold of hosts, swarm, network and store: facts in, checks out.

Owns: the checks, each with what was wanted and what was found. Leaves to others: gathering the facts
(cluster_facts.py), the database (galera_checks.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from components.host_scripts.disk import LOGICAL_VOLUME, VOLUME_GROUP
from operations import disk_space
from operations.check import Check
from operations.cluster_facts import HostFacts
from operations.outputs import Outputs

RESTART = (
    "`up` restarts the engine of {host} once the other hosts are well; by hand, with room on its disk and "
    "the other nodes Synced: systemctl reset-failed docker; systemctl restart docker"
)


def of_hosts(outputs: Outputs, facts: Mapping[str, HostFacts]) -> list[Check]:
    """Disk, engine and swarm of each host; the managers as the swarm sees them."""
    return [*_each_host(outputs, facts), *_managers(outputs, facts)]


def _each_host(outputs: Outputs, facts: Mapping[str, HostFacts]) -> Iterator[Check]:
    for host in outputs.hosts:
        seen = facts[host.name]
        yield Check(
            host.name, "answers SSH with its pinned host key", not seen.error, seen.error or host.address
        )
        on_lvm = seen.volume == f"{VOLUME_GROUP}/{LOGICAL_VOLUME}"
        yield Check(
            host.name,
            "/var/lib/docker is btrfs on LVM",
            on_lvm and seen.mount[1:] == ("btrfs",),
            f"{' '.join(seen.mount[1:]) or 'not mounted'} on {seen.volume or 'no volume'}",
        )
        in_error = seen.swarm == "error" or seen.engine == "failed"
        yield Check(
            host.name,
            "engine on btrfs, active in the swarm",
            (seen.driver, seen.swarm) == ("btrfs", "active"),
            f"{seen.driver or f'no engine ({seen.engine})'}, {seen.swarm or 'no swarm'}"
            + (f" ({seen.swarm_error})" if seen.swarm_error else ""),
            remedy=RESTART.format(host=host.name) if in_error else "",
        )
        yield Check(
            host.name,
            "every container listed as running runs",
            not seen.ghosts and not seen.error,
            f"not: {', '.join(seen.ghosts)}" if seen.ghosts else "not asked" if seen.error else "so it is",
            remedy=RESTART.format(host=host.name) if seen.ghosts else "",
        )
        if not seen.error:
            yield from disk_space.checks(host.name, seen.space, seen.system)


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
    """The overlay's encryption as the engines have it, and IPsec between all hosts that bear nodes."""
    wanted = "encrypted" if outputs.encrypted else "not encrypted"
    checks = []
    bearing = [host for host in outputs.hosts if host.name in outputs.members]
    for host in bearing:
        seen = facts[host.name]
        encrypted = "encrypted" in seen.network_options
        peers = {other.private_ip for other in bearing if other is not host}
        missing = sorted(peers - seen.ipsec_peers) if outputs.encrypted else []
        known = f"{'encrypted' if encrypted else 'not encrypted'}"
        found = known if seen.network_options else "no such network"
        if missing and not seen.error:
            found += f", no IPsec to {', '.join(missing)}"
        ok = bool(seen.network_options) and encrypted == outputs.encrypted and not missing
        checks.append(Check(host.name, f"overlay network {outputs.network} is {wanted}", ok, found))
    return checks


def of_store(outputs: Outputs, facts: Mapping[str, HostFacts]) -> list[Check]:
    """One healthy member on each manager, all of the same cluster."""
    wanted = len(outputs.managers)
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
    clusters = {facts[host.name].etcd_cluster for host in outputs.managers} - {""}
    checks.append(
        Check("cluster", f"one {outputs.store} cluster", len(clusters) == 1, f"{len(clusters)} seen")
    )
    return checks
