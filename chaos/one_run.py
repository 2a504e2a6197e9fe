"""One run: clients write, faults happen and are undone, and what is there is judged.

Owns: the order of it all, and what makes a run green, red or void. Leaves to others: each step.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench import report
from chaos import breaks, clients, copies, judge
from chaos.clients import Clients
from chaos.fault import TOLD, Facts, Fault, Struck, Writes, strike
from chaos.faults import FAULTS
from chaos.journal import Journal, first_after, without_writes
from chaos.judge import Finding, Kind
from chaos.plan import Run
from chaos.results import Result, Verdict
from chaos.site import Site
from harness.lab_cluster import HOSTS, LabFailed

CALM = 3.0  # seconds of writes before anything happens
APART = 8.0
"""Seconds, at the most, from the beginning of the first fault of a pair to that of the second."""
SETTLED = 5.0  # seconds of writes after all is well again
RESUMED = 120.0
"""Seconds within which clients on all hosts write again, once three nodes are Synced."""
BEFORE = 900.0
"""Seconds in which the run before may still be healing."""
COMPARED = 180.0
"""Seconds within which all checks of `verify --deep` hold: a load balancer may need some to see all nodes.
With nobody writing, rows that differ do not come to be the same meanwhile."""
AGAIN = 10.0  # seconds before the next comparison

Say = Callable[[str], None]


@dataclass
class Course:
    """A run as it goes.

    Attributes:
        struck: each fault with whom it strikes. findings: what is wrong so far. notes: what is worth a line.
        begun: when the first fault began, ended: when taking them back began; None until then. healed:
            seconds to three Synced nodes.
        missed: faults that could not be made to happen.
    """

    struck: list[tuple[Fault, Struck]] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    missed: list[str] = field(default_factory=list)
    begun: float | None = None
    ended: float | None = None
    healed: float | None = None

    def spared(self) -> list[str]:
        """Hosts on which clients have nothing against their writing but the cluster."""
        down = {host for fault, struck in self.struck if fault.takes_clients for host in struck.hosts}
        return [host for host in HOSTS if host not in down]


class OneRun:
    """One run on one site. Never raises for what goes wrong with the cluster: that is its result."""

    def __init__(self, site: Site, run: Run, seed: int, folder: Path, say: Say) -> None:
        """`folder`: for its record. `say`: where a line of progress goes."""
        self._site, self._run, self._say = site, run, say
        self._draw, self._folder = run.draw(seed), folder
        self._faults = [FAULTS[name] for name in run.faults]
        self._course = Course()

    def carry_out(self, broken: str | None = None, *, deep: bool = True) -> Result:
        """All of it. Args: broken: one of `breaks.BREAKS`. deep: compare all tables of all nodes, too."""
        begin, began = time.monotonic(), dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
        course = self._course
        with Journal(self._folder / "journal.jsonl") as journal:
            found: dict[str, judge.Copy] = {}
            pauses: dict[str, float] = {}
            try:
                uuid = self._prepare()
                self._with_clients(journal, pauses)
                if broken is not None:
                    breaks.BREAKS[broken](self._site, journal.said)
                found = copies.read(self._site)
                course.findings += judge.judge(journal.said, found, HOSTS, uuid)
                if deep:
                    self._compare_all()
            except Exception as error:  # whatever it was: this run shows nothing, and the next one is begun
                course.findings.append(Finding(Kind.UNJUDGED, f"{type(error).__name__}: {error}"))
            self._afterwards()
            said = journal.said
            self._site.note(f"said that is no line: {journal.odd[-20:]}")
        if course.missed and len(self._faults) == 1:
            course.findings.append(Finding(Kind.UNJUDGED, course.notes[-1]))
        course.findings += self._too_long(pauses)
        return Result(
            id=self._run.id,
            faults=self._run.faults,
            lab=self._site.cluster.lab,
            commit=report.commit(),
            began=began,
            verdict=self._verdict(),
            struck={fault.name: struck.hosts for fault, struck in course.struck},
            findings=[f"{each.kind.value}: {each.text}" for each in course.findings],
            notes=course.notes,
            tried=len(said.tried),
            acked=len(said.acked),
            lost=judge.lost(said, found),
            pauses={name: round(seconds, 2) for name, seconds in pauses.items()},
            resumed=_rounded(
                None if course.ended is None else first_after(said, clients.WRITER, HOSTS, course.ended)
            ),
            whole=_rounded(course.healed),
            seconds=round(time.monotonic() - begin, 1),
        )

    def _prepare(self) -> str:
        """Three Synced nodes with empty tables; who is struck. The cluster's UUID. Raises LabFailed."""
        site = self._site
        self._say("waits for three Synced nodes")
        writer = site.cluster.wait_whole(BEFORE, site.goes_on)
        facts = Facts(writer, site.leader())
        for fault in self._faults:
            # A draw of its own for each: two of a pair draw at the same time.
            own = random.Random(self._draw.random())
            self._course.struck.append((fault, strike(fault, facts, own)))
        site.note(f"writer {facts.writer}, leader {facts.leader}")
        site.sql(writer, copies.TABLES)
        return str(site.cluster.status(writer)["self"]["uuid"])

    def _with_clients(self, journal: Journal, pauses: dict[str, float]) -> None:
        """The part in which clients write. Raises LabFailed if they never did."""
        course = self._course
        site_clients = Clients(self._site, journal, clients.Stack.of(self._site))
        try:
            self._say("starts the clients")
            site_clients.start()
            time.sleep(CALM)
            course.begun = time.monotonic()
            try:
                self._strike()
            finally:
                self._heal()
            self._writes_again(site_clients)
            time.sleep(SETTLED)
        finally:
            until = time.monotonic()
            self._say("ends the clients")
            with self._site.healing():
                self._must(site_clients.stop, "the clients' end", Kind.UNJUDGED)
            if course.begun is not None:
                for name in clients.WAYS:
                    pauses[name] = without_writes(
                        journal.said, name, HOSTS, course.spared(), course.begun, until
                    )

    def _strike(self) -> None:
        """All faults, the second of a pair a little after the first, and the time for which they hold."""
        acts = []
        for number, (fault, struck) in enumerate(self._course.struck):
            later = self._draw.uniform(0, APART) if number else 0.0
            acts.append(lambda f=fault, s=struck, t=later: self._happens(f, s, t))
        self._site.at_once(acts)
        holds = max(fault.holds for fault in self._faults)
        self._say(f"all faults have happened; they hold for {holds:.0f} s")
        time.sleep(holds)

    def _happens(self, fault: Fault, struck: Struck, later: float) -> None:
        time.sleep(later)
        self._say(f"{fault.name}: {', '.join(struck.hosts) or struck.facts.writer}")
        try:
            fault.does(self._site, struck)
        except LabFailed as error:
            self._course.missed.append(fault.name)
            self._course.notes.append(f"{fault.name} did not happen: {error}")
            return
        if TOLD in struck.notes:
            self._course.notes.append(f"{fault.name}: {struck.notes[TOLD]}")

    def _heal(self) -> None:
        """Everything is undone, hosts first, and the cluster is whole again."""
        course = self._course
        begin = course.ended = time.monotonic()
        self._say("takes the faults back")
        left = sorted(course.struck, key=lambda each: not each[0].first)
        # What another one keeps from being undone may be undone once all others are.
        for last in (False, True):
            with self._site.healing():
                left = [each for each in left if not self._undone(*each, last=last)]
        self._site.goes_on()
        if any(fault.mended_by_up for fault in self._faults):
            self._say("up")
            self._must(self._site.up, "`up` at the end")
        limit = max(fault.heals for fault in self._faults)
        self._say("waits for three Synced nodes")
        if self._must(lambda: self._site.cluster.wait_whole(limit, self._site.goes_on), "the cluster"):
            course.healed = time.monotonic() - begin

    def _undone(self, fault: Fault, struck: Struck, *, last: bool) -> bool:
        try:
            fault.undone(self._site, struck)
        except Exception as error:  # whatever it was: the others are undone all the same
            self._site.note(f"{fault.name} could not be undone: {type(error).__name__}: {error}")
            if last:
                text = f"{fault.name} could not be undone: {error}"
                self._course.findings.append(Finding(Kind.BROKEN, text))
            return False
        return True

    def _writes_again(self, site_clients: Clients) -> None:
        """Clients on every host, those that were hit, too, write on every way."""
        since = time.monotonic()
        self._say("waits for writes on all ways")
        for name, words in clients.WAYS.items():
            if not site_clients.wait_for(name, since, RESUMED):
                text = f"not every host's client writes through the {words} again within {RESUMED:.0f} s"
                self._course.findings.append(Finding(Kind.PAUSED, text))

    def _compare_all(self) -> None:
        self._say("compares all tables")
        verify = self._site.cluster.operations("verify", "--deep")
        end = time.monotonic() + COMPARED
        while time.monotonic() < end:
            with contextlib.suppress(LabFailed):
                self._site.run(verify, 600)
                return
            time.sleep(AGAIN)
        self._must(lambda: self._site.run(verify, 600), "`verify --deep`")

    def _afterwards(self) -> None:
        """The site is as it was; what is wrong with its rows stays to be looked at."""
        with self._site.healing():
            for fault, struck in self._course.struck:
                self._must(lambda f=fault, s=struck: f.afterwards(self._site, s), f"after {fault.name}")  # type: ignore[misc]
        if not self._course.findings:
            self._must(lambda: self._site.sql(HOSTS[0], copies.NO_TABLES), "the tables' end")

    def _must(self, act: Callable[[], object], what: str, kind: Kind = Kind.BROKEN) -> bool:
        """Whether it went well; a finding if not."""
        try:
            act()
        except LabFailed as error:
            self._course.findings.append(Finding(kind, f"{what}: {error}"))
            return False
        return True

    def _too_long(self, pauses: dict[str, float]) -> Sequence[Finding]:
        """Writes through the writer endpoint that stopped for longer than the one fault allows.

        Two faults at once may stop them: together they may take the majority.
        """
        fault, *others = self._faults
        seconds = pauses.get("writer", 0.0)
        if others or fault.writes is Writes.MAY_STOP or seconds <= fault.limit:
            return []
        text = f"{seconds:.1f} s without a write through the writer endpoint; {fault.limit:.0f} s are allowed"
        return [Finding(Kind.PAUSED, text)]

    def _verdict(self) -> Verdict:
        """A pair of which one has kept the other from happening shows nothing."""
        if self._course.findings:
            return "red"
        return "void" if self._course.missed else "green"


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 1)
