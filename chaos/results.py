"""What the runs came to: kept after each of them, and told as tables.

Owns: the file, the tables, the document's section. Leaves to others: the verdicts (`one_run.py`).
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any, Literal

from bench.report import markdown, replaced
from chaos.fault import Fault, Writes
from lab.toolchain import places

DOCUMENT = places.CHECKOUT / "docs/reference/reliability.md"
SECTIONS = {"etcd": "chaos-data", "consul": "chaos-data-consul"}
"""Of the document, by store."""
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
    """The results of one seed, in a file that is complete after each run."""

    def __init__(self, path: Path, seed: int) -> None:
        """Reads what is there. Raises ResultsError for a file of another seed, or one that is none."""
        self.path, self.seed = path, seed
        self.runs: dict[str, Result] = {}
        if not path.exists():
            return
        try:
            kept = json.loads(path.read_text(encoding="utf-8"))
            other = int(kept["seed"])
            self.runs = {one["id"]: _result(one) for one in kept["runs"]}
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
        self.path.parent.mkdir(parents=True, exist_ok=True)
        fresh = self.path.with_suffix(".new")
        kept = {"seed": self.seed, "runs": [dataclasses.asdict(one) for one in self.runs.values()]}
        fresh.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
        fresh.replace(self.path)


def _result(fields: dict[str, Any]) -> Result:
    return Result(**{**fields, "faults": tuple(fields["faults"])})


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
        str(sum(one.lost for one in runs)),
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
            str(one.lost),
            f"{one.pauses['writer']:.1f}" if "writer" in one.pauses else "",
            "" if one.whole is None else f"{one.whole:.0f}",
            one.verdict if one.verdict != "red" else f"red: {one.findings[0] if one.findings else ''}",
        ]
        for one in sorted(runs, key=lambda one: one.faults)
        if len(one.faults) > 1
    ]


def verdict(runs: Sequence[Result]) -> str:
    """In a sentence or two: what was lost, and what else went wrong."""
    lost = sum(one.lost for one in runs)
    acked = sum(one.acked for one in runs)
    red = [one for one in runs if one.verdict == "red"]
    void = sum(one.verdict == "void" for one in runs)
    words = f"{len(runs)} runs, {acked} acknowledged writes, {lost} of them lost; {len(red)} runs failed"
    words += f", {void} pairs in which one fault kept the other from happening." if void else "."
    named = [f"{one.id}: {'; '.join(one.findings)}" for one in red]
    return "\n\n".join([words, *(f"- {line}" for line in named)])


def written(
    document: str, faults: Iterable[Fault], runs: Sequence[Result], how: str, store: str = "etcd"
) -> str:
    """The document with the section of that store written anew. Raises ReportError."""
    singles = singles_table(faults, runs)
    parts = [f"{how}.", markdown(HEADINGS, singles)]
    if pairs := pairs_table(runs):
        parts += ["Pairs:", markdown(PAIRS, pairs)]
    return replaced(document, SECTIONS[store], "\n\n".join([*parts, verdict(runs)]), DOCUMENT.name)


def write(faults: Iterable[Fault], runs: Sequence[Result], how: str, store: str) -> None:
    """Into the document. Raises ReportError, OSError."""
    text = written(DOCUMENT.read_text(encoding="utf-8"), faults, runs, how, store)
    DOCUMENT.write_text(text, encoding="utf-8")
