"""What must hold of a healthy cluster: facts in, checks out.

Owned here: the checks, each with what was wanted and what was found. Left to others: gathering the facts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from components.commands.disk import LOGICAL_VOLUME, VOLUME_GROUP
from operations.cluster_facts import HostFacts
from operations.outputs import Outputs
from operations.remote_hosts import Answer


@dataclass(frozen=True)
class Check:
    """One statement about the cluster. `where`: a host's name, or `cluster`."""

    where: str
    what: str
    ok: bool
    found: str


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
        yield Check(
            host.name,
            "engine on btrfs, active in the swarm",
            (seen.driver, seen.swarm) == ("btrfs", "active"),
            f"{seen.driver or 'no engine'}, {seen.swarm or 'no swarm'}",
        )


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


def of_galera(outputs: Outputs, facts: Mapping[str, HostFacts]) -> list[Check]:
    """Every node Synced in one Primary component of all nodes."""
    checks = []
    for name in outputs.members:
        seen = facts[name].galera
        wanted = {
            "wsrep_local_state_comment": "Synced",
            "wsrep_cluster_size": str(outputs.size),
            "wsrep_cluster_status": "Primary",
            "wsrep_ready": "ON",
        }
        found = ", ".join(f"{seen[key]}" for key in wanted if key in seen)
        checks.append(
            Check(
                name,
                f"Galera node Synced, {outputs.size} nodes, Primary, ready",
                all(seen.get(key) == value for key, value in wanted.items()),
                found or "no answer",
            )
        )
    uuids = [facts[name].galera.get("wsrep_cluster_state_uuid", "") for name in outputs.members]
    same = len(set(uuids)) == 1 and bool(uuids[0])
    told = sorted(set(uuids) - {""})
    checks.append(Check("cluster", "one cluster UUID on every node", same, ", ".join(told) or "none"))
    return checks


def of_row(outputs: Outputs, written: Answer, read: Mapping[str, Answer]) -> list[Check]:
    """The row written through the virtual IP is read on every node."""
    checks = [
        Check(
            "cluster",
            f"row written through the virtual IP {outputs.vip}",
            not written.error,
            _short(written.error) or "written",
        )
    ]
    for name in outputs.members:
        answer = read.get(name, Answer(error="not asked: nothing was written"))
        ok = not written.error and not answer.error and answer.text.split() == ["1"]
        checks.append(
            Check(
                name,
                "row read on this node",
                ok,
                _short(answer.error) or "read" if ok else _short(answer.error) or "not there",
            )
        )
    return checks


def of_clean_up(outputs: Outputs, table: str, tried: Mapping[str, Answer]) -> list[Check]:
    """The table of that row is gone again; `tried` are the nodes that were asked to drop it, up to the first
    that did.
    """
    done = [name for name, answer in tried.items() if not answer.error]
    failures = "; ".join(f"{name}: {_short(answer.error)}" for name, answer in tried.items() if answer.error)
    found = f"dropped on {done[0]}" if done else f"{outputs.database}.{table} may be left: {failures}"
    return [Check("cluster", "what this check wrote is removed", bool(done), found)]


def _short(text: str) -> str:
    """The last line that says something: what mariadb or docker ended with."""
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1][:160] if lines else ""
