"""How long a `pulumi preview` without changes takes, by number of hosts: `python -m bench.scale`.

Owns: stacks of several sizes made by a real `pulumi up` of the whole program, repeated previews, the line
through them. Leaves to others: the account (harness), what answers instead of hosts (instant.py).

Everything happens in namespaces of its own, which end with this process and take all others with them; files
are in a temporary folder. Root is needed, hosts are not.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console

from bench import report
from harness import namespaces
from harness.account import Account
from harness.environment import pulumi_environment
from lab.toolchain import build, places, plugins

MANAGERS = {3: 3, 9: 3, 33: 5, 99: 5}
"""Managers of a stack by number of hosts; the others are workers."""
GOAL = 0.15
"""Seconds a host may add to a preview."""

console = Console()


class BenchFailed(Exception):
    """A bench cannot go on; says why, and where the rest is to be read."""


@dataclass(frozen=True)
class Took:
    """Seconds that a run of pulumi took: by the clock, and of processors, plugins and program included."""

    clock: float
    processors: float


@dataclass(frozen=True)
class Line:
    """A straight line through measured points: seconds = fixed + a_host * hosts."""

    fixed: float
    a_host: float

    def at(self, hosts: int) -> float:
        """Seconds for that many hosts."""
        return self.fixed + self.a_host * hosts


def fit(medians: Mapping[int, float]) -> Line:
    """The line with the least squares through `medians` (seconds by number of hosts, at least two)."""
    slope, intercept = statistics.linear_regression(list(medians), list(medians.values()))
    return Line(intercept, slope)


def template() -> dict[str, Any]:
    """The lab's own stack, from which those of the bench are made."""
    read: dict[str, Any] = yaml.safe_load((places.CHECKOUT / "Pulumi.dev.yaml").read_text(encoding="utf-8"))
    return read


def settings(hosts: int, endpoint: str, template: Mapping[str, Any]) -> dict[str, Any]:
    """A stack's file: the lab's own stack with so many hosts, and a network that has room for them."""
    config = {**template["config"], "swarm-galera:endpoint": endpoint}
    managers = MANAGERS.get(hosts, 3)
    servers = config["swarm-galera:servers"]
    config["swarm-galera:servers"] = {**servers, "managers": managers, "workers": hosts - managers}
    config["swarm-galera:network"] = {**config["swarm-galera:network"], "subnet": "10.20.0.0/20"}
    return {"config": config}


