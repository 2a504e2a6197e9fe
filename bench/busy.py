"""Whether a node is thrown out of the cluster for nothing while every processor is busy.

`python -m bench.busy`: a stack with a load balancer, in a lab of its own. For an hour every host computes
(sysbench's prime numbers, a thread for each processor of this machine) while eight clients write as fast as
they can through the writer port and one more writes row after row and tells its longest pause. Each change
of the cluster's members has a number (`wsrep_cluster_conf_id`): one that differs at the end is a node that
was thrown out, or came back. Nobody stops, kills or cuts anything, so each such change is a false eviction;
so is, for its clients, each of the eight connections that is cut.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from bench import failover, report, sysbench
from bench.failover import on_host, sql, wait_whole
from bench.own_lab import BALANCER, BenchFailed, console, ended, operations, outputs, own_lab, run, tell
from bench.sysbench import Target
from harness.lab_cluster import HOSTS

CLIENTS = 8
EVERY = 30.0
"""Seconds between two looks."""
HEADINGS = (
    "minutes",
    "processors busy (%)",
    "writes/s",
    "changes of members",
    "changes of the writer",
    "connections cut",
    "longest pause of a client (s)",
)


@dataclass(frozen=True)
class Seen:
    """The cluster at one moment. change: the number of its members' last change. writer: its host."""

    change: int
    writer: str


@dataclass
class Told:
    """What the load's processes said, or why they failed."""

    writes: float = 0.0
    lost: int = 0
    pause: float | None = None
    failures: list[str] = field(default_factory=list)


def seen(before: str = "", host: str = HOSTS[0]) -> Seen:
    """The cluster as a host's node sees it. Raises BenchFailed.

    `before`: the writer that was seen last. Where the store does not answer in time, nobody knows of another.
    """
    change = int(sql(host, "SHOW STATUS LIKE 'wsrep_cluster_conf_id'").split("\t")[1])
    return Seen(change, str(failover.status(host).get("writer") or before))


def processors() -> tuple[int, int]:
    """Ticks that this machine's processors have worked, and all of them, since it was started."""
    with open("/proc/stat", encoding="ascii") as lines:
        ticks = [int(word) for word in lines.readline().split()[1:9]]
    idle = ticks[3] + ticks[4]
    return sum(ticks) - idle, sum(ticks)


def changes(found: Sequence[Seen]) -> tuple[int, int]:
    """How often the members changed, and how often another node became the writer."""
    writers = sum(1 for one, next_ in itertools.pairwise(found) if one.writer != next_.writer)
    return found[-1].change - found[0].change, writers


class Load:
    """All that keeps hosts and cluster busy for so many seconds."""

    def __init__(self, shown: Any, writer: str, seconds: int) -> None:
        self.told = Told()
        password, network = shown["passwords"]["app"], shown["network"]["name"]
        balancer, galera = shown["loadBalancer"], shown["galera"]
        host = next(name for name in HOSTS if name != writer)
        at = Target(network, balancer["vip"], int(balancer["writerPort"]), galera["database"])
        sql(writer, failover.TABLE)
        for each in HOSTS:
            on_host(each, sysbench.unpack(), sysbench.archive().read_bytes())
        given = f"{password}\n".encode()
        on_host(host, sysbench.command("oltp_write_only", at, "prepare"), given)
        way = failover.ways(network)[0]
        writes = sysbench.timed("oltp_write_only", at, CLIENTS, seconds, sysbench.GOES_ON)
        self._host, self._way = host, way
        self._threads = [
            threading.Thread(target=self._do, args=work, daemon=True)
            for work in (
                *((self._computes, each, sysbench.computing(os.cpu_count() or 1, seconds)) for each in HOSTS),
                (self._writes, host, writes, given),
                (self._pauses, host, way.command(password, writer)),
            )
        ]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, failed: object, *_: object) -> None:
        if failed:
            return
        failover.stop_clients(self._host, [self._way])
        for thread in self._threads:
            thread.join()

    def _do(self, work: Any, host: str, *words: Any) -> None:
        try:
            work(on_host(host, *words))
        except BenchFailed as error:
            self.told.failures.append(str(error))

    def _computes(self, said: str) -> None:
        if "total number of events" not in said:
            self.told.failures.append(f"sysbench did not compute: {said[-200:]}")

    def _writes(self, said: str) -> None:
        self.told.writes, self.told.lost = sysbench.parse(said).committed, sysbench.lost(said)

    def _pauses(self, said: str) -> None:
        self.told.pause = json.loads(said)["pause"]


def watched(load: Load, seconds: int) -> list[Seen]:
    """What each look saw, until the time is over; told now and then. Raises BenchFailed."""
    found = [seen()]
    begin = time.monotonic()
    with load:
        while (passed := time.monotonic() - begin) < seconds:
            time.sleep(min(EVERY, seconds - passed))
            if load.told.failures:
                raise BenchFailed("; ".join(load.told.failures))
            found.append(seen(found[-1].writer))
            gone = f"{(time.monotonic() - begin) / 60:.0f} of {seconds / 60:.0f} minutes"
            console.print(f"{gone}: {changes(found)[0]} changes of members, writer {found[-1].writer}")
    found.append(seen(found[-1].writer))
    return found


def measured(minutes: int) -> list[str]:
    """The table's row. Raises BenchFailed."""
    sysbench.archive()  # before the lab: it is here or nowhere
    with own_lab(sections=BALANCER):
        run("pulumi up", operations("up", "--yes"))
        writer = wait_whole()
        load = Load(outputs(), writer, minutes * 60)
        before = processors()
        found = watched(load, minutes * 60)
        worked, passed = (now - then for now, then in zip(processors(), before, strict=True))
        if load.told.failures or load.told.pause is None:
            raise BenchFailed("; ".join(load.told.failures) or "the client told no pause")
        members, writers = changes(found)
        run("verify", operations("verify"))
        return [
            *(f"{minutes}", f"{100 * worked / passed:.0f}", f"{load.told.writes:.0f}"),
            *(f"{members}", f"{writers}", f"{load.told.lost}", f"{load.told.pause:.1f}"),
        ]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures, prints, writes the document; the exit code is 0 unless something failed."""
    parser = argparse.ArgumentParser(prog="python -m bench.busy", description=__doc__)
    parser.add_argument("--minutes", type=int, default=60)
    parser.add_argument("--no-document", action="store_true", help="leave docs/reference/benchmarks.md alone")
    options = parser.parse_args(arguments)
    facts = report.machine()

    def work() -> None:
        row = measured(options.minutes)
        tell("busy", (HEADINGS, [row]), facts, document=not options.no_document)

    return ended("bench.busy", work)


if __name__ == "__main__":
    sys.exit(main())
