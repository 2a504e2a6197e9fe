"""`python -m chaos`: faults in the hosts of a lab while clients write, and the judgement of what is there.

Owns: the command line, progress, the verdict's exit code. Leaves to others: which runs there are (`plan.py`),
where they are carried out (`labs.py`), what is kept of them (`results.py`).

Runs that have a result are not repeated: a suite that was interrupted goes on where it was.
"""

from __future__ import annotations

import argparse
import signal
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from bench import report
from chaos import plan, results
from chaos.breaks import BREAKS
from chaos.fault import Fault
from chaos.faults import FAULTS
from chaos.faults.ups import NAME as UP_KILLED
from chaos.labs import NAMES, Options, Worker, carry_out, free_memory, names
from chaos.plan import Run
from chaos.results import Result, Results, ResultsError
from harness.lab_cluster import STORES, LabFailed
from lab.toolchain import locks, places
from lab.toolchain.errors import ToolchainError
from lab.toolchain.stages import clock

SEED = 14
INTERRUPTED = 130
"""What a shell says of a command that Ctrl-C ended."""
console = Console(highlight=False, width=None if sys.stdout.isatty() else 160)


def parser() -> argparse.ArgumentParser:
    """Of the command line."""
    made = argparse.ArgumentParser(prog="python -m chaos", description=__doc__.partition("\n")[0])
    made.add_argument("--seed", type=int, default=SEED, help=f"of all that is drawn; {SEED} by default")
    made.add_argument("--runs", type=int, default=3, help="of each fault alone")
    made.add_argument("--pairs", type=int, default=20, help="that are drawn")
    made.add_argument("--ups", action="store_true", help="also `up` killed in the middle of each fault")
    made.add_argument(
        "--only", action="append", metavar="NAME", help="only this fault, or `ONE + OTHER`; again: another"
    )
    made.add_argument("--share", type=int, metavar="N", help="only one of N faults, of the brief ones, once")
    made.add_argument("--labs", type=int, default=len(NAMES), help="side by side, where there is memory")
    made.add_argument("--lab", help="use this lab and the stack of its name, as they are, and leave them")
    made.add_argument("--store", choices=STORES, default="etcd", help="of the stack; etcd by default")
    made.add_argument("--break", dest="broken", choices=list(BREAKS), help="break a promise: must end red")
    made.add_argument("--without-deep", action="store_true", help="do not compare all tables each time")
    made.add_argument("--keep", action="store_true", help="a run that fails ends its lab's work; it stays")
    made.add_argument(
        "--anew", action="store_true", help="forget all results; with --only or --share: repeat those runs"
    )
    made.add_argument("--failed", action="store_true", help="repeat the runs that failed, of those asked for")
    made.add_argument("--table", action="store_true", help="run nothing; write the tables of what was run")
    made.add_argument("--results", type=Path, default=None, help="the file that keeps them (JSON)")
    made.add_argument("--no-document", action="store_true", help="leave docs/reference/reliability.md alone")
    made.add_argument("--list", action="store_true", help="the faults, and end")
    return made


def wanted(options: argparse.Namespace, faults: Sequence[Fault]) -> list[Run]:
    """The runs that the command line asks for. Raises LabFailed for a fault that there is not."""
    if options.only:
        chosen = [tuple(name.strip() for name in text.split("+")) for text in options.only]
        known = {fault.name for fault in faults}
        if unknown := sorted({name for each in chosen for name in each} - known):
            raise LabFailed(f"there is no fault {', '.join(unknown)}: `--list` shows those there are")
        return [Run(each, number) for number in range(1, options.runs + 1) for each in chosen]
    if options.share:
        return plan.share(faults, options.share, options.seed)
    return [
        *plan.singles(faults, options.runs, options.seed),
        *plan.pairs(faults, options.pairs, options.seed),
        *(plan.in_the_middle(faults, UP_KILLED) if options.ups else ()),
    ]


def chosen(store: str) -> list[Fault]:
    """The faults that make sense with that store."""
    return [fault for fault in FAULTS.values() if store in fault.stores]


def told(result: Result) -> str:
    """A run's result in a line, and what is wrong below it."""
    pause = f", {result.pauses['writer']:.1f} s without writes" if "writer" in result.pauses else ""
    counts = f"{result.acked} acknowledged, {result.lost} lost{pause}"
    lines = [f"{result.verdict.upper():5} {result.id}: {counts} ({clock(result.seconds)})"]
    return "\n".join([*lines, *(f"      {text}" for text in (*result.findings, *result.notes))])


class Progress:
    """Lines of what goes on, and one now and then while nothing is said."""

    def __init__(self, of: int) -> None:
        self._of, self.done, self._begin = of, 0, time.monotonic()
        self._last, self._text, self._over = time.monotonic(), "", threading.Event()
        threading.Thread(target=self._beat, daemon=True).start()

    def say(self, text: str) -> None:
        """One line, with the time since the beginning and how far all is."""
        self._last, self._text = time.monotonic(), text
        passed = clock(time.monotonic() - self._begin)
        console.print(f"{passed:>7}  {self.done}/{self._of}  {text}", markup=False)

    def end(self) -> None:
        """No more lines."""
        self._over.set()

    def _beat(self) -> None:
        while not self._over.wait(1):
            if time.monotonic() - self._last > 30:
                self.say(f"still: {self._text.removeprefix('still: ')}")


