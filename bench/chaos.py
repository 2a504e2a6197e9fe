"""Runs of Pulumi killed at random moments, again and again: `python -m bench.chaos --runs 20 --seed N`.

Owns: the moments, the runs, the verdict. Leaves to others: the stack and the account (harness).

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
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from bench import report
from components.softlayer import journal, orders
from components.softlayer.client import Api, Credentials
from harness import namespaces
from harness.account import Account
from harness.servers import STACK, Servers, ServersFailed
from lab.api.records import Order
from operations import strays
from operations.audit import Account as StackAccount
from operations.comparison import known
from settings.errors import UserError

SERVERS = 3
LATER = 0.05
"""Seconds that pass, on average, between the call that was drawn and the kill."""
TAKES = 0.5
"""Seconds that a call which orders or cancels takes at least: many kills fall into one, it is carried out."""
AROUND_ORDERS = 0.75
"""Share of kills that fall between the first and the last call that orders or cancels."""
ALL_OF_IT = 0.75
"""Share of kills that take every process of the run; the others only the engine."""
UP = ("up", "--yes", "--skip-preview", "--parallel", "64")
DESTROY = ("destroy", "--yes", "--skip-preview", "--parallel", "64")
_MANY = 1000
console = Console(width=130)


@dataclass(frozen=True)
class Job:
    """What is killed, and what must be true when the same was done to its end.

    Attributes:
        name: in the table.
        words: of pulumi.
        costly: the call that orders or cancels: service and method.
        settings: what changes before the job; None for a job that starts from nothing.
        ordered: servers ever ordered, and upgrades ordered; at most, where the killed run is not repeated.
        existing: servers in the end.
        leaves: SSH keys and security groups in the end.
    """

    name: str
    words: tuple[str, ...]
    costly: tuple[str, str]
    settings: Mapping[str, Any] | None
    ordered: tuple[int, int]
    existing: int
    leaves: tuple[int, int] = (1, 2)


_ORDER, _CANCEL = ("Virtual_Guest", "createObject"), ("Virtual_Guest", "deleteObject")
_UPGRADE = ("Product_Order", "placeOrder")
JOBS = {
    job.name: job
    for job in (
        Job("up", UP, _ORDER, None, (SERVERS, 0), SERVERS),
        Job("more memory", UP, _UPGRADE, {"memory": 4096}, (SERVERS, SERVERS), SERVERS),
        Job("replacement", UP, _ORDER, {"datacenter": "dal13"}, (2 * SERVERS, 0), SERVERS),
        Job("destroy", DESTROY, _CANCEL, {}, (SERVERS, 0), 0, leaves=(0, 0)),
        Job("up, then destroy", UP, _ORDER, None, (SERVERS, 0), 0, leaves=(0, 0)),
    )
}
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


@dataclass(frozen=True)
class Course:
    """The calls of an undisturbed job: how many, and the first and the last of the costly ones."""

    calls: int
    first: int
    last: int

    def moment(self, draw: random.Random) -> int:
        """A number of calls to kill after."""
        if draw.random() < AROUND_ORDERS:
            # From when the first one may be under way to when the last one still is.
            return draw.randint(max(self.first - 3, 1), max(self.last - 1, 1))
        return draw.randint(1, self.calls)


class Stage:
    """An account and a stack that are ready for a job."""

    def __init__(self, root: Path, account: Account, job: Job) -> None:
        self.lab, self.job = account.lab, job
        self.stack = Servers(root / "pulumi", account.endpoint, account.environment, SERVERS)
        if job.settings is not None:
            self.stack.up()
            self.stack.settings(dict(job.settings))
            self.lab.server.forget_calls()
        service, method = job.costly
        self._delay = self.lab.fault("delay", service=service, method=method, seconds=TAKES, count=_MANY)

    def begun(self) -> int:
        """Costly calls that have reached the API."""
        (left,) = (rule.remaining for rule in self.lab.server.faults.rules() if rule.id == self._delay)
        return _MANY - int(left or 0)

    def done(self) -> int:
        """Servers ordered, upgraded or cancelled by the job so far."""
        lab, before = self.lab, 0 if self.job.settings is None else SERVERS
        if self.job.costly == _UPGRADE:
            return sum(order.kind == "upgrade" for order in lab.server.store.all(Order))
        if self.job.costly == _ORDER:
            return lab.ordered - before
        steps = [lab.step(guest.id) or "" for guest in lab.guests()]
        return SERVERS - sum("RECLAIM" not in step for step in steps)

    def again(self) -> None:
        """The job to its end, after the kill. Raises ServersFailed."""
        self.stack.unlock()
        if self.job.name == "up, then destroy":
            self._without_strays()
            self.stack.must(*DESTROY)
        else:
            self.stack.must(*self.job.words)

    def _without_strays(self) -> None:
        """As `python -m operations destroy` does: what the killed run ordered goes, too."""
        state = known(self.stack.exported())
        if not state.owner:
            return
        api = Api(Credentials(self.lab.username, self.lab.api_key, self.lab.endpoint))
        account = StackAccount(api, state, "swarm-galera", STACK)
        notes = journal.folder(Path(self.stack.environment["XDG_STATE_HOME"]) / "swarm-galera")
        try:
            orders.await_unsettled(api, state.owner, notes)
            found = strays.strays_of(account)
            strays.cancel(account, found)
            strays.wait_gone(account, found)
        except UserError as error:
            raise ServersFailed(str(error)) from None

    def course(self) -> Course:
        """Do the job undisturbed."""
        self.stack.must(*self.job.words)
        calls = [(call["service"], call["method"]) for call in self.lab.calls()]
        costly = [number for number, call in enumerate(calls, 1) if call == self.job.costly]
        return Course(len(calls), costly[0], costly[-1])

    def wrong(self, in_state: list[int]) -> str:
        """What is not as the job wants it; empty when all is."""
        lab, job = self.lab, self.job
        guests = sorted(guest.id for guest in lab.guests())
        upgrades = sum(order.kind == "upgrade" for order in lab.server.store.all(Order))
        left = tuple(len(lab.client().call("Account", m)) for m in ("getSshKeys", "getSecurityGroups"))
        ordered = (lab.ordered, upgrades)
        if job.name == "up, then destroy":
            ordered = (max(lab.ordered, SERVERS), upgrades)
        checks: dict[str, tuple[Any, Any]] = {
            "servers and upgrades ordered": (ordered, job.ordered),
            "servers": (len(guests), job.existing),
            "servers in the state": (in_state, guests),
            "keys and groups": (left, job.leaves),
            "memory": ({guest.memory for guest in lab.guests()}, _each(job, "memory", 2048)),
            "datacenters": ({guest.datacenter for guest in lab.guests()}, _each(job, "datacenter", "tor01")),
        }
        return "; ".join(f"{what}: {is_}, not {be}" for what, (is_, be) in checks.items() if is_ != be)


def _each(job: Job, key: str, default: Any) -> set[Any]:
    return {(job.settings or {}).get(key, default)} if job.existing else set()


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
    draw, done = random.Random(seed), []
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
    table = Table(*HEADINGS)
    for row in rows(done):
        table.add_row(*row)
    console.print(table)
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
