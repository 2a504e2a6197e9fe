"""What the application adds to a stack's coming up, and how long a run takes that changes nothing.

`python -m bench.application`: in a lab of its own a stack with a load balancer comes up from an empty
account, without the application and with it (WordPress, two replicas), in turns, so that what changes on the
machine meanwhile favours neither. After each a further `up`, which must find nothing to do; then it goes.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from bench import report
from bench.own_lab import (
    BALANCER,
    OWN_SETTINGS,
    STACK,
    BenchFailed,
    ended,
    in_lab,
    operations,
    own_lab,
    run,
    tell,
)
from bench.ways import turned
from lab.toolchain import places

GOAL, NO_CHANGE_GOAL = 1.5, 10.0
"""At most so many times the stack without it; at most so many seconds for a run that changes nothing."""
WITHOUT, WITH = "without application", "with application"
HEADINGS = ("stack", "up (s)", "to the stack without it", "a further up (s)", "runs")
_TAG = (places.CHECKOUT / "images/wordpress/TAG").read_text(encoding="utf-8").strip()
APPLICATION = f"""  swarm-galera:application:
    image: registry.lab:5000/swarm-galera/wordpress:{_TAG}
    health: [wordpress-node, health]
    database: {{name: wordpress}}
"""
UNPROTECTED = "    protect: false\n"
PUBLISHED = "    publishedPorts: [80]\n"
"""Of the hosts, which stands behind `UNPROTECTED` in the settings."""


@dataclass(frozen=True)
class Came:
    """Seconds. up: from an empty account to a stack that holds. again: the next, which changes nothing."""

    up: float
    again: float


def stacks(settings: str) -> dict[str, str]:
    """Both, of the settings that have `APPLICATION` but do not let its port in yet. Raises BenchFailed."""
    if UNPROTECTED not in settings or APPLICATION not in settings:
        raise BenchFailed("Pulumi.dev.yaml has changed: see bench/application.py")
    return {
        WITHOUT: settings.replace(APPLICATION, ""),
        WITH: settings.replace(UNPROTECTED, UNPROTECTED + PUBLISHED, 1),
    }


def came(settings: str) -> Came:
    """Brings a stack up twice and destroys it. Raises BenchFailed."""
    OWN_SETTINGS.write_text(settings, encoding="utf-8")
    up = run("pulumi up", operations("up", "--yes"))
    again = run("a further up", operations("up", "--yes"))
    run("nothing changes", in_lab("pulumi", "preview", "--expect-no-changes", "--stack", STACK))
    run("destroy", operations("destroy", "--yes"))
    return Came(up, again)


def turns(runs: int) -> list[str]:
    """Which stack comes up when: each round begins with the other one."""
    return [name for number in range(runs) for name in turned((WITHOUT, WITH), number)]


def table(measured: Mapping[str, Sequence[Came]]) -> list[list[str]]:
    """Rows for people: medians."""
    ups = {name: median(each.up for each in found) for name, found in measured.items()}
    return [
        [
            *(name, f"{ups[name]:.0f}", f"{ups[name] / ups[WITHOUT]:.2f}"),
            *(f"{median(each.again for each in found):.1f}", f"{len(found)}"),
        ]
        for name, found in measured.items()
    ]


def verdict(measured: Mapping[str, Sequence[Came]]) -> str:
    """The goals, and whether they are met."""
    ratio = median(each.up for each in measured[WITH]) / median(each.up for each in measured[WITHOUT])
    again = max(each.again for each in measured[WITH])
    fast, idle = ("met" if met else "missed" for met in (ratio <= GOAL, again <= NO_CHANGE_GOAL))
    return (
        f"Goals: at most {GOAL} times the stack without it, {fast}; "
        f"at most {NO_CHANGE_GOAL:.0f} s for each further run, {idle}."
    )


def measured(runs: int) -> dict[str, list[Came]]:
    """Both stacks, so many times each. Raises BenchFailed."""
    found: dict[str, list[Came]] = {WITHOUT: [], WITH: []}
    with own_lab(sections=BALANCER + APPLICATION):  # whose images the lab then has
        texts = stacks(OWN_SETTINGS.read_text(encoding="utf-8"))
        for name in turns(runs):
            found[name].append(came(texts[name]))
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures, prints, writes the document; the exit code is 0 unless something failed."""
    parser = argparse.ArgumentParser(prog="python -m bench.application", description=__doc__)
    parser.add_argument("--runs", type=int, default=2, help="of each stack")
    parser.add_argument("--no-document", action="store_true", help="leave docs/reference/benchmarks.md alone")
    options = parser.parse_args(arguments)
    facts = report.machine()

    def work() -> None:
        found = measured(options.runs)
        rows, goals = table(found), verdict(found)
        tell("application", (HEADINGS, rows), facts, goals, document=not options.no_document)

    return ended("bench.application", work)


if __name__ == "__main__":
    sys.exit(main())
