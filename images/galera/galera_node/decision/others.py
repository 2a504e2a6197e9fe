"""What a node sees of the others: who is expected, who can be joined, who is before it, who is unknown."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from ..local_state import Local
from ..neighbours import Told
from ..store import Facts, Presence

IN_PRIMARY = frozenset({"primary", "synced"})
OUTSIDE_PRIMARY = frozenset({"running"})
FORGET = "galera-node forget NAME"
CHOOSE = "galera-node recover-from NAME"


@dataclass(frozen=True)
class Site:
    """What is expected. `size`: number of nodes; `names`: theirs, as far as this node has been told."""

    size: int
    names: Collection[str] = ()

    def gone(self, facts: Facts, here: Collection[str]) -> frozenset[str]:
        """Expected nodes that a person has given up. A name that nobody expects makes nobody fewer."""
        return frozenset(n for n in facts.forgotten - set(here) if not self.names or n in self.names)

    def lacking(self, facts: Facts, here: Collection[str]) -> str:
        """Whom a first bootstrap, or a recovery without a record, still waits for; empty if for nobody."""
        gone = self.gone(facts, here)
        short = self.size - len(gone) - len(here)
        if short <= 0:
            return ""
        missing = sorted(set(self.names) - gone - set(here))
        return ", ".join(missing) if missing else f"{short} more"


def same_history(local: Local, told: Told | None) -> bool:
    """Whether a live node has the same cluster's data, of the epoch that this node's belongs to."""
    if told is None or told.uuid != local.uuid:
        return False
    mine = {local.epoch, local.note.begins} - ({""} if local.epoch else set())
    if told.epoch not in mine:
        return False
    return told.state in IN_PRIMARY or (told.state in OUTSIDE_PRIMARY and local.view)


def joinable(
    others: Mapping[str, Presence], live: Sequence[str], states: frozenset[str], facts: Facts, epoch: str
) -> tuple[str, ...]:
    """Live addresses of others in these states, with data of `epoch`; one that nobody answers at is stale."""
    known = {
        presence.address
        for name, presence in others.items()
        if presence.state in states and facts.about(name).epoch == epoch
    }
    return tuple(address for address in live if address in known)


def rival_of(node: str, facts: Facts) -> str | None:
    """Who has the right to bootstrap, unless it is this process. None if nobody else."""
    if facts.holder is None or facts.mine:
        return None
    return f"an earlier run of {node}" if facts.holder == node else facts.holder


def unknown_to(facts: Facts, live: Sequence[str]) -> tuple[str, ...]:
    """Live addresses of nobody that the store knows."""
    known = {presence.address for presence in facts.present.values()}
    return tuple(address for address in live if address not in known)
