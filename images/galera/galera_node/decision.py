"""Whether a node bootstraps, joins, waits, discards or refuses: the decision alone, a pure function.

Owns every rule about the right to bootstrap. It reads no clock, file or network: what it says is a row of a
table test. A decision that writes to the store carries the revisions it was based on, so that it only holds
if nothing has changed meanwhile (see `Facts.revision` and docs/adr/bootstrap-and-formation.md).

The rules in short:
- a node with data never starts a second cluster, and a normal start always joins;
- the first bootstrap needs a store that has never seen a cluster;
- after a full outage only the most advanced node bootstraps, once every member has published its position;
- who stays outside a Primary component, with nobody in one, stops: a lost quorum then is a full outage.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from .local_state import NO_UUID, Kind, Local
from .store import Facts, Position, Presence


@dataclass(frozen=True)
class Bootstrap:
    """Start a new cluster: `first` on an empty directory, else from the own data at its position.

    `expect` are the revisions to insist on; `abort` is a formation's UUID to be marked as ended.
    """

    first: bool
    reason: str
    expect: Mapping[str, int] = field(default_factory=dict)
    abort: str | None = None


@dataclass(frozen=True)
class Join:
    """Start against these live addresses. Never starts a cluster."""

    addresses: tuple[str, ...]
    reason: str


@dataclass(frozen=True)
class Wait:
    """Nothing can be done safely now."""

    reason: str


@dataclass(frozen=True)
class Discard:
    """Empty the own directory: it holds a formation that ended before any client was served."""

    uuid: str
    reason: str
    expect: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Refuse:
    """A person must decide."""

    reason: str


Decision = Bootstrap | Join | Wait | Discard | Refuse

IN_PRIMARY = frozenset({"primary", "synced"})
OUTSIDE_PRIMARY = frozenset({"running"})
PATIENCE = 60.0  # seconds outside a Primary component; the health check's own patience is longer


def decide(node: str, size: int, local: Local, facts: Facts | None, live: Sequence[str]) -> Decision:
    """What node `node` does now.

    `facts` is None while the store does not answer. `live` are the other nodes' addresses whose Galera port
    has just accepted a connection; the own address is not among them. `local` carries a certain position if
    there is data (recovered from InnoDB after a crash).
    """
    if local.kind is Kind.FOREIGN:
        return Refuse(
            "the volume holds files that are no database's. Nothing is touched: move them away, or mount the "
            "right volume."
        )
    if facts is None:
        return _without_store(local, live)
    others = {name: presence for name, presence in facts.present.items() if name != node}
    if local.kind is Kind.DATA:
        return _with_data(node, size, local, facts, others, live)
    return _without_data(node, facts, others, live)


def _without_store(local: Local, live: Sequence[str]) -> Decision:
    if local.kind is Kind.DATA and local.uuid != NO_UUID and live:
        return Join(tuple(live), "the store does not answer, but live nodes do")
    if live:
        return Wait(
            "the store does not answer; an empty node asks it first whether the cluster is open to joiners"
        )
    return Wait("neither the store nor any other node answers")


def _join(others: Mapping[str, Presence], live: Sequence[str], states: frozenset[str]) -> tuple[str, ...]:
    """Live addresses of others in these states; one that the store lists and nobody answers at is stale."""
    known = {presence.address for presence in others.values() if presence.state in states}
    return tuple(address for address in live if address in known)


def _rival(node: str, facts: Facts) -> str | None:
    """Who has the right to bootstrap, unless it is this process. None if nobody else."""
    if facts.holder is None or facts.mine:
        return None
    return f"an earlier run of {node}" if facts.holder == node else facts.holder


def _unknown(facts: Facts, live: Sequence[str]) -> tuple[str, ...]:
    """Live addresses of nobody that the store knows."""
    known = {presence.address for presence in facts.present.values()}
    return tuple(address for address in live if address not in known)


def _without_data(node: str, facts: Facts, others: Mapping[str, Presence], live: Sequence[str]) -> Decision:
    cluster = facts.cluster
    if cluster is None:
        with_data = sorted(name for name, presence in others.items() if presence.uuid != NO_UUID)
        if facts.nodes or with_data:
            holders = ", ".join(sorted({*facts.nodes, *with_data}))
            return Wait(
                f"the store has no record of a cluster, but {holders} hold data; not starting a second one"
            )
        if unknown := _unknown(facts, live):
            return Wait(
                f"the store has no record of a cluster, but {', '.join(unknown)} runs Galera; not starting a "
                "second one"
            )
        if rival := _rival(node, facts):
            return Wait(f"{rival} holds the right to bootstrap")
        return Bootstrap(
            True, "no cluster has ever existed here", {"cluster": 0, "bootstrap": facts.revision("bootstrap")}
        )
    if cluster.phase == "forming":
        if rival := _rival(node, facts):
            return Wait(f"{rival} is forming the cluster")
        if facts.nodes or any(presence.uuid not in (NO_UUID, cluster.uuid) for presence in others.values()):
            return Wait(
                f"the formation by {cluster.seed} ended early, yet others hold data; a person must decide"
            )
        return Bootstrap(
            True,
            f"the formation by {cluster.seed} ended before any client was served; forming anew",
            {"cluster": facts.revision("cluster"), "bootstrap": facts.revision("bootstrap")},
            abort=cluster.uuid,
        )
    addresses = _join(others, live, IN_PRIMARY)
    if addresses:
        return Join(addresses, f"the cluster {cluster.uuid} is open")
    return Wait(
        f"no member of cluster {cluster.uuid} is in a Primary component; only those with data can restart it"
    )


def _with_data(
    node: str, size: int, local: Local, facts: Facts, others: Mapping[str, Presence], live: Sequence[str]
) -> Decision:
    cluster = facts.cluster
    if local.uuid in facts.aborted:
        return Discard(local.uuid, "its formation ended before any client was served, and another took over")
    if local.uuid == NO_UUID:
        return Refuse(
            "the data directory holds tables of no Galera cluster. Nothing is touched: move them away, or "
            "load them into the running cluster."
        )
    if cluster is not None and local.uuid != cluster.uuid:
        return Refuse(
            f"the data directory belongs to cluster {local.uuid}, the store's is {cluster.uuid}. Nothing is "
            "touched: if this node's data is not needed, empty its volume and it joins."
        )
    strangers = sorted(n for n, p in others.items() if p.uuid not in (NO_UUID, local.uuid))
    if strangers:
        return Wait(
            f"{', '.join(strangers)} hold data of another cluster than {local.uuid}; a person must decide"
        )
    if cluster is not None and cluster.phase == "forming":
        if facts.holder is not None and facts.holder != node:
            return Wait(f"{facts.holder} is forming the cluster")
        if cluster.seed != node:
            return Wait(
                f"{cluster.seed} is to form the cluster, yet this node holds its data; a person must decide"
            )
        return Discard(
            local.uuid,
            "this node's own formation ended before any client was served",
            {"cluster": facts.revision("cluster")},
        )
    addresses = _join(others, live, IN_PRIMARY)
    if addresses:
        return Join(addresses, "a restarted node joins")
    if unknown := _unknown(facts, live):
        return Join(unknown, "nodes that the store does not know run Galera")
    if local.view:
        addresses = _join(others, live, OUTSIDE_PRIMARY)
        if addresses:
            # Once all members of the saved view meet again, the component is restored. Without that view a
            # node would only keep the others from being stopped, and be kept by them.
            return Join(
                addresses, "live members have no Primary component; joining them so that it can be restored"
            )
    return _recover(node, size, local, facts, others)


def _recover(node: str, size: int, local: Local, facts: Facts, others: Mapping[str, Presence]) -> Decision:
    """Nobody runs: the most advanced member restarts the cluster, once all have published."""
    if rival := _rival(node, facts):
        return Wait(f"{rival} is restarting the cluster after a full outage")
    expected = set(facts.nodes) | {node}
    missing = sorted(expected - set(others) - {node})
    if missing:
        return Wait(
            f"nobody runs, and the position of {', '.join(missing)} is not known in this outage. Start "
            f"{'it' if len(missing) == 1 else 'them'}, or if lost for good: galera-node forget NAME"
        )
    formed = facts.cluster is not None and facts.cluster.phase == "formed"
    needed = size - len(facts.forgotten - expected - set(others))
    if (facts.cluster is None or (formed and len(expected) < needed)) and len(others) + 1 < needed:
        return Wait(
            f"nobody runs, and only {len(others) + 1} of {needed} nodes have published their position. Start "
            "the others, or if lost for good: galera-node forget NAME"
        )
    # A joiner that still runs without data of its own has nothing to say; one with data has.
    busy = sorted(n for n, p in others.items() if p.uuid != NO_UUID and p.state != "stopped")
    if busy:
        return Wait(f"{', '.join(busy)} has started and is not in a Primary component, or not reachable")
    unknown = local.seqno < 0 or any(p.seqno < 0 for p in others.values() if p.state == "stopped")
    if unknown:
        return Wait("a member's position could not be recovered; a person must decide")
    best = max([(local.seqno, node)] + [(p.seqno, n) for n, p in others.items() if p.state == "stopped"])
    ahead = [
        f"{name} at {position.seqno}"
        for name, position in sorted(facts.nodes.items())
        if _published(position, local.uuid) > best[0]
    ]
    if ahead:
        return Wait(
            f"the store has seen a more advanced position ({', '.join(ahead)}) than any node now has "
            f"({best[0]}): data is missing. If it is lost for good: galera-node forget NAME"
        )
    if best[1] != node:
        return Wait(f"{best[1]} is the most advanced at {best[0]} and restarts the cluster")
    expect = {f"present/{name}": facts.revision(f"present/{name}") for name in others}
    expect |= {key: facts.revision(key) for key in ("bootstrap", "cluster")}
    return Bootstrap(
        False,
        f"nobody runs, all members have published, and this one is the most advanced at {best[0]}",
        expect,
    )


def turn(node: str, facts: Facts) -> int:
    """How many other nodes without data are before this one, should all join in the same moment."""
    joiners = [
        name for name, p in facts.present.items() if p.state in ("empty", "starting") and p.uuid == NO_UUID
    ]
    return sum(name < node for name in joiners)


def gives_up(node: str, outside: float, facts: Facts | None) -> bool:
    """Whether mariadbd, `outside` seconds without a Primary component, ends to make way for a recovery.

    Members that come back with the view they had restore the component by themselves, and do so before that.
    Later, nodes that run outside it and nodes that join these would keep each other from ever being stopped
    together. While the store is away or shows somebody in a Primary component, nothing is won by stopping.
    """
    if facts is None or outside < PATIENCE:
        return False
    return not any(p.state in IN_PRIMARY for name, p in facts.present.items() if name != node)


def _published(position: Position, uuid: str) -> int:
    return position.seqno if position.uuid == uuid else -1
