"""Ways to a database that are measured against one another: rounds, ratios, goals.

Owns: which loads with how many clients, the turns in which the ways are taken, what a round says, the options
of the command line. One turn of all ways is a round, each begins with another way, and a ratio is of one
round: so what changes on the machine meanwhile favours none. Leaves to others: what the ways are, and how one
of them is measured.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from bench.own_lab import console
from bench.sysbench import Throughput

LOADS = ("oltp_read_write", "oltp_write_only")
CLIENTS = (1, 8, 32)
DIRECT, WRITER, READER, VIP, TLS = "direct", "writer port", "reader port", "virtual IP", "TLS"
GOALS = {WRITER: 0.9, READER: 0.9, VIP: 0.95, TLS: 0.9}
"""Of the throughput of a direct connection, at least; by the way."""
WARM = 5  # seconds before the first round of a load, which do not count


@dataclass(frozen=True)
class Round:
    """One turn of all ways."""

    through: Mapping[str, Throughput]

    def ratio(self, way: str, of: str = DIRECT) -> float:
        """A way's throughput by another one's."""
        return self.through[way].committed / self.through[of].committed


Measured = Mapping[tuple[str, int], Sequence[Round]]
"""By load and number of clients."""


def turned(ways: Sequence[str], number: int) -> list[str]:
    """All of them in their order, from another one on each time."""
    first = number % len(ways)
    return [*ways[first:], *ways[:first]]


def measured(
    ways: Sequence[str], runs: int, seconds: int, measure: Callable[[str, str, int, int], Throughput]
) -> Measured:
    """So many rounds of each load and number of clients. Raises BenchFailed.

    Args:
        measure: a way, with a load, so many clients, for so many seconds.
    """
    return {
        (load, clients): _rounds(ways, runs, seconds, measure, load, clients)
        for load in LOADS
        for clients in CLIENTS
    }


def _rounds(
    ways: Sequence[str],
    runs: int,
    seconds: int,
    measure: Callable[[str, str, int, int], Throughput],
    load: str,
    clients: int,
) -> list[Round]:
    for way in ways:
        measure(way, load, clients, WARM)
    found: list[Round] = []
    for number in range(runs):
        through = {way: measure(way, load, clients, seconds) for way in turned(ways, number)}
        found.append(Round({way: through[way] for way in ways}))
        tell(f"{load}, {clients} clients, {number + 1} of {runs}", found[-1])
    return found


def tell(what: str, found: Round) -> None:
    """One line of a round for people."""
    told = ", ".join(f"{way} {each.committed:.0f}/s" for way, each in found.through.items())
    console.print(f"{what}: {told}")


def ratio(rounds: Sequence[Round], way: str, of: str = DIRECT) -> float:
    """The median of all rounds."""
    return median(each.ratio(way, of) for each in rounds)


def speed(rounds: Sequence[Round], way: str = DIRECT) -> str:
    """Transactions a second, the median of all rounds, for a table."""
    return f"{median(each.through[way].committed for each in rounds):.0f}"


def repeated(rounds: Sequence[Round], way: str) -> str:
    """Transactions a second that were tried again, the median of all rounds, for a table."""
    return f"{median(each.through[way].repeated for each in rounds):.1f}"


def judged(measured: Measured, way: str, goal: float, of: str = DIRECT) -> str:
    """`met`, or the worst that was measured."""
    worst, where = min((ratio(rounds, way, of), where) for where, rounds in measured.items())
    return "met" if worst >= goal else f"missed: {worst:.2f} with {where[0]}, {where[1]} clients"


def verdict(measured: Measured, ways: Sequence[str]) -> str:
    """The goal of each of these ways, and the worst that was measured."""
    words = [
        f"{way}: at least {GOALS[way]} of a direct connection, {judged(measured, way, GOALS[way])}"
        for way in ways
    ]
    return f"Goals: {'; '.join(words)}."


def parser(bench: str, about: str | None) -> argparse.ArgumentParser:
    """The options that all of these benches have."""
    made = argparse.ArgumentParser(prog=f"python -m bench.{bench}", description=about)
    made.add_argument("--runs", type=_positive, default=3, help="rounds of each load and number of clients")
    made.add_argument("--seconds", type=_positive, default=20, help="that a way is loaded in each round")
    made.add_argument("--no-document", action="store_true", help="leave docs/reference/benchmarks.md alone")
    return made


def _positive(text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError("must be a whole number >= 1")
    return int(text)
