"""The same job by hand and by `pulumi up`, side by side in one run: `python -m bench.deploy`.

Owns: the order of the two runs, the comparison. Leaves to others: the lab (own_lab.py), the job by hand
(by_hand.py), what pulumi did when (timeline.py), the longest chain (chain.py).
"""

from __future__ import annotations

import argparse
import json
import re
import shlex
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench import report, timeline
from bench.chain import Chain, longest
from bench.own_lab import (
    LAB,
    OWN_SETTINGS,
    STACK,
    BenchFailed,
    ask,
    console,
    ended,
    in_lab,
    operations,
    own_lab,
    run,
)
from components.etcd import SERVICE as ETCD
from components.galera import SERVICE as GALERA
from harness.lab_cluster import python
from lab.toolchain import places

HALF, SLACK = 0.5, 1.3
"""The goals: a share of the time by hand, and a multiple of the longest chain."""
HEADINGS = ("stage", "by hand (s)", "pulumi up (s)", "ratio")


@dataclass(frozen=True)
class ByHand:
    """What the job by hand took.

    Attributes:
        seconds: in all. stages: seconds by stage. chain: of the steps that really wait for one another.
        services: what the engine made of the services' definitions.
    """

    seconds: float
    stages: Mapping[str, float]
    chain: Chain
    services: Mapping[str, Any]


@dataclass(frozen=True)
class ByPulumi:
    """What `pulumi up` took; the same, with the length of each stage's window: stages overlap."""

    seconds: float
    stages: Mapping[str, float]
    chain: Chain
    services: Mapping[str, Any]


def read_by_hand(result: Mapping[str, Any]) -> ByHand:
    """From the file that by_hand.py writes."""
    steps = result["steps"]
    stages = dict.fromkeys(timeline.STAGES, 0.0)
    for step in steps:
        stages[step["stage"]] += step["seconds"]
    durations = {step["name"]: step["seconds"] for step in steps}
    chain = longest(durations, {step["name"]: step["after"] for step in steps})
    return ByHand(result["seconds"], stages, chain, result["services"])


def read_by_pulumi(
    seconds: float, spans: Mapping[str, timeline.Span], state: Mapping[str, Any], services: Mapping[str, Any]
) -> ByPulumi:
    """From the event log's spans and the exported state."""
    windows = timeline.windows(spans.values())
    stages = {stage: end - begin for stage, (begin, end) in windows.items()}
    # A component is being made as long as its parts are; the stack itself, as long as everything.
    durations = {urn: span.seconds for urn, span in spans.items() if timeline.stage_of(urn)}
    chain = longest(durations, timeline.dependencies(state))
    names = tuple(timeline.short(urn) for urn in chain.steps)
    return ByPulumi(seconds, stages, Chain(chain.seconds, names), services)


_ADDRESS = re.compile(r"//[0-9.]+:")


def comparable(spec: Mapping[str, Any]) -> dict[str, Any]:
    """A service's definition without what differs from one swarm to another: ids, names, addresses."""
    task = json.loads(json.dumps(spec["TaskTemplate"]))
    container = task["ContainerSpec"]
    # People name a tag; the program pins what it stands for (ADR 0012).
    container["Image"] = container.get("Image", "").partition("@")[0]
    for kind in ("Secrets", "Configs"):
        container[kind] = sorted(
            (file["File"]["Name"], file["File"]["Mode"]) for file in container.get(kind, ())
        )
    container["Env"] = sorted(
        "CLUSTER_TOKEN" if line.startswith("CLUSTER_TOKEN=") else _ADDRESS.sub("//ADDRESS:", line)
        for line in container.get("Env", ())
    )
    container["Labels"] = container.get("Labels") or {}
    if check := container.get("Healthcheck"):
        # The command line hands the check to a shell, the plugin does not.
        how, *words = check.get("Test") or [""]
        check["Test"] = shlex.split(words[0]) if how == "CMD-SHELL" else words
    task["Networks"] = len(task.get("Networks") or spec.get("Networks") or ())
    return {
        **{key: task.get(key) for key in ("ContainerSpec", "Networks", "RestartPolicy")},
        "Constraints": (task.get("Placement") or {}).get("Constraints"),
        **{key: spec.get(key) for key in ("Mode", "UpdateConfig", "EndpointSpec")},
    }


