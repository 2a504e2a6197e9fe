"""What a node without data does: the first bootstrap, once in a cluster's life, or it joins, or waits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..local_state import NO_UUID
from ..store import Facts, Presence
from .others import FORGET, IN_PRIMARY, Site, joinable, rival_of, unknown_to
from .outcomes import Bootstrap, Decision, Join, Wait


def without_data(
    node: str, site: Site, facts: Facts, others: Mapping[str, Presence], live: Sequence[str]
) -> Decision:
    """By the cluster's record: there is none, it is being formed, or it is open to joiners."""
    cluster = facts.cluster
    if cluster is None:
        with_data = sorted(name for name, presence in others.items() if presence.uuid != NO_UUID)
        if facts.nodes or with_data:
            holders = ", ".join(sorted({*facts.nodes, *with_data}))
            return Wait(
                f"the store has no record of a cluster, but {holders} hold data; not starting a second one"
            )
        if unknown := unknown_to(facts, live):
            return Wait(
                f"the store has no record of a cluster, but {', '.join(unknown)} runs Galera; not starting a "
                "second one"
            )
        if lacking := site.lacking(facts, {node, *others}):
            return Wait(
                f"the first start of a cluster needs all {site.size} nodes present and empty, for one of "
                f"them might hold data. Waiting for {lacking}; one that will not come: {FORGET}"
            )
        if rival := rival_of(node, facts):
            return Wait(f"{rival} holds the right to bootstrap")
        expect = {f"present/{name}": facts.revision(f"present/{name}") for name in others}
        return Bootstrap(
            True,
            "no cluster has ever existed here, and all expected nodes are present and empty",
            {**expect, "cluster": 0, "bootstrap": facts.revision("bootstrap")},
        )
    if cluster.phase == "forming":
        if rival := rival_of(node, facts):
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
    addresses = joinable(others, live, IN_PRIMARY, facts, cluster.epoch)
    if addresses:
        return Join(addresses, f"the cluster {cluster.uuid} is open")
    return Wait(
        f"no member of cluster {cluster.uuid} is in a Primary component; only those with data can restart it"
    )


def turn(node: str, facts: Facts) -> int:
    """How many other nodes without data are before this one, should all join in the same moment."""
    joiners = [
        name for name, p in facts.present.items() if p.state in ("empty", "starting") and p.uuid == NO_UUID
    ]
    return sum(name < node for name in joiners)
