"""What a node does while the store does not answer: it joins live nodes of its data's epoch, or waits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..local_state import NO_UUID, Kind, Local
from ..neighbours import Told
from .others import same_history
from .outcomes import Decision, Join, Wait


def without_store(local: Local, live: Sequence[str], told: Mapping[str, Told]) -> Decision:
    """Whom it joins without the store's word: only nodes that say themselves that their data is the same."""
    if local.kind is Kind.DATA and local.uuid != NO_UUID and live:
        if not local.trusted:
            return Wait("the store does not answer, and Galera has marked the data here as unusable")
        mine = tuple(address for address in live if same_history(local, told.get(address)))
        if mine:
            return Join(mine, "the store does not answer, but live nodes of the same epoch do")
        other = sorted({each.epoch for each in told.values() if each.uuid == local.uuid})
        if other:
            return Wait(
                "the store does not answer, and the live nodes' data is of another epoch "
                f"({', '.join(other)}) than "
                f"the data here ({local.epoch or 'the first'}): it needs a full copy, for which the store "
                "is asked"
            )
        if any(each.uuid != local.uuid for each in told.values()):
            return Wait(
                f"the store does not answer, and live nodes are of another cluster than {local.uuid}, or "
                "without data"
            )
        return Wait(
            "the store does not answer, and no live node says which epoch its data is of; without knowing "
            "that, a node that was left out could go on with data that nobody else has"
        )
    if live:
        return Wait(
            "the store does not answer; an empty node asks it first whether the cluster is open to joiners"
        )
    return Wait("neither the store nor any other node answers")
