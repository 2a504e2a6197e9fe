"""`pulumi up` killed at random moments, again and again: `python bench/chaos.py --runs 20 --seed N`.

Owns: the moments, the runs, the verdict. Leaves to others: the stack (servers.py), the account (account.py).

Each round starts from an empty account. `pulumi up` and all processes it started get SIGKILL at a random
moment: a little after a call of the API that was drawn, because before the first of them nothing can be lost.
Then `pulumi up` runs to its end. It must succeed, and then the guests in the account, the guests ever ordered
and the guests in the state are the same. Faults of the API come on top: lost answers, HTTP errors.
Everything random is drawn from the seed, so a round can be repeated (as far as two runs of Pulumi are alike).
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from rich.console import Console
from rich.table import Table

from bench import report
from bench.account import Account
from bench.servers import Servers, ServersFailed, kill, namespaces
from lab.api.testing import LabApi

SERVERS = 3
LATER = 0.1
"""Seconds that pass, on average, between the call that was drawn and the kill."""
console = Console(width=110)
FAULTS: dict[str, dict[str, object]] = {
    "none": {},
    "slow order": {"kind": "delay", "service": "Virtual_Guest", "method": "createObject", "seconds": 1.0},
    "answer to an order lost": {
        "kind": "lost-response",
        "service": "Virtual_Guest",
        "method": "createObject",
        "count": 1,
    },
    "HTTP 500 after an order": {
        "kind": "http-500",
        "service": "Virtual_Guest",
        "method": "createObject",
        "count": 1,
        "after": True,
    },
    "orders refused for a while": {
        "kind": "rate-limit",
        "service": "Virtual_Guest",
        "method": "createObject",
        "count": 3,
    },
    "tags refused for a while": {"kind": "set-tags", "count": 3},
}


@dataclass(frozen=True)
class Round:
    """What one round came to.

    Attributes:
        number, fault: which one, and what the API did on top.
        killed_after: the number of calls that the API had answered.
        ordered_then: guests ordered when the run was killed.
        ordered, existing, in_state: guests ever ordered, in the account, in the state, after the second run.
        keys: SSH keys in the account, which must be one.
        said: the second run's last words if it failed.
    """

    number: int
    fault: str
    killed_after: int
    ordered_then: int
    ordered: int
    existing: int
    in_state: int
    keys: int
    said: str = ""

    @property
    def converged(self) -> bool:
        """Whether nothing was lost, doubled or orphaned."""
        return not self.said and (self.ordered, self.existing, self.in_state, self.keys) == (
            SERVERS,
            SERVERS,
            SERVERS,
            1,
        )


def calibrate(root: Path) -> int:
    """Calls of the API in an undisturbed `pulumi up`: kills are spread over them."""
    with Account(root / "api") as account:
        stack = Servers(root / "pulumi", account.endpoint, account.environment, SERVERS)
        stack.up()
        return len(account.lab.calls())


def one_round(root: Path, number: int, whole: int, draw: random.Random) -> Round:
    """Kill one run, let the next one finish, and count."""
    fault = draw.choice(list(FAULTS))
    after, later = draw.randint(1, whole), draw.expovariate(1 / LATER)
    with Account(root / "api") as account:
        lab = account.lab
        if FAULTS[fault]:
            lab.fault(**FAULTS[fault])  # type: ignore[arg-type]
        stack = Servers(root / "pulumi", account.endpoint, account.environment, SERVERS)
        process = stack.start("up", "--yes", "--skip-preview", "--parallel", "64")
        while len(lab.calls()) < after and process.poll() is None:
            time.sleep(0.002)
        time.sleep(later)
        kill(process)
        ordered_then, answered = lab.ordered, len(lab.calls())
        stack.unlock()
        said = ""
        try:
            stack.up()
        except ServersFailed as error:
            said = str(error)[-1500:]
        return counted(lab, stack, number, fault, answered, ordered_then, said)


def counted(
    lab: LabApi, stack: Servers, number: int, fault: str, answered: int, ordered_then: int, said: str
) -> Round:
    """The result of a round, once its second run has ended."""
    guests = [guest.id for guest in lab.guests()]
    in_state = stack.guests()
    if not said and sorted(guests) != in_state:
        said = f"guests in the account {sorted(guests)}, in the state {in_state}"
    keys = lab.client().call("Account", "getSshKeys")
    return Round(
        number, fault, answered, ordered_then, lab.ordered, len(guests), len(in_state), len(keys), said
    )


HEADINGS = (
    "round",
    "fault besides",
    "killed after (calls)",
    "ordered by then",
    "ordered",
    "in the state",
    "result",
)


def rows(rounds: list[Round]) -> list[list[str]]:
    """For a table."""
    return [
        [
            str(one.number),
            one.fault,
            str(one.killed_after),
            str(one.ordered_then),
            str(one.ordered),
            str(one.in_state),
            "converged" if one.converged else "FAILED",
        ]
        for one in rounds
    ]


def main(arguments: list[str]) -> int:
    """Run all rounds, print them, write the document; 0 only if every round converged."""
    parser = argparse.ArgumentParser(prog="bench/chaos.py", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=20, help="rounds")
    parser.add_argument("--seed", type=int, default=None, help="repeat the moments of an earlier run")
    parser.add_argument("--no-document", action="store_true", help="leave docs/benchmarks.md alone")
    options = parser.parse_args(arguments)
    seed = random.SystemRandom().randrange(10**6) if options.seed is None else options.seed
    namespaces("bench.chaos", [*arguments, *(() if options.seed is not None else ("--seed", str(seed)))])
    draw, done = random.Random(seed), []
    with tempfile.TemporaryDirectory(prefix="swarm-galera-chaos-") as temporary:
        root = Path(temporary)
        whole = calibrate(root / "calibrate")
        console.print(f"Seed {seed}. An undisturbed run makes {whole} calls of the API.")
        for number in range(1, options.runs + 1):
            one = one_round(root / f"round-{number}", number, whole, draw)
            done.append(one)
            console.print(
                f"{number} of {options.runs}: {one.fault}, killed after {one.killed_after} calls with "
                f"{one.ordered_then} ordered: {'converged' if one.converged else 'FAILED'}"
            )
            if one.said:
                console.print(one.said, markup=False)
    table = Table(*HEADINGS)
    for row in rows(done):
        table.add_row(*row)
    console.print(table)
    good = sum(one.converged for one in done)
    verdict = (
        f"{good} of {len(done)} runs converged: {SERVERS} servers ordered, the same {SERVERS} in the account "
        "and in the state."
    )
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
