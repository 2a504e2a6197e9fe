"""The longest chain of steps that wait for one another: what a job cannot be faster than.

Pure: durations and dependencies in, chain out. Owns nothing of what the steps are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter


@dataclass(frozen=True)
class Chain:
    """Steps in order, each of which waits for the one before, and the seconds they take in all."""

    seconds: float
    steps: tuple[str, ...]


def longest(durations: Mapping[str, float], after: Mapping[str, Iterable[str]]) -> Chain:
    """The chain that takes longest.

    Args:
        durations: seconds by step.
        after: by step, the steps it waits for. Those without a duration take no time, but what they wait for
            counts. A step that is not named here waits for nothing.

    Raises:
        ValueError: steps wait for one another in a circle; names them.
    """
    waits = {step: set(after.get(step, ())) for step in (*durations, *after)}
    try:
        order = list(TopologicalSorter(waits).static_order())
    except CycleError as error:
        raise ValueError(f"steps wait for one another in a circle: {' → '.join(error.args[1])}") from None
    best: dict[str, Chain] = {}
    for step in order:
        before = max((best[other] for other in waits.get(step, ())), key=_seconds, default=Chain(0.0, ()))
        if step in durations:
            best[step] = Chain(before.seconds + durations[step], (*before.steps, step))
        else:
            best[step] = before
    return max(best.values(), key=_seconds, default=Chain(0.0, ()))


def _seconds(chain: Chain) -> float:
    return chain.seconds
