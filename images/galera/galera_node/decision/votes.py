"""When the node whose vote counts for all can give that up."""

from __future__ import annotations

ENOUGH = 3  # Synced nodes of which any two are a majority


def enough(synced: int, size: int) -> bool:
    """Whether ordinary votes keep a majority though any one node is lost; of two that is never so.

    Two with one vote each stop together; with the first one's vote for all, only its own loss stops the
    other.
    """
    return synced >= min(ENOUGH, size)
