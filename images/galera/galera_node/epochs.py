"""Which of the cluster's histories a node's data belongs to: pure functions.

A recovery that leaves somebody out goes on from data that may lack what that one has committed. From then on
the cluster's history is another, under the same UUID, and Galera, which compares UUIDs and positions, can't
tell: it would let the one that was left out go on by the write-sets after its position. So each such recovery
begins an epoch, which has a name, and every node notes beside its data to which one that belongs.

Names are `NUMBER-RANDOM`: the number says which of two is the later one, should the store have lost its
record. The first epoch is the empty name.
"""

from __future__ import annotations

import secrets

from .local_state import Local
from .store import Facts

RUNNING = (1 << 63) - 1  # how far the data of those is carried in whose component an epoch begins


def following(epoch: str) -> str:
    """A new name, for the epoch after `epoch`."""
    return f"{number(epoch) + 1}-{secrets.token_hex(4)}"


def number(epoch: str) -> int:
    """Which epoch it is; the first one is 0. A name that no node has made is before all."""
    if not epoch:
        return 0
    first = epoch.partition("-")[0]
    return int(first) if first.isdigit() else -1


def carried(node: str, local: Local, facts: Facts) -> bool:
    """Whether the data of `node`, of an older epoch, is known to be a part of the cluster's present one.

    Either this node began it with this data, or who did had heard of this data and was not behind it.
    """
    cluster, began = facts.cluster, facts.epoch
    if cluster is None or not local.trusted:
        return False
    if local.note.begins and local.note.begins == cluster.epoch:
        return True
    if began is None or (began.name, began.before) != (cluster.epoch, local.epoch):
        return False
    return 0 <= local.seqno <= began.carried.get(node, -1)
