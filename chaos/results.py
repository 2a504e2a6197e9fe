"""What the runs came to: kept after each of them, and told as tables.

Owns: the file, the tables, the document's section. Leaves to others: the verdicts (`one_run.py`).
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any, Literal

from bench.report import markdown, replaced
from chaos.fault import Fault, Writes
from chaos.judge import Kind
from lab.toolchain import places

DOCUMENT = places.CHECKOUT / "docs/reference/reliability.md"
SECTIONS = {"etcd": "chaos-data", "consul": "chaos-data-consul"}
"""Of the document, by store."""
SHOWN = 240
"""Characters of a finding in the tables; all of it is in the file of results."""
Verdict = Literal["green", "red", "void"]
"""`void`: of a pair, one fault has kept the other from happening, and nothing is wrong."""


class ResultsError(Exception):
    """The file of results cannot be used; says why and what to do."""


@dataclass(frozen=True)
class Result:
    """One run.

    Attributes:
        id, faults: of the run. struck: the hosts of each fault. lab, commit, began: where, of what, when.
        verdict: see `Verdict`. findings: what is wrong, as `kind: text`. notes: what is worth a line.
        tried, acked, lost: writes begun, acknowledged, and of these not on every node.
        pauses: seconds without writes, by way. resumed: seconds from the faults' end to the first write.
        whole: to three Synced nodes.
        seconds: that the run took.
    """

    id: str
    faults: tuple[str, ...]
    lab: str
    commit: str
    began: str
    verdict: Verdict = "red"
    struck: Mapping[str, Sequence[str]] = field(default_factory=dict)
    findings: Sequence[str] = ()
    notes: Sequence[str] = ()
    tried: int = 0
    acked: int = 0
    lost: int = 0
    pauses: Mapping[str, float] = field(default_factory=dict)
    resumed: float | None = None
    whole: float | None = None
    seconds: float = 0.0


class Results:
    """The results of one seed, in a file that is complete after each run.

    former: those of runs that were repeated because somebody asked for it. A failure is not gone by that.
    """

    def __init__(self, path: Path, seed: int) -> None:
        """Reads what is there. Raises ResultsError for a file of another seed, or one that is none."""
        self.path, self.seed = path, seed
        self.runs: dict[str, Result] = {}
        self.former: list[Result] = []
        if not path.exists():
            return
        try:
            kept = json.loads(path.read_text(encoding="utf-8"))
            other = int(kept["seed"])
            self.runs = {one["id"]: _result(one) for one in kept["runs"]}
            self.former = [_result(one) for one in kept.get("former", ())]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ResultsError(
                f"{path} holds no results ({error}): name another file with --results"
            ) from None
        if other != seed:
            raise ResultsError(
                f"{path} holds the results of seed {other}, not {seed}. Remedy: --seed {other} goes on with "
                "them, --anew begins anew, --results FILE keeps both"
            )

    def add(self, result: Result) -> None:
        """Keep it; one of the same run is replaced."""
        self.runs[result.id] = result
        self._keep()

    def repeat(self, names: Collection[str]) -> None:
        """Runs of these names have no result any more; what they came to stays among the former ones."""
        self.former += [one for one in self.runs.values() if one.id in names]
        self.runs = {name: one for name, one in self.runs.items() if name not in names}
        self._keep()

    def _keep(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        fresh = self.path.with_suffix(".new")
        parts = {"runs": self.runs.values(), "former": self.former}
        kept = {name: [dataclasses.asdict(one) for one in each] for name, each in parts.items()}
        fresh.write_text(json.dumps({"seed": self.seed, **kept}, indent=1) + "\n", encoding="utf-8")
        fresh.replace(self.path)


def _result(fields: dict[str, Any]) -> Result:
    return Result(**{**fields, "faults": tuple(fields["faults"])})


def short(finding: str) -> str:
    """As it stands in a line of a table: what a program said in it may have many lines, and any character."""
    words = " ".join(finding.split()).replace("|", "\\|").replace("<", "&lt;")
    return words if len(words) <= SHOWN else f"{words[:SHOWN]} …"


def unjudged(result: Result) -> bool:
    """Whether something in it could not be judged, so that its number of lost writes says little."""
    return any(text.startswith(Kind.UNJUDGED.value) for text in result.findings)


def lost(runs: Sequence[Result]) -> str:
    """How many writes were lost, and of how many runs nobody knows."""
    count, unknown = sum(one.lost for one in runs), sum(unjudged(one) for one in runs)
    return f"{count} (unknown in {unknown})" if unknown else str(count)


HEADINGS = (
    "fault",
    "what happens",
    "to",
    "writes",
    "runs",
    "acknowledged writes",
    "lost",
    "without writes, median (s)",
    "worst (s)",
    "goal (s)",
    "first write afterwards, worst (s)",
    "whole again, worst (s)",
    "failed",
)
PAIRS = ("pair", "acknowledged writes", "lost", "without writes (s)", "whole again (s)", "result")


def singles_table(faults: Iterable[Fault], runs: Iterable[Result]) -> list[list[str]]:
    """A line for each fault, run or not; pauses are those at the writer endpoint."""
    of: dict[str, list[Result]] = {}
    for one in runs:
        if len(one.faults) == 1:
            of.setdefault(one.faults[0], []).append(one)
    return [_line(fault, of.get(fault.name, [])) for fault in faults]


def _line(fault: Fault, runs: Sequence[Result]) -> list[str]:
    pauses = [one.pauses["writer"] for one in runs if "writer" in one.pauses]
    resumed = [one.resumed for one in runs if one.resumed is not None and fault.writes is Writes.MAY_STOP]
    whole = [one.whole for one in runs if one.whole is not None]
    return [
        fault.name,
        fault.says,
        fault.whom.value,
        fault.writes.value
        if fault.writes is Writes.MAY_STOP
        else f"{fault.writes.value}, ≤ {fault.limit:.0f} s",
        str(len(runs)),
        str(sum(one.acked for one in runs)),
        lost(runs),
        f"{median(pauses):.1f}" if pauses else "",
        f"{max(pauses):.1f}" if pauses else "",
        "" if fault.goal is None else f"{fault.goal:.0f}",
        f"{max(resumed):.0f}" if resumed else "",
        f"{max(whole):.0f}" if whole else "",
        str(sum(one.verdict == "red" for one in runs)),
    ]


def pairs_table(runs: Iterable[Result]) -> list[list[str]]:
    """A line for each pair that was run."""
    return [
        [
            " + ".join(one.faults),
            str(one.acked),
            lost([one]),
            f"{one.pauses['writer']:.1f}" if "writer" in one.pauses else "",
            "" if one.whole is None else f"{one.whole:.0f}",
            one.verdict if one.verdict != "red" else f"red: {short(one.findings[0]) if one.findings else ''}",
        ]
        for one in sorted(runs, key=lambda one: one.faults)
        if len(one.faults) > 1
    ]


def verdict(runs: Sequence[Result], former: Sequence[Result] = ()) -> str:
    """In a sentence or two: what was lost, what else went wrong, also in runs that were repeated since."""
    acked = sum(one.acked for one in runs)
    red = [one for one in runs if one.verdict == "red"]
    void = sum(one.verdict == "void" for one in runs)
    words = (
        f"{len(runs)} runs, {acked} acknowledged writes, {lost(runs)} of them lost; {len(red)} runs failed"
    )
    words += f", {void} pairs in which one fault kept the other from happening." if void else "."
    parts = [words, *_named(red)]
    if failed := [one for one in former if one.verdict == "red"]:
        parts += [f"Before they were repeated, {len(failed)} runs had failed:", *_named(failed)]
    return "\n\n".join(parts)


def _named(runs: Sequence[Result]) -> list[str]:
    return [f"- {one.id} ({one.commit}): {'; '.join(map(short, one.findings))}" for one in runs]


def written(
    document: str,
    faults: Iterable[Fault],
    runs: Sequence[Result],
    how: str,
    store: str = "etcd",
    former: Sequence[Result] = (),
) -> str:
    """The document with the section of that store written anew. Raises ReportError."""
    singles = singles_table(faults, runs)
    parts = [f"{how}.", markdown(HEADINGS, singles)]
    if pairs := pairs_table(runs):
        parts += ["Pairs:", markdown(PAIRS, pairs)]
    return replaced(document, SECTIONS[store], "\n\n".join([*parts, verdict(runs, former)]), DOCUMENT.name)


def write(faults: Iterable[Fault], kept: Results, how: str, store: str) -> None:
    """All that is kept, into the document. Raises ReportError, OSError."""
    runs = [*kept.runs.values()]
    text = written(DOCUMENT.read_text(encoding="utf-8"), faults, runs, how, store, kept.former)
    DOCUMENT.write_text(text, encoding="utf-8")