def carried_out(options: argparse.Namespace, kept: Results, runs: Sequence[Run]) -> bool:
    """Whether all runs were carried out, and all of them are well. Raises LabFailed, ResultsError."""
    folder = kept.path.parent / "runs"
    own = options.lab is None
    labs = names(options.labs, free_memory(Path("/proc/meminfo").read_text())) if own else (options.lab,)
    left = plan.remaining(runs, kept.runs)
    progress = Progress(len(left))
    progress.say(f"seed {options.seed}: {len(runs)} runs, {len(runs) - len(left)} done; in {', '.join(labs)}")
    settings = Options(
        options.seed, folder, options.broken, not options.without_deep, options.keep, options.store
    )
    workers = [Worker(lab, settings, progress.say, own=own) for lab in labs[: max(len(left), 1)]]

    def done(result: Result) -> None:
        kept.add(result)
        progress.done += 1
        progress.say(told(result))

    try:
        failed = carry_out(left, workers, done)
    finally:
        progress.end()
    for error in failed:
        console.print(f"Error: {error}", markup=False)
    found = [kept.runs[run.id] for run in runs if run.id in kept.runs]
    return len(found) == len(runs) and all(one.verdict != "red" for one in found)


def show(kept: Results, runs: Sequence[Run], store: str, *, document: bool) -> None:
    """Tables of these runs on the terminal, and of all that is kept in the document, also if they are not all
    that were to be. Raises ReportError, OSError.
    """
    names_ = {run.id for run in runs}
    found = [one for one in kept.runs.values() if one.id in names_]
    with_runs = [FAULTS[name] for name in FAULTS if any(name in one.faults for one in found)]
    singles = [row for row in results.singles_table(with_runs, found) if row[4] != "0"]
    if singles:
        console.print(report.shown(results.HEADINGS, singles))
    if pairs := results.pairs_table(found):
        console.print(report.shown(results.PAIRS, pairs))
    console.print(results.verdict(found, kept.former), markup=False)
    if document and kept.runs:
        commits = ", ".join(sorted({one.commit for one in kept.runs.values()}))
        part = f"{len(found)} of {len(runs)} runs so far, " if len(found) < len(runs) else ""
        how = f"{report.machine()}; store {store}; seed {kept.seed}; {part}runs of {commits}"
        results.write(chosen(store), kept, how, store)


def kept_in(options: argparse.Namespace) -> Path:
    """The file of the results: of the suite's own labs, of another lab, of what is broken on purpose."""
    name = "broken" if options.broken else f"lab-{options.lab}" if options.lab else "results"
    store = "" if options.store == "etcd" else f"-{options.store}"
    return places.state() / "chaos-data" / f"{name}{store}.json"


def repeated(options: argparse.Namespace, kept: Results, runs: Sequence[Run]) -> list[str]:
    """Names of the runs that have a result, and are to be carried out again."""
    if options.table:
        return []
    known = [kept.runs[run.id] for run in runs if run.id in kept.runs]
    return [one.id for one in known if options.anew or (options.failed and one.verdict == "red")]


def work(options: argparse.Namespace) -> int:
    """The whole; the exit code. Raises what `main` explains."""
    path, part = options.results or kept_in(options), bool(options.only or options.share)
    runs = wanted(options, chosen(options.store))
    if options.broken or (options.anew and not part):  # what was broken on purpose is nothing to go on with
        path.unlink(missing_ok=True)
    kept = Results(path, options.seed)
    if again := repeated(options, kept, runs):
        kept.repeat(again)
    document = not (options.broken or options.lab or options.no_document or (part and not options.table))
    well = False
    try:
        if not options.table:
            well = carried_out(options, kept, runs)
    finally:  # what was run is told, whatever has ended it
        show(kept, runs, options.store, document=document)
    if options.table:
        return 0
    if options.broken and well:
        console.print(f"Error: --break {options.broken} was not found: the judgement misses it.")
    return 0 if well and not options.broken else 1


def main(arguments: Sequence[str] | None = None) -> int:
    """All that the command line asks for; 0 only if everything was carried out and is well."""
    options = parser().parse_args(arguments)
    if options.list:
        for fault in FAULTS.values():
            console.print(f"{fault.name}: {fault.says} ({fault.whom.value}; writes {fault.writes.value})")
        return 0
    # By way of the labs' end.
    before = signal.signal(signal.SIGTERM, lambda number, _frame: sys.exit(128 + number))
    lock = places.state() / "locks" / "chaos-data.lock"
    refusal = "{holder} is at work already: wait for its end, or end it with Ctrl-C where it runs."
    try:
        if options.table:  # also meanwhile
            return work(options)
        with locks.held(lock, "make chaos-data", refusal=refusal):
            return work(options)
    except (LabFailed, ResultsError, ToolchainError, report.ReportError, OSError) as error:
        console.print(f"Error: {error}", markup=False)
        return 1
    except KeyboardInterrupt:
        console.print("Interrupted; its labs are gone, or as they were. The same command goes on.")
        return INTERRUPTED
    finally:
        signal.signal(signal.SIGTERM, before)


if __name__ == "__main__":
    sys.exit(main())
