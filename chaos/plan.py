"""Which faults are run, alone and in pairs, and in which order: pure functions of a seed.

Owns: the draw. Leaves to others: the faults (`faults/`), whom they strike (`fault.py`).
"""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from chaos.fault import Fault

ALWAYS = (
    ("network flapping", "mariadbd killed in succession"),
    ("network cut between two", "mariadbd killed again and again"),
    ("network cut", "mariadbd killed everywhere"),
    ("network loses 5 %", "mariadbd killed in succession"),
)
"""Pairs that are run whatever is drawn: crashes together with partitions, by which others have seen Galera
lose acknowledged writes (jepsen.io, 2026-03)."""


@dataclass(frozen=True)
class Run:
    """One: a fault, or two in the order in which they begin. number: 1 for the first of its kind."""

    faults: tuple[str, ...]
    number: int

    @property
    def id(self) -> str:
        """Its name in the results."""
        return f"{' + '.join(self.faults)} #{self.number}"

    def draw(self, seed: int) -> random.Random:
        """Everything random in it is drawn from this."""
        return random.Random(f"{seed}/{self.id}")


def singles(faults: Sequence[Fault], runs: int, seed: int) -> list[Run]:
    """Each fault so many times: all of them once, in a drawn order, before any a second time."""
    found = []
    for number in range(1, runs + 1):
        turn = [fault.name for fault in faults]
        random.Random(f"{seed}/turn {number}").shuffle(turn)
        found += [Run((name,), number) for name in turn]
    return found


def pairs(faults: Sequence[Fault], wanted: int, seed: int) -> list[Run]:
    """So many different pairs; the first of two names begins. Those of `ALWAYS` are the first of them."""
    every = [*itertools.permutations([fault.name for fault in faults], 2)]
    draw, found = random.Random(f"{seed}/pairs"), list[Run]()
    drawn: set[frozenset[str]] = set()
    draw.shuffle(every)
    every = [*(pair for pair in ALWAYS if {*pair} <= {fault.name for fault in faults}), *every]
    for pair in every:
        if len(found) == wanted:
            break
        if frozenset(pair) not in drawn:
            drawn.add(frozenset(pair))
            found.append(Run(pair, 1))
    return found


def in_the_middle(faults: Sequence[Fault], second: str) -> list[Run]:
    """Each other fault with one and the same second one, once."""
    return [Run((fault.name, second), 1) for fault in faults if fault.name != second]


def share(faults: Sequence[Fault], of: int, seed: int) -> list[Run]:
    """One of so many faults, of those that are brief, each once."""
    brief = [fault.name for fault in faults if fault.brief]
    wanted = min(math.ceil(len(faults) / of), len(brief))
    return [Run((name,), 1) for name in random.Random(f"{seed}/share").sample(brief, wanted)]


def remaining(runs: Sequence[Run], done: Collection[str]) -> list[Run]:
    """Without those that have a result."""
    return [run for run in runs if run.id not in done]
