"""What a node with data does: it joins, by a full copy if its data is left out; else, see `full_outage`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from .. import epochs
from ..local_state import NO_UUID, Local
from ..neighbours import Told
from ..store import Facts, Presence
from .full_outage import recover
from .others import CHOOSE, IN_PRIMARY, OUTSIDE_PRIMARY, Site, joinable, same_history, unknown_to
from .outcomes import Carry, Decision, Discard, Join, Refuse, Wait


def with_data(
    node: str,
    site: Site,
    local: Local,
    facts: Facts,
    others: Mapping[str, Presence],
    live: Sequence[str],
    told: Mapping[str, Told],
) -> Decision:
    """Whether its data counts comes first, then whom it can join; if nobody, it is an outage."""
    decision = _does_not_count(node, local, facts, others)
    if decision is not None:
        return decision
    epoch = facts.cluster.epoch if facts.cluster is not None else local.epoch
    if local.epoch != epoch and epochs.carried(node, local, facts):
        return Carry(epoch, "the data here was heard of when it began")
    addresses = joinable(others, live, IN_PRIMARY, facts, epoch)
    if local.epoch != epoch or not local.trusted:
        why = _unusable(local, epoch)
        if addresses:
            return Join(addresses, f"{why}: it takes a full copy", full=True)
        if facts.chosen == node:
            return recover(node, site, local, facts, others)
        return Wait(
            f"{why}, so it restarts nothing. It takes a full copy once the cluster runs. Should no other "
            f"node have the cluster's data any more: {CHOOSE}"
        )
    if addresses:
        return Join(addresses, "a restarted node joins")
    if unknown := unknown_to(facts, live):
        same = tuple(address for address in unknown if same_history(local, told.get(address)))
        if same:
            return Join(same, "nodes that the store does not know run Galera")
        return Wait(
            f"{', '.join(unknown)} runs Galera, and does not say that it has data of this node's epoch"
        )
    if local.view:
        addresses = joinable(others, live, OUTSIDE_PRIMARY, facts, epoch)
        if addresses and facts.chosen is None:
            # Once all members of the saved view meet again, the component is restored. Without that view a
            # node would only keep the others from being stopped, and be kept by them.
            return Join(
                addresses, "live members have no Primary component; joining them so that it can be restored"
            )
    return recover(node, site, local, facts, others)


def _does_not_count(node: str, local: Local, facts: Facts, others: Mapping[str, Presence]) -> Decision | None:
    """What is done about data of no cluster, another one or an ended formation. None: it counts."""
    cluster = facts.cluster
    if local.uuid in facts.aborted:
        return Discard(local.uuid, "its formation ended before any client was served, and another took over")
    if local.uuid == NO_UUID and local.unrecovered:
        return Refuse(
            "whose data this is, and its position, could not be recovered from InnoDB: "
            f"{local.unrecovered}. Nothing is touched, and it is tried again every minute: if memory or disk "
            "is short, mend that. If this node's data is not needed, empty its volume and it joins."
        )
    if local.uuid == NO_UUID:
        return Refuse(
            "the data directory holds tables of no Galera cluster. Nothing is touched: move them away, or "
            "load them into the running cluster."
        )
    if cluster is None:
        # With a record, whoever has other data has refused itself, and keeps nobody from anything.
        strangers = sorted(n for n, p in others.items() if p.uuid not in (NO_UUID, local.uuid))
        if strangers:
            return Wait(
                f"the store has no record of a cluster, and {', '.join(strangers)} hold data of another one "
                f"than {local.uuid}; a person must decide whose is needed, and empty the other volumes"
            )
    elif local.uuid != cluster.uuid:
        return Refuse(
            f"the data directory belongs to cluster {local.uuid}, the store's is {cluster.uuid}. Nothing is "
            "touched: if this node's data is not needed, empty its volume and it joins."
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
    return None


def _unusable(local: Local, epoch: str) -> str:
    if local.epoch != epoch:
        return (
            f"the data here belongs to epoch {local.epoch or 'the first'}, the cluster's is "
            f"{epoch or 'the first'}: "
            "it was left out when that began"
        )
    return "Galera has marked the data here as unusable"
