"""A person restores the whole cluster: what each node does, by the store's record of it. Pure.

Nobody runs while the archive is loaded into one node's directory. That one starts the new cluster as after
any full outage: it alone has data of the UUID that the record names. Everybody else puts the own data aside,
once there is somebody to join, and takes a full copy. The way back is the same record: whoever has data aside
puts it back, and the cluster of before restarts as after a full outage.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..local_state import Kind, Local
from ..restore.fact import Restore
from ..store import Facts, Presence
from .others import IN_PRIMARY, joinable
from .outcomes import Decision, Hold, PutBack, SetAside

STOP, LOAD, JOIN, UNDO, DONE, UNDONE = "stop", "load", "join", "undo", "done", "undone"
"""Phases: all stop; one node loads; the new cluster forms, or has; back to the former one; either is over."""
OVER = frozenset({DONE, UNDONE})


def restoring(
    node: str, local: Local, facts: Facts, others: Mapping[str, Presence], live: Sequence[str]
) -> Decision | None:
    """What a restore has this node do; None where the other rules count."""
    restore = facts.restore
    if restore is None or restore.phase in OVER:
        return None
    if restore.phase in (STOP, LOAD):
        if restore.phase == LOAD and node == restore.node and _has_former(local, restore):
            return SetAside(restore.id, f"the archive is loaded here, for the restore to {restore.target}")
        return Hold(f"the cluster is being restored to {restore.target}, on {restore.node}")
    if restore.phase == UNDO:
        if local.aside == restore.id or (local.kind is Kind.DATA and local.uuid == restore.uuid):
            return PutBack(restore.id, f"the restore to {restore.target} is undone")
        # Whoever stopped last needs nobody else to restart the cluster. But those whose position it has not
        # heard by then would take full copies, though they are about to have the same data again.
        busy = sorted(name for name, presence in others.items() if presence.uuid == restore.uuid)
        if busy and not joinable(others, live, IN_PRIMARY, facts, local.epoch):
            return Hold(f"{', '.join(busy)} is to put the data of before back, too")
        return None
    epoch = facts.cluster.epoch if facts.cluster is not None else restore.epoch
    open_to_joiners = joinable(others, live, IN_PRIMARY, facts, epoch)
    if node == restore.node and local.kind in (Kind.EMPTY, Kind.PARTIAL) and not open_to_joiners:
        # It was loaded since its directory was looked at: Hold has it looked at again.
        return Hold(f"the data that was restored to {restore.target} is to be in its place")
    if _has_former(local, restore):
        if open_to_joiners:
            return SetAside(restore.id, f"the cluster has been restored to {restore.target}")
        return Hold(f"{restore.node} is to start the cluster that was restored to {restore.target}")
    return None


def _has_former(local: Local, restore: Restore) -> bool:
    """Whether the data here is the former cluster's. Data of a third one is nobody's to touch."""
    return local.kind is Kind.DATA and bool(restore.former_uuid) and local.uuid == restore.former_uuid


def ends(uuid: str, facts: Facts) -> str:
    """Why a mariadbd with data of the cluster `uuid` is to stop; empty if it is not."""
    restore = facts.restore
    if restore is None:
        return ""
    if restore.phase in (STOP, LOAD):
        return f"the cluster is being restored to {restore.target}"
    if restore.phase == JOIN and uuid == restore.former_uuid:
        return f"the cluster has been restored to {restore.target}, and its data is another one's"
    if restore.phase == UNDO and uuid == restore.uuid:
        return f"the restore to {restore.target} is undone"
    return ""
