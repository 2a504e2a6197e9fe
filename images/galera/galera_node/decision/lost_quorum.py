"""How long mariadbd stays outside a Primary component before it stops, so that the cluster can restart."""

from __future__ import annotations

from ..store import Facts
from .others import IN_PRIMARY

PATIENCE = 60.0  # seconds outside a Primary component; the health check's own patience is longer
CHOSEN_PATIENCE = 2.0  # the same, once a person has said from whose data the cluster restarts


def gives_up(node: str, outside: float, facts: Facts | None) -> bool:
    """Whether mariadbd, `outside` seconds without a Primary component, ends to make way for a recovery.

    Members that come back with the view they had restore the component by themselves, and do so before that.
    Later, nodes that run outside it and nodes that join these would keep each other from ever being stopped
    together. Once a person has said from whose data the cluster restarts, nobody waits that long. While the
    store is away or shows somebody in a Primary component, nothing is won by stopping.
    """
    if facts is None or outside < (PATIENCE if facts.chosen is None else CHOSEN_PATIENCE):
        return False
    return not any(p.state in IN_PRIMARY for name, p in facts.present.items() if name != node)
