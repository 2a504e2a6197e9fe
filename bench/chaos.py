"""Runs of Pulumi killed at random moments, again and again: `python -m bench.chaos --runs 20 --seed N`.

Owns: the faults, the rounds, the verdict. Leaves to others: what is killed, and what must be true in the end
(chaos_jobs.py), the stack and the account (harness).

Each round starts from an account of its own. A run of Pulumi gets SIGKILL at a random moment, with all
processes it started or alone: a little after a call of the API that was drawn, mostly one of those around
orders and cancellations, because nothing else costs money. Then the same job runs to its end. It must
succeed, and then the guests in the account, the guests ever ordered and the guests in the state are as the
job wants them, and the same. Faults of the API come on top: lost answers, HTTP errors. Everything random is
drawn from the seed, so a round can be repeated (as far as two runs of Pulumi are alike).
"""

from __future__ import annotations

import argparse
import itertools
import random
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from bench import report
from bench.chaos_jobs import JOBS, Course, Job, Stage
from harness import namespaces
from harness.account import Account
from harness.servers import ServersFailed

LATER = 0.05
"""Seconds that pass, on average, between the call that was drawn and the kill."""
ALL_OF_IT = 0.75
"""Share of kills that take every process of the run; the others only the engine."""
console = Console(width=130)


TURNS = ("up", "up", "up", "more memory", "replacement", "destroy", "up, then destroy")
"""Jobs in their proportions."""
FAULTS: dict[str, dict[str, Any]] = {
    "none": {},
    "slow": {"kind": "delay", "seconds": 2.0},
    "an answer lost": {"kind": "lost-response", "count": 1},
    "HTTP 500 afterwards": {"kind": "http-500", "count": 1, "after": True},
    "internal error afterwards": {"kind": "fault", "message": "Internal Error", "count": 1, "after": True},
    "refused for a while": {"kind": "rate-limit", "count": 3},
}
"""Of the costly calls."""


@dataclass(frozen=True)
class Round:
    """What one round came to.

    Attributes:
        number, job, fault: which one, and what the API did on top.
        killed: `all` or `engine`.
        after: the number of calls that the API had answered.
        begun, done: costly calls that had reached the API by then, and what of that had been carried out.
        ordered, existing, in_state: guests ever ordered, in the account, in the state, in the end.
        said: what is wrong; empty when nothing is.
    """

    number: int
    job: str
    fault: str
    killed: str
    after: int
    begun: int
    done: int
    ordered: int
    existing: int
    in_state: int
    said: str = ""


def courses(root: Path) -> dict[str, Course]:
    """Every job undisturbed: kills are spread over its calls."""
    found = {}
    for number, job in enumerate(JOBS.values()):
        with Account(root / f"{number}" / "api") as account:
            found[job.name] = Stage(root / f"{number}", account, job).course()
    return found


def one_round(root: Path, number: int, job: Job, course: Course, draw: random.Random) -> Round:
    """Kill one run, do the job to its end, and count."""
    fault, after = draw.choice(list(FAULTS)), course.moment(draw)
    later, all_of_it = draw.expovariate(1 / LATER), draw.random() < ALL_OF_IT
    with Account(root / "api") as account:
        stage = Stage(root, account, job)
        lab, service, method = stage.lab, *job.costly
        if FAULTS[fault]:
            lab.fault(**{**FAULTS[fault], "service": service, "method": method})
        process = stage.stack.start(*job.words)
        while len(lab.calls()) < after and process.poll() is None:
            time.sleep(0.002)
        time.sleep(later)
        stage.stack.kill(process, all_of_it=all_of_it)
        answered, begun, finished = len(lab.calls()), stage.begun(), stage.done()
        said = _quietly(stage.again)
        lab.wait_until(lambda: all(guest.transaction is None for guest in lab.guests()), "transactions", 60)
        in_state = stage.stack.guests()
        said = said or stage.wrong(in_state)
        killed = "all" if all_of_it else "engine"
        return Round(
            *(number, job.name, fault, killed, answered, begun, finished),
            *(lab.ordered, len(lab.guests()), len(in_state), said),
        )


def _quietly(action: Callable[[], None]) -> str:
    try:
        action()
    except ServersFailed as error:
        return str(error)[-1500:]
    return ""


HEADINGS = (
    *(
        "round",
        "job",
        "fault besides",
        "killed",
        "after (calls)",
        "begun",
        "done",
        "ordered",
        "in the account",
    ),
    *("in the state", "result"),
)


def rows(rounds: list[Round]) -> list[list[str]]:
    """For a table."""
    return [
        [
            *map(str, (one.number, one.job, one.fault, one.killed, one.after, one.begun, one.done)),
            *map(str, (one.ordered, one.existing, one.in_state)),
            "FAILED" if one.said else "converged",
        ]
        for one in rounds
    ]


def main(arguments: list[str]) -> int:
    """Run all rounds, print them, write the document; 0 only if every round converged."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.chaos", description="Runs of Pulumi that are killed."
    )
    parser.add_argument("--runs", type=int, default=20, help="rounds")
    parser.add_argument("--seed", type=int, default=None, help="repeat the moments of an earlier run")
    parser.add_argument("--job", choices=list(JOBS), default=None, help="only this one")
    parser.add_argument("--no-document", action="store_true", help="leave docs/reference/benchmarks.md alone")
    options = parser.parse_args(arguments)
    seed = random.SystemRandom().randrange(10**6) if options.seed is None else options.seed
    namespaces.enter(
        "bench.chaos", [*arguments, *(() if options.seed is not None else ("--seed", str(seed)))]
    )
    draw, done = random.Random(seed), []  # noqa: S311 - nothing to guess: the report names the seed
    jobs = list(itertools.islice(itertools.cycle([options.job] if options.job else TURNS), options.runs))
    draw.shuffle(jobs)
    with tempfile.TemporaryDirectory(prefix="swarm-galera-chaos-") as temporary:
        root = Path(temporary)
        course = courses(root / "undisturbed")
        console.print(f"Seed {seed}. Undisturbed jobs make so many calls of the API: ", end="")
        console.print(
            ", ".join(f"{name} {one.calls} ({one.first} to {one.last})" for name, one in course.items())
        )
        for number, name in enumerate(jobs, 1):
            one = one_round(root / f"round-{number}", number, JOBS[name], course[name], draw)
            done.append(one)
            console.print(
                f"{number} of {options.runs}: {one.job}, {one.fault}, {one.killed} killed after {one.after} "
                f"calls, {one.begun} begun, {one.done} done: {'FAILED' if one.said else 'converged'}"
            )
            if one.said:
                console.print(one.said, markup=False)
    console.print(report.shown(HEADINGS, rows(done)))
    good = sum(not one.said for one in done)
    verdict = f"{good} of {len(done)} runs converged: what was ordered, what is there and the state agree."
    console.print(verdict)
    if not options.no_document:
        text = f"{report.machine()}; seed {seed}.\n\n{report.markdown(HEADINGS, rows(done))}\n\n{verdict}"
        try:
            report.write("chaos", text)
        except (OSError, report.ReportError) as error:
            console.print(f"Not written into the document: {error}\n{text}", markup=False)
            return 1
    return 0 if good == len(done) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