def differences(one: Any, other: Any, path: str = "") -> list[str]:
    """Where two definitions differ, one line each; an absent key, null and nothing say the same."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        found = []
        for key in sorted({*one, *other}):
            found += differences(one.get(key), other.get(key), f"{path}.{key}" if path else key)
        return found
    empty: tuple[Any, ...] = (None, "", 0, False, [], {})
    if one == other or (one in empty and other in empty):
        return []
    return [f"{path}: {one!r} by hand, {other!r} by pulumi"]


def table(hand: ByHand, pulumi: ByPulumi) -> list[list[str]]:
    """Rows for people: each stage, then all."""
    rows = []
    for stage in timeline.STAGES:
        by_hand, by_pulumi = hand.stages.get(stage, 0.0), pulumi.stages.get(stage, 0.0)
        rows.append([stage, f"{by_hand:.1f}", f"{by_pulumi:.1f}", _ratio(by_pulumi, by_hand)])
    total = _ratio(pulumi.seconds, hand.seconds)
    return [*rows, ["whole job", f"{hand.seconds:.1f}", f"{pulumi.seconds:.1f}", total]]


def _ratio(part: float, whole: float) -> str:
    return f"{part / whole:.2f}" if whole else ""


def verdict(hand: ByHand, pulumi: ByPulumi) -> list[str]:
    """The goals and the chains, in words."""
    share, multiple = pulumi.seconds / hand.seconds, pulumi.seconds / hand.chain.seconds
    return [
        f"`pulumi up` takes {share:.2f} of the time by hand (goal: at most {HALF}, {_met(share <= HALF)}) "
        f"and {multiple:.2f} times the longest chain of dependent steps (goal: at most {SLACK}, "
        f"{_met(multiple <= SLACK)}).",
        f"Longest chain by the durations of the steps by hand, {hand.chain.seconds:.1f} s: "
        f"{' → '.join(hand.chain.steps)}.",
        f"Longest chain in pulumi's own graph, {pulumi.chain.seconds:.1f} s: "
        f"{' → '.join(pulumi.chain.steps)}.",
    ]


def _met(holds: bool) -> str:
    return "met" if holds else "missed"


# --- doing it --------------------------------------------------------------------------------------------


def by_hand(folder: Path) -> ByHand:
    """Do the job by hand in the lab, everything taken away again."""
    result = folder / "by-hand.json"
    words = in_lab(*python("-m", "bench.by_hand", str(OWN_SETTINGS), str(result)))
    run("by hand, one step after another", words)
    return read_by_hand(json.loads(result.read_text(encoding="utf-8")))


def by_pulumi(folder: Path) -> ByPulumi:
    """`pulumi up` through the operations, checked by `verify`, everything taken away again."""
    log = folder / "events.jsonl"
    logged = {"PULUMI_DEBUG_COMMANDS": "true", "PULUMI_OPTION_EVENT_LOG": str(log)}
    with timeline.Follower(log) as follower:
        seconds = run("pulumi up", operations("up", "--yes"), logged)
    run("verify", operations("verify"))
    state = ask("exporting the state", in_lab("pulumi", "stack", "export", "--stack", STACK))
    first = state_output(state, "managers")[0]
    inspect = ["docker", "service", "inspect", ETCD, GALERA]
    services = ask("reading the services", python("-m", "lab", "ssh", "--name", LAB, first, *inspect))
    run("destroy", operations("destroy", "--yes"))
    made = timeline.spans(follower.events)
    if not made:
        raise BenchFailed(f"pulumi wrote no events to {log}; does it know PULUMI_OPTION_EVENT_LOG?")
    specs = {service["Spec"]["Name"]: service["Spec"] for service in services}
    return read_by_pulumi(seconds, made, state, specs)


def state_output(state: Mapping[str, Any], name: str) -> Any:
    """One of the stack's outputs in an exported state."""
    resources = state["deployment"]["resources"]
    return next(r for r in resources if r["type"] == "pulumi:pulumi:Stack")["outputs"][name]


def compare(hand: ByHand, pulumi: ByPulumi) -> None:
    """Raise BenchFailed unless both made the same services: otherwise the figures compare two jobs."""
    found = [
        f"{name}: {line}"
        for name in (ETCD, GALERA)
        for line in differences(comparable(hand.services[name]), comparable(pulumi.services[name]))
    ]
    if found:
        listed = "\n  ".join(found)
        raise BenchFailed(
            f"the two runs made different services; bring bench/by_hand_services.py up to date:\n  {listed}"
        )


def show(hand: ByHand, pulumi: ByPulumi) -> None:
    """Print the table and the words."""
    console.print(report.shown(HEADINGS, table(hand, pulumi)))
    for line in verdict(hand, pulumi):
        console.print(line)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run both, print, write the document; the exit code is 0 unless something failed."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.deploy", description="The job by hand and by pulumi up."
    )
    parser.add_argument("--first", choices=["by-hand", "pulumi"], default="by-hand", help="which goes first")
    parser.add_argument(
        "--provision", type=int, default=0, metavar="SECONDS", help="added to a server's provisioning"
    )
    parser.add_argument("--no-document", action="store_true", help="leave docs/reference/benchmarks.md alone")
    options = parser.parse_args(arguments)
    folder = places.logs("bench-deploy")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    facts = report.machine()
    results: dict[str, Any] = {}
    runs: dict[str, Callable[[Path], ByHand | ByPulumi]] = {"by-hand": by_hand, "pulumi": by_pulumi}
    order = ["by-hand", "pulumi"] if options.first == "by-hand" else ["pulumi", "by-hand"]

    def work() -> None:
        with own_lab(options.provision):
            for name in order:
                results[name] = runs[name](folder)
        hand, pulumi = results["by-hand"], results["pulumi"]
        show(hand, pulumi)
        compare(hand, pulumi)
        if not options.no_document:
            parts = [f"{facts}; {order[0]} first.", report.markdown(HEADINGS, table(hand, pulumi))]
            section = f"deploy-{options.provision}" if options.provision else "deploy"
            report.write(section, "\n\n".join([*parts, *verdict(hand, pulumi)]))

    return ended("bench.deploy", work)


if __name__ == "__main__":
    sys.exit(main())
