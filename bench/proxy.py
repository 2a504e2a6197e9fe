"""What the ways to the database cost: throughput through each of them, against a direct connection to a node.

`python -m bench.proxy`: a stack with a load balancer, in a lab of its own. sysbench in a container on the
overlay network, on a host that is not the writer's, loads the cluster on each way in turn: directly at the
writer's node, the same over TLS, through the load balancer's writer and reader ports, through the database's
virtual IP. Nodes speak TLS to one another in all of them. The hosts share this machine's cores, and a system
call on them is dear: what the load balancer costs on a kernel of its own is measured by balancer.py.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any

from bench import failover, report, sysbench, ways
from bench.failover import on_host
from bench.own_lab import BALANCER, BenchFailed, console, ended, operations, outputs, own_lab, run, tell
from bench.sysbench import Target, Throughput
from bench.ways import CLIENTS, DIRECT, GOALS, LOADS, READER, TLS, VIP, WARM, WRITER, Measured, Round, turned
from harness.lab_cluster import HOSTS, IN_CONTAINER

WAYS = (DIRECT, *GOALS)
ATTEMPTS = 3  # rounds for each that is wanted, before a writer that changes is a failure
HEADINGS = ("load", "clients", "direct (transactions/s)", *GOALS, "repeated at the virtual IP (/s)")


class Bench:
    """A stack that is measured, by its outputs."""

    def __init__(self, outputs: Mapping[str, Any], seconds: int) -> None:
        self._outputs, self._seconds = outputs, seconds
        self._ready: set[str] = set()

    def fill(self) -> None:
        """The tables, through the node that takes the writes. They are there for all loads."""
        writer = failover.wait_whole()
        load = sysbench.command(LOADS[0], self._targets(writer)[DIRECT], "prepare")
        self._on_client(self._client(writer), load)

    def rounds(self, load: str, clients: int, wanted: int) -> list[Round]:
        """So many of them, in which the writer stayed the same. Raises BenchFailed."""
        found: list[Round] = []
        for number in range(wanted * ATTEMPTS):
            writer = failover.wait_whole()
            if number == 0:
                self._measure(writer, self._targets(writer)[DIRECT], load, clients, WARM)
            through, failed = self._turn(writer, load, clients, number)
            if (now := failover.wait_whole()) != writer:
                console.print(f"the writer is {now} now, and no more {writer}: this round does not count")
                continue
            if failed:
                raise failed
            found.append(Round({way: through[way] for way in WAYS}))
            ways.tell(f"{load}, {clients} clients, {len(found)} of {wanted}", found[-1])
            if len(found) == wanted:
                return found
        raise BenchFailed(f"{load}, {clients} clients: the writer does not stay the same")

    def _turn(
        self, writer: str, load: str, clients: int, number: int
    ) -> tuple[dict[str, Throughput], BenchFailed | None]:
        """All ways once, or the failure that ended it: when the writer changes, its sessions are cut."""
        through: dict[str, Throughput] = {}
        try:
            targets = self._targets(writer)
            for way in turned(WAYS, number):
                through[way] = self._measure(writer, targets[way], load, clients, self._seconds)
        except BenchFailed as error:
            return through, error
        return through, None

    def _targets(self, writer: str) -> dict[str, Target]:
        network, galera = self._outputs["network"]["name"], self._outputs["galera"]
        balancer = self._outputs["loadBalancer"]
        direct = (failover.sql(writer, "SELECT @@wsrep_node_address"), galera["port"])
        at = {
            DIRECT: direct,
            TLS: direct,
            WRITER: (balancer["vip"], balancer["writerPort"]),
            READER: (balancer["vip"], balancer["readerPort"]),
            VIP: (galera["vip"], galera["port"]),
        }
        user = galera["database"]
        return {way: Target(network, host, int(port), user, way == TLS) for way, (host, port) in at.items()}

    def _measure(self, writer: str, target: Target, load: str, clients: int, seconds: int) -> Throughput:
        text = sysbench.timed(load, target, clients, seconds)
        return sysbench.parse(self._on_client(self._client(writer), text))

    def _client(self, writer: str) -> str:
        """A host that is not the writer's, with sysbench on it."""
        host = next(name for name in HOSTS if name != writer)
        if host not in self._ready:
            on_host(host, sysbench.unpack(), sysbench.archive().read_bytes())
            for name, secret in sysbench.CERTIFICATES.items():
                kept = on_host(writer, f"{IN_CONTAINER} cat /run/secrets/{secret}")
                on_host(host, sysbench.put(name), kept.encode())
            self._ready.add(host)
        return host

    def _on_client(self, host: str, text: str) -> str:
        return on_host(host, text, f"{self._outputs['passwords']['app']}\n".encode())


def table(measured: Measured) -> list[list[str]]:
    """Rows for people, by load and number of clients."""
    return [
        [
            load,
            f"{clients}",
            ways.speed(rounds),
            *(f"{ways.ratio(rounds, way):.2f}" for way in GOALS),
            ways.repeated(rounds, VIP),
        ]
        for (load, clients), rounds in measured.items()
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures, prints, writes the document; the exit code is 0 unless something failed."""
    options = ways.parser("proxy", __doc__).parse_args(arguments)
    facts = report.machine()

    def work() -> None:
        sysbench.archive()  # before the lab: it is here or nowhere
        with own_lab(sections=BALANCER):
            run("pulumi up", operations("up", "--yes"))
            bench = Bench(outputs(), options.seconds)
            bench.fill()
            measured = {
                (load, clients): bench.rounds(load, clients, options.runs)
                for load in LOADS
                for clients in CLIENTS
            }
        rows, goals = table(measured), ways.verdict(measured, tuple(GOALS))
        how = f"{facts}; medians of {options.runs} rounds of {options.seconds} s"
        tell("proxy", (HEADINGS, rows), how, goals, document=not options.no_document)

    return ended("bench.proxy", work)


if __name__ == "__main__":
    sys.exit(main())
