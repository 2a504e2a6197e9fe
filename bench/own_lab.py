"""A lab of the benches' own, and commands in it.

Whatever happens, the lab is taken down by its name at the end, and one left by a killed run at the beginning.
One bench at a time: a second one is refused.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from rich.console import Console

from bench import report
from harness.lab_cluster import LabCluster, LabFailed, environment, python
from lab.toolchain import locks, places
from lab.toolchain.errors import ToolchainError

LAB = STACK = "bench"
CLUSTER = LabCluster(LAB)
SETTINGS = places.CHECKOUT / "Pulumi.dev.yaml"
OWN_SETTINGS = CLUSTER.settings
GALERA_SECTION = "  swarm-galera:galera:\n"
"""How it begins in a stack's file."""
_HAPROXY = (places.CHECKOUT / "images/haproxy/TAG").read_text(encoding="utf-8").strip()
BALANCER = f"""  swarm-galera:loadBalancer:
    image: registry.lab:5000/swarm-galera/haproxy:{_HAPROXY}
"""
"""A section for `own_lab`."""
INTERRUPTED = 130
"""What a shell says of a command that Ctrl-C ended."""

Table = tuple[Sequence[str], Sequence[Sequence[str]]]
"""Headings and rows."""
console = Console(highlight=False)


BenchFailed = LabFailed
"""A part of a bench failed; says which. Its own words have been shown."""
in_lab, operations, ask, outputs = CLUSTER.in_lab, CLUSTER.operations, CLUSTER.ask, CLUSTER.outputs


def run(what: str, words: Sequence[str], extra: Mapping[str, str] | None = None) -> float:
    """Runs a part with its output shown; the seconds it took. Raises BenchFailed."""
    console.rule(what)
    begin = time.perf_counter()
    code = subprocess.run(
        words, cwd=places.CHECKOUT, env=environment(extra), stdin=subprocess.DEVNULL, check=False
    ).returncode
    if code != 0:
        raise BenchFailed(f"{what} ended with exit code {code}; its own words are above")
    return time.perf_counter() - begin


def tell(section: str, table: Table, how: str, verdict: str = "", *, document: bool = True) -> None:
    """Prints what was measured, and writes it into its section. Raises ReportError, OSError.

    Args:
        table: headings and rows. how: on what, and how, it was measured. verdict: on the goals.
        document: False leaves docs/reference/benchmarks.md alone.
    """
    console.print(report.shown(*table))
    if verdict:
        console.print(verdict)
    if document:
        told = [f"{how}.", report.markdown(*table), *([verdict] if verdict else [])]
        report.write(section, "\n\n".join(told))


def ended(bench: str, work: Callable[[], None]) -> int:
    """Runs a bench while no other uses the lab; its exit code. What fails is told, a TERM ends it orderly."""
    signal.signal(signal.SIGTERM, lambda number, _frame: sys.exit(128 + number))  # by way of `lab down`
    lock = places.state() / "locks" / "bench.lock"
    refusal = "{holder} is at work in the lab `bench`: wait for its end."
    try:
        with locks.held(lock, bench, refusal=refusal):
            work()
    except (BenchFailed, report.ReportError, ToolchainError) as error:
        console.print(f"Error: {error}", markup=False)
        return 1
    except KeyboardInterrupt:
        console.print("Interrupted; what the bench has started is gone.")
        return INTERRUPTED
    return 0


@contextmanager
def own_lab(
    provision: int = 0, extra: Mapping[str, str] | None = None, sections: str = ""
) -> Iterator[float]:
    """The lab, gone at the end; so is what a killed run left of it. Gives the seconds that its start took.

    Args:
        provision: seconds added to each server's provisioning; 0: as fast as its host boots.
        extra: environment of `lab up`.
        sections: of the stack's settings, before those of Galera; their images are the lab's, too.
    """
    down = python("-m", "lab", "down", "--name", LAB)
    run("lab down (whatever an earlier run left)", down)
    try:
        settings = SETTINGS.read_text(encoding="utf-8")
        OWN_SETTINGS.write_text(settings.replace(GALERA_SECTION, sections + GALERA_SECTION), encoding="utf-8")
        seconds = run("lab up", python("-m", "lab", "up", "--name", LAB), extra)
        if provision:
            pace = ("durations", "--name", LAB, f"provision={provision}")
            run("a data centre's pace", python("-m", "lab", "fault", *pace))
        yield seconds
    finally:
        OWN_SETTINGS.unlink(missing_ok=True)
        run("lab down", down)
