"""The labs that runs are carried out in, side by side, and the queue that they draw from.

Owns: how many labs there is room for, a stack in each, what is done after a run that failed. Leaves to
others: the runs (`one_run.py`), what a lab is (`python -m lab`).
"""

from __future__ import annotations

import itertools
import queue
import re
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.own_lab import BALANCER, GALERA_SECTION, SETTINGS
from chaos.one_run import OneRun
from chaos.plan import Run
from chaos.results import Result
from chaos.site import Site
from harness.lab_cluster import LabCluster, LabFailed, python, with_store

NAMES = ("chaos-1", "chaos-2")
NEEDED = 8.0
"""GiB of memory for a lab: three hosts of 2 GiB, and what stands around them."""
UP = 2400.0
"""Seconds for a lab and its stack, with a cold cache."""
DOWN = "down.txt"
"""The log of a lab's end."""
Say = Callable[[str], None]


def free_memory(meminfo: str) -> float:
    """GiB that the machine has left, by /proc/meminfo."""
    found = re.search(r"^MemAvailable:\s+(\d+) kB$", meminfo, re.MULTILINE)
    return int(found[1]) / 2**20 if found else 0.0


def names(wanted: int, free: float) -> tuple[str, ...]:
    """The labs that there is room for. Raises LabFailed if that is none."""
    fits = min(wanted, len(NAMES), int(free / NEEDED))
    if fits < 1:
        raise LabFailed(
            f"a lab needs {NEEDED:.0f} GiB of memory, and {free:.1f} GiB are free. Remedy: take another lab "
            "down (`make down LAB=…`), or use one that is up: --lab NAME"
        )
    return NAMES[:fits]


def settings_text(dev: str, store: str) -> str:
    """A stack's file with a load balancer, and that store."""
    return with_store(dev.replace(GALERA_SECTION, BALANCER + GALERA_SECTION), store)


@dataclass(frozen=True)
class Options:
    """Of all runs: see the command line."""

    seed: int
    folder: Path
    broken: str | None
    deep: bool
    keep: bool
    store: str = "etcd"


class Worker:
    """One lab: takes runs from the queue until there are no more, or somebody says stop."""

    def __init__(self, lab: str, options: Options, say: Say, *, own: bool) -> None:
        """`own`: the lab is made for this and taken down at the end; else it is used as it is."""
        self.cluster, self._options, self._own = LabCluster(lab), options, own
        self._say, self._up, self._aborted = say, False, False
        self._site: Site | None = None

    def work(
        self, runs: queue.SimpleQueue[Run], done: Callable[[Result], None], stop: threading.Event
    ) -> None:
        """All runs that it gets. Raises LabFailed when its lab cannot be made."""
        try:
            while not stop.is_set():
                try:
                    run = runs.get_nowait()
                except queue.Empty:
                    return
                if self._own and not self._up:
                    try:
                        self._made()
                    except BaseException:
                        runs.put(run)  # another lab may do it
                        raise
                result = self._one(run)
                if stop.is_set():
                    return  # what happened to it was the end of this suite
                done(result)
                # What a failed run has left is no ground to judge another one on.
                if result.verdict == "red" and self._own:
                    if self._options.keep:
                        self._say(
                            f"stops; `python -m lab status --name {self.cluster.lab}` shows what is left"
                        )
                        self._own = False
                        return
                    self.down()
        finally:
            self.down()

    def abort(self) -> None:
        """What it does at this moment fails; `work` then takes its lab down and ends. In somebody else's lab
        faults are taken back before.
        """
        self._aborted = True
        if self._site is not None:
            self._site.abort()

    def down(self) -> None:
        """Its own lab is gone, with the stack's settings; another's stays."""
        if not self._own:
            return
        self._tell("takes the lab down")
        self._up = False
        try:
            self._at(DOWN).run(python("-m", "lab", "down", "--name", self.cluster.lab), 300)
        except LabFailed as error:
            self._tell(f"is still there, with its hosts: {error}")
        self.cluster.settings.unlink(missing_ok=True)

    def _made(self) -> None:
        """Made, in the second try at the latest: hours of runs may be left. Raises LabFailed."""
        try:
            self._make()
        except LabFailed as error:
            if self._aborted:
                raise
            self._tell(f"could not be made, once more: {error}")
            self._make()

    def _make(self) -> None:
        site = self._at("up.txt")
        begin = time.monotonic()
        self._tell("makes the lab and its stack")
        site.run(python("-m", "lab", "down", "--name", self.cluster.lab), 300)
        self._up = True
        dev = SETTINGS.read_text(encoding="utf-8")
        self.cluster.settings.write_text(settings_text(dev, self._options.store), encoding="utf-8")
        site.run(python("-m", "lab", "up", "--name", self.cluster.lab), UP)
        site.up(UP)
        self._tell(f"is up after {time.monotonic() - begin:.0f} s")

    def _one(self, run: Run) -> Result:
        folder = self._options.folder / file_name(run.id)
        set_aside(folder)
        self._tell(f"{run.id} …")
        site = self._at(f"{folder.name}/log.txt")
        one = OneRun(site, run, self._options.seed, folder, lambda text: self._tell(f"{run.id}: {text}"))
        return one.carry_out(self._options.broken, deep=self._options.deep)

    def _tell(self, text: str) -> None:
        self._say(f"{self.cluster.lab}: {text}")

    def _at(self, log: str) -> Site:
        """The site for its next work. Logs that are not of a run have the lab's name before theirs."""
        name = log if "/" in log else f"{self.cluster.lab}-{log}"
        path = self._options.folder / name
        self._site = Site(self.cluster, path, self._options.store, stays=not self._own)
        if self._aborted and log != DOWN:
            self._site.abort()
        return self._site


def file_name(run: str) -> str:
    """A run's name as that of its folder."""
    return re.sub(r"[^\w#]+", "-", run).strip("-")


def set_aside(folder: Path) -> None:
    """What an earlier try of that run has left stays beside it, with a number: it may be why this one is."""
    if folder.exists():
        number = next(n for n in itertools.count(1) if not folder.with_name(f"{folder.name}~{n}").exists())
        folder.rename(folder.with_name(f"{folder.name}~{number}"))


def carry_out(
    runs: Sequence[Run], workers: Sequence[Worker], done: Callable[[Result], None]
) -> list[LabFailed]:
    """All runs, each in the next lab that is free; what kept labs from being made. Ctrl-C ends it orderly."""
    waiting: queue.SimpleQueue[Run] = queue.SimpleQueue()
    for run in runs:
        waiting.put(run)
    stop, lock, failed = threading.Event(), threading.Lock(), list[LabFailed]()

    def one(result: Result) -> None:
        with lock:
            done(result)

    def work(worker: Worker) -> None:
        try:
            worker.work(waiting, one, stop)
        except LabFailed as error:
            failed.append(error)
        except Exception as error:  # of a thread nobody would hear
            failed.append(LabFailed(f"{worker.cluster.lab}: {type(error).__name__}: {error}"))

    threads = [threading.Thread(target=work, args=(worker,), daemon=True) for worker in workers]
    for thread in threads:
        thread.start()
    try:
        for thread in threads:
            while thread.is_alive():
                thread.join(1)
    except BaseException:
        stop.set()
        for worker in workers:
            worker.abort()
        for thread in threads:  # each takes its own lab down
            thread.join()
        raise
    return failed