class Workspace:
    """Pulumi with a home, a back end and projects of its own below `root`.

    Attributes:
        environment: in which Pulumi works here.
        whole, empty: the projects.
        backend: the file back end.
    """

    def __init__(self, root: Path, account: Account) -> None:
        tools = build.bin_folder()
        if tools is None:
            raise BenchFailed("there is no pulumi to measure; run `make toolchain`")
        self.root, self._pulumi = root, tools / "pulumi"
        self.whole, self.empty = root / "whole", root / "empty"
        self.backend = root / "backend"
        self.backend.mkdir()
        self.environment = pulumi_environment(tools, root, account.environment)
        self._make_projects(account.endpoint)
        self._install_plugins()

    def _make_projects(self, endpoint: str) -> None:
        """The checkout's program behind links, so that its folder is left alone, and an empty one."""
        project = yaml.safe_load((places.CHECKOUT / "Pulumi.yaml").read_text(encoding="utf-8"))
        project["runtime"]["options"]["virtualenv"] = str(places.VENV)
        self._template = template()
        self._endpoint = endpoint
        for folder in (self.whole, self.empty):
            folder.mkdir()
            (folder / "Pulumi.yaml").write_text(yaml.safe_dump(project), encoding="utf-8")
        for entry in places.CHECKOUT.iterdir():
            if not entry.name.startswith((".", "Pulumi.")):
                (self.whole / entry.name).symlink_to(entry)
        (self.empty / "__main__.py").write_text("", encoding="utf-8")

    def _install_plugins(self) -> None:
        python, checkout = places.VENV_PYTHON, places.CHECKOUT
        for plugin in plugins.plugins():
            script = f'#!/bin/sh\nPYTHONPATH={checkout} exec {python} -m bench.instant {plugin.name} "$@"\n'
            archive = self.root / f"{plugin.name}.tgz"
            archive.write_bytes(plugins.tarball(plugin, script))
            words = ["plugin", "install", "resource", plugin.name, plugin.version, "--file", str(archive)]
            self.run(self.root, *words)

    def stack(self, hosts: int) -> str:
        """Make a stack of so many hosts (0: the empty program) and bring it up; its name."""
        name = self.prepare(hosts)
        self.run(self.folder(hosts), "up", "--yes", "--skip-preview", "--parallel", "64", "--stack", name)
        return name

    def prepare(self, hosts: int) -> str:
        """Make a stack of so many hosts, with its settings; its name."""
        name, folder = f"hosts-{hosts}", self.folder(hosts)
        self.run(folder, "stack", "init", name)
        file = folder / f"Pulumi.{name}.yaml"
        if hosts:
            made = yaml.safe_load(file.read_text(encoding="utf-8"))
            file.write_text(
                yaml.safe_dump({**made, **settings(hosts, self._endpoint, self._template)}), encoding="utf-8"
            )
        return name

    def folder(self, hosts: int) -> Path:
        """The project's folder of a stack of so many hosts."""
        return self.whole if hosts else self.empty

    def preview(self, hosts: int) -> Took:
        """One preview; a change in it is an error, because then it measures something else."""
        return self.run(self.folder(hosts), "preview", "--expect-no-changes", "--stack", f"hosts-{hosts}")

    def run(self, folder: Path, *words: str) -> Took:
        """Run pulumi and return what it took. Raises BenchFailed with its words when it fails."""
        begin, used = time.perf_counter(), _processors()
        done = subprocess.run(
            [self._pulumi, *words, "--non-interactive"],
            cwd=folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        took = Took(time.perf_counter() - begin, _processors() - used)
        if done.returncode != 0:
            raise BenchFailed(f"`pulumi {' '.join(words)}` failed:\n{done.stdout.strip()}")
        return took


def _processors() -> float:
    """Seconds of processors that all children so far have used."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def measure(sizes: Sequence[int], repeats: int, root: Path) -> dict[int, list[Took]]:
    """What every preview took, by number of hosts; 0 is the empty program."""
    every = [0, *sizes]
    with Account(root / "api") as account:
        workspace = Workspace(root, account)
        for hosts in every:
            begin = time.perf_counter()
            console.print(f"pulumi up, {hosts} hosts" if hosts else "pulumi up, empty program", end=" … ")
            workspace.stack(hosts)
            console.print(f"{time.perf_counter() - begin:.1f} s")
        for hosts in every:
            workspace.preview(hosts)  # not counted: it fills the caches
        took: dict[int, list[Took]] = {hosts: [] for hosts in every}
        # Turn and turn about, so that a busy minute of the machine does not fall on one size alone.
        for turn in range(1, repeats + 1):
            for hosts in every:
                took[hosts].append(workspace.preview(hosts))
            said = ", ".join(f"{hosts}: {took[hosts][-1].clock:.2f}" for hosts in every)
            console.print(f"preview {turn} of {repeats}, seconds by hosts: {said}")
    return took


HEADINGS = (
    "hosts",
    "preview, median (s)",
    "fastest to slowest (s)",
    "processors (s)",
    "above start-up, a host (s)",
)


def medians(took: Mapping[int, Sequence[Took]]) -> dict[int, float]:
    """Seconds by the clock, by number of hosts."""
    return {hosts: statistics.median(one.clock for one in runs) for hosts, runs in sorted(took.items())}


def table(took: Mapping[int, Sequence[Took]]) -> list[list[str]]:
    """Rows for people: the empty program first, then by number of hosts."""
    rows = []
    middle = medians(took)
    for hosts, median in middle.items():
        clocks = [one.clock for one in took[hosts]]
        rows.append(
            [
                str(hosts) if hosts else "empty program (Pulumi's own start-up)",
                f"{median:.2f}",
                f"{min(clocks):.2f} to {max(clocks):.2f}",
                f"{statistics.median(one.processors for one in took[hosts]):.2f}",
                f"{(median - middle[0]) / hosts:.3f}" if hosts else "",
            ]
        )
    return rows


def verdict(took: Mapping[int, Sequence[Took]]) -> str:
    """The line through the medians, in words, beside the goal."""
    middle = medians(took)
    startup = middle.pop(0)
    line = fit(middle)
    off = max(abs(line.at(hosts) / median - 1) for hosts, median in middle.items())
    met = "met" if line.a_host <= GOAL else "missed"
    return (
        f"Each host adds {line.a_host:.3f} s (goal: at most {GOAL} s, {met}). The program itself adds "
        f"{line.fixed - startup:.2f} s to Pulumi's start-up, whatever the number of hosts. "
        f"No median is further than {off:.0%} from that line."
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, write the document; the exit code is 0 unless something failed."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    parser = argparse.ArgumentParser(prog="python -m bench.scale", description="Previews by number of hosts.")
    parser.add_argument("--sizes", type=int, nargs="+", default=list(MANAGERS), help="numbers of hosts")
    parser.add_argument("--repeats", type=int, default=5, help="previews of each size")
    parser.add_argument("--no-document", action="store_true", help="leave docs/reference/benchmarks.md alone")
    options = parser.parse_args(given)
    namespaces.enter("bench.scale", given)
    try:
        with tempfile.TemporaryDirectory(prefix="swarm-galera-bench-") as root:
            took = measure(options.sizes, options.repeats, Path(root))
        rows, said = table(took), verdict(took)
        console.print(report.shown(HEADINGS, rows))
        console.print(said)
        if not options.no_document:
            facts = f"{report.machine()}; {options.repeats} previews of each size."
            report.write("scale", "\n\n".join([facts, report.markdown(HEADINGS, rows), said]))
    except (BenchFailed, report.ReportError) as error:
        console.print(f"Error: {error}", markup=False)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
