"""What TLS between the nodes costs: a cluster's throughput with it, against the same cluster's without.

`python -m bench.tls`: two clusters of two mariadbd of the galera image each, as real processes in network
namespaces, without an engine, hosts or the node's program. One has its certificates in Galera's options
(`socket.ssl`), the other has none. sysbench, in a namespace of its own beside them, loads the first node of
each in turn, without TLS on that way: clients' TLS is measured by proxy.py. Both in one turn are a round,
each begins with the other one, and a ratio is of one round: so what changes on the machine meanwhile favours
neither.

A transaction is encrypted once here. In a cluster of three, a node sends it to two others.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import NoReturn

from bench import report, sst, sysbench
from bench.own_lab import BenchFailed, console, ended, tell
from bench.proxy import CLIENTS, LOADS, turned
from bench.sysbench import Target, Throughput
from harness.database_pair import CopyFailed, Pair, ask
from harness.image_containers import Container
from harness.image_roots import image_root
from images.galera.galera_node import tls
from lab import images

PLAIN, TLS = "without TLS", "with TLS"
WAYS = (PLAIN, TLS)
WARM = 5  # seconds before the first round of a load, which do not count
GOAL = 0.9
"""Of the throughput without TLS, at least."""
CLIENT = "10.77.0.31"
USER = "app"
"""And its database. Without a password: nobody else is in these namespaces."""
GRANTED = f"CREATE DATABASE {USER}; CREATE USER {USER}; GRANT ALL ON {USER}.* TO {USER}"
STATUS = "SELECT VARIABLE_VALUE FROM information_schema.GLOBAL_STATUS WHERE VARIABLE_NAME = "
SEEN = {"WSREP_CLUSTER_SIZE": "2", "WSREP_LOCAL_STATE_COMMENT": "Synced"}
"""What each node must show after each run."""
ACCEPTED = f"{STATUS}'SSL_ACCEPTS'"
"""How many clients have come with TLS, whoever asks with them if they can."""
HEADINGS = ("load", "clients", "without TLS (transactions/s)", "with TLS", "ratio", "lowest", "highest")

_MET = re.compile(r"connection established to \S+ (\w+)://")

Measured = Mapping[tuple[str, int], Sequence["Round"]]
"""By load and number of clients."""


@dataclass(frozen=True)
class Round:
    """One turn of both: transactions a second."""

    plain: float
    tls: float

    @property
    def ratio(self) -> float:
        return self.tls / self.plain


class Cluster:
    """Two nodes that are Synced, and a client beside them with the tables filled."""

    def __init__(self, pair: Pair, tree: Path, files: tls.Files | None) -> None:
        """tree: sysbench's. files: the nodes', None for those without TLS. Raises BenchFailed."""
        self._pair, self._tree, self._encrypted = pair, tree, files is not None
        self._client = pair.site.network.attach("client", CLIENT)
        pair.seed()
        pair.start_donor(files)
        try:
            pair.copy(files)
            ask(pair.donor, GRANTED)
        except (CopyFailed, OSError) as error:
            self._fail(str(error))
        self._sysbench(LOADS[0], "prepare")

    def measure(self, load: str, clients: int, seconds: int) -> Throughput:
        """One run, and that both nodes were in it. Raises BenchFailed."""
        before, begins = self._accepted(), self._accepted()
        found = sysbench.parse(self._sysbench(load, "run", *sysbench.pace(clients, seconds)))
        if self._accepted() - begins != begins - before:
            self._fail("sysbench came with TLS")
        for node in (self._pair.donor, self._pair.joiner):
            if amiss := self._amiss(node):
                self._fail(f"{node.name}: {amiss}")
        return found

    def _fail(self, what: str) -> NoReturn:
        raise BenchFailed(f"the cluster {TLS if self._encrypted else PLAIN}: {what}")

    def _accepted(self) -> int:
        try:
            return int(ask(self._pair.donor, ACCEPTED))
        except (OSError, ValueError) as error:
            self._fail(f"donor: {error}")

    def _amiss(self, node: Container) -> str:
        """Why a figure is none: of a node that was alone, or of the other way. Empty if it is one."""
        try:
            for name, wanted in SEEN.items():
                if (found := ask(node, f"{STATUS}'{name}'")) != wanted:
                    return f"{name.lower()} is {found}, not {wanted}"
        except OSError as error:
            return str(error)
        return wrong_way(node.log, self._encrypted)

    def _sysbench(self, load: str, what: str, *options: str) -> str:
        target = Target("", self._pair.donor.address, 3306, USER)
        inside = ["chroot", str(self._tree), "/usr/bin/sysbench"]
        words = ["ip", "netns", "exec", self._client, *inside]
        done = subprocess.run(
            [*words, *sysbench.words(load, target, what, *options)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            said = f"{done.stdout}{done.stderr}".strip()[-600:]
            raise BenchFailed(f"sysbench ended with exit code {done.returncode}: {said}")
        return done.stdout


def wrong_way(log: str, encrypted: bool) -> str:
    """What a node's log has against its being one with, or without, TLS; empty if nothing.

    Nothing else tells: no variable of the server says what its connections to other nodes are.
    """
    met = set(_MET.findall(log))
    wanted = {"ssl" if encrypted else "tcp"}
    return "" if met == wanted else f"it has met the other node by {', '.join(sorted(met)) or 'nothing'}"


def rounds(
    clusters: Mapping[str, Cluster], load: str, clients: int, wanted: int, seconds: int
) -> list[Round]:
    """So many of them, after a short one that does not count. Raises BenchFailed."""
    for way in WAYS:
        clusters[way].measure(load, clients, WARM)
    found: list[Round] = []
    for number in range(wanted):
        each = {way: clusters[way].measure(load, clients, seconds).committed for way in turned(WAYS, number)}
        found.append(Round(each[PLAIN], each[TLS]))
        told = ", ".join(f"{way} {each[way]:.0f}/s" for way in WAYS)
        console.print(f"{load}, {clients} clients, {number + 1} of {wanted}: {told}")
    return found


def table(measured: Measured) -> list[list[str]]:
    """Rows for people: medians of all rounds, and between which ratios these were."""
    rows = []
    for (load, clients), found in measured.items():
        ratios = [each.ratio for each in found]
        speeds = (median(each.plain for each in found), median(each.tls for each in found))
        told = [f"{speed:.0f}" for speed in speeds]
        told += [f"{ratio:.2f}" for ratio in (median(ratios), min(ratios), max(ratios))]
        rows.append([load, f"{clients}", *told])
    return rows


def verdict(measured: Measured) -> str:
    """The goal, and the worst that was measured."""
    worst, where = min((median(each.ratio for each in found), at) for at, found in measured.items())
    met = "met" if worst >= GOAL else f"missed: {worst:.2f} with {where[0]}, {where[1]} clients"
    return f"Goal: with TLS at least {GOAL} of the throughput without, {met}."


@contextmanager
def both(root: Path) -> Iterator[dict[str, Cluster]]:
    """The two clusters, gone at the end. root: of the galera image. Raises BenchFailed."""
    with ExitStack() as stack:
        tree = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="sgtls-")))
        subprocess.run(["tar", "-xzf", str(sysbench.archive()), "-C", str(tree)], check=True)
        made = {}
        for way, files in ((PLAIN, None), (TLS, sst.certificate())):
            console.print(f"the cluster {way}: forms, and is filled")
            made[way] = Cluster(stack.enter_context(Pair(root)), tree, files)
        yield made


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures, prints, writes the document; the exit code is 0 unless something failed."""
    parser = argparse.ArgumentParser(prog="python -m bench.tls", description=__doc__)
    parser.add_argument("--runs", type=int, default=3, help="rounds of each load and number of clients")
    parser.add_argument("--seconds", type=int, default=20, help="that a cluster is loaded in each round")
    parser.add_argument("--debian", choices=images.SUITES, default=images.SUITES[0], help="of the image")
    parser.add_argument("--no-document", action="store_true", help="leave docs/reference/benchmarks.md alone")
    options = parser.parse_args(arguments)
    if options.runs < 1 or options.seconds < 1:
        parser.error("--runs and --seconds must be >= 1")
    facts = report.machine()

    def work() -> None:
        with both(image_root("galera", options.debian)) as clusters:
            measured = {
                (load, clients): rounds(clusters, load, clients, options.runs, options.seconds)
                for load in LOADS
                for clients in CLIENTS
            }
        how = f"{facts}; Debian's {options.debian}; medians of {options.runs} rounds of {options.seconds} s"
        tell("tls", (HEADINGS, table(measured)), how, verdict(measured), document=not options.no_document)

    return ended("bench.tls", work)


if __name__ == "__main__":
    sys.exit(main())
