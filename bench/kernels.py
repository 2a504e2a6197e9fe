"""The same job on both kernels of the lab's hosts, side by side in one run: `python -m bench.kernels`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence

from bench import report
from bench.own_lab import console, ended, operations, own_lab, run
from lab.hosts.kernel import CHOICE

OLD, NEW = "debian-12", "debian-13"
STEPS = ("lab up", "pulumi up", "verify", "pulumi up without changes")
HEADINGS = ("step", "6.1, Debian 12 (s)", "6.12, Debian 13 (s)", "ratio")


def measure(kernel: str) -> dict[str, float]:
    """Seconds of each of `STEPS` in a lab of its own, whose hosts run `kernel`."""
    with own_lab(extra={CHOICE: kernel}) as started:
        return {
            "lab up": started,
            "pulumi up": run(f"{kernel}: pulumi up", operations("up", "--yes")),
            "verify": run(f"{kernel}: verify", operations("verify")),
            "pulumi up without changes": run(f"{kernel}: pulumi up again", operations("up", "--yes")),
        }


def table(old: Mapping[str, float], new: Mapping[str, float]) -> list[list[str]]:
    """Rows for people: each step, then all."""
    rows = [(step, old[step], new[step]) for step in STEPS]
    rows.append(("together", sum(old.values()), sum(new.values())))
    return [[step, f"{slow:.1f}", f"{fast:.1f}", f"{fast / slow:.2f}"] for step, slow, fast in rows]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures, prints, writes the document; the exit code is 0 unless something failed."""
    parser = argparse.ArgumentParser(prog="python -m bench.kernels", description=__doc__)
    parser.add_argument("--first", choices=[OLD, NEW], default=OLD, help="which goes first")
    parser.add_argument("--no-document", action="store_true", help="leave docs/reference/benchmarks.md alone")
    options = parser.parse_args(arguments)
    facts = report.machine()

    def work() -> None:
        order = (OLD, NEW) if options.first == OLD else (NEW, OLD)
        taken = {kernel: measure(kernel) for kernel in order}
        rows = table(taken[OLD], taken[NEW])
        console.print(report.shown(HEADINGS, rows))
        if not options.no_document:
            heading = f"{facts}; {options.first} first."
            report.write("kernels", f"{heading}\n\n{report.markdown(HEADINGS, rows)}")

    return ended("bench.kernels", work)


if __name__ == "__main__":
    sys.exit(main())
