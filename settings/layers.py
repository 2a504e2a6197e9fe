"""How far a stack is deployed: its layers, the lowest first, and what may be said of them together.

Owns: the names, their order, and which of `deployUpTo`, `takeDown` and `keepData` go together.
Leaves to others: what is in a layer (components/), and what a stack has already (components/layers.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

Layer = Literal["hosts", "swarm", "data", "application"]
Above = Literal["swarm", "data", "application"]
"""A layer that can be taken down: without hosts there is no stack, and that is `destroy`."""
LAYERS: tuple[Layer, ...] = ("hosts", "swarm", "data", "application")


def reaches(top: Layer, layer: Layer) -> bool:
    """Whether a stack that is deployed up to `top` has `layer`."""
    return LAYERS.index(layer) <= LAYERS.index(top)


def above(top: Layer) -> list[Layer]:
    """The layers that a stack which is deployed up to `top` does not have, the lowest first."""
    return [layer for layer in LAYERS if not reaches(top, layer)]


def contradictions(top: Layer, take_down: Sequence[Layer], keep_data: bool) -> Iterator[str]:
    """What does not go together, each with its setting, reason and remedy."""
    if staying := [layer for layer in take_down if reaches(top, layer)]:
        yield (
            f"takeDown: {', '.join(staying)} would stay, as deployUpTo is {top}: a word that is left here "
            "lets a later change take it away unasked. Remedy: remove it"
        )
    if keep_data:
        return
    if reaches(top, "data"):
        yield (
            f"keepData: the data is in use, as deployUpTo is {top}; false counts when the layer data is "
            "taken down. Remedy: remove it"
        )
    elif "data" not in take_down:
        yield (
            "keepData: false removes the rows of every node for good, and takeDown does not name data. "
            "Remedy: if that is meant, add data to takeDown; else remove keepData"
        )
