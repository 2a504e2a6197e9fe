"""What the load balancer costs: throughput through HAProxy's ports, against a direct connection to the node.

`python -m bench.balancer`: two mariadbd of the galera image as a cluster, and before them HAProxy of its
image, with that image's own configuration and entrypoint, as real processes in network namespaces, without an
engine or hosts. sysbench, in a namespace of its own, loads the cluster on each way in turn: directly at the
first node, the same over TLS, through the port for the writer and through the one for readers. Nodes speak
TLS to one another in all of them. proxy.py measures the same on the lab's hosts, where a system call is dear,
and HAProxy does little else.

Two parts of a stack are not here, and neither is on the way of a transaction, or of a connection:

- The node's program, which decides who is the writer. The answers to HAProxy's checks, two a second of each
  node, come from its own HTTP port (`Teller` of `neighbours.py`), and are always the same: the first node is
  the writer, both may be read. That they serve is looked at after each run.
- The engine's name server: HAProxy asks once a second for `tasks.galera`, and is told the two addresses.

Nor is there an overlay network: each way is a bridge between namespaces, which HAProxy's ways take twice.
"""

from __future__ import annotations

import csv
import secrets
import socket
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from http import HTTPStatus

from bench import pair_cluster, report, sst, ways
from bench.own_lab import BenchFailed, console, ended, tell
from bench.pair_cluster import Cluster
from bench.sysbench import Throughput
from bench.ways import DIRECT, READER, TLS, WRITER, Measured
from harness.database_pair import Pair
from harness.image_containers import Container, Site, wait_for
from harness.image_roots import image_root
from harness.name_server import NameServer, inside
from images.galera.galera_node.neighbours import Teller
from images.haproxy.haproxy_node.cli import SOCKET
from images.haproxy.haproxy_node.settings import PASSWORD

GOALS = (WRITER, READER, TLS)
WAYS = (DIRECT, *GOALS)
PORTS = {WRITER: 6446, READER: 6447}
USER = "997:997"
"""As images/haproxy/Dockerfile has it."""
ENV = {
    "NODE_NAME": "haproxy",
    "PEERS": "tasks.galera",
    "SERVERS": "8",
    "WRITER_PORT": str(PORTS[WRITER]),
    "READER_PORT": str(PORTS[READER]),
    "STATS_PORT": "8404",
}
"""As the component renders it for three hosts (components/load_balancer.py), but for the node's name."""
SERVING = {WRITER: 1, READER: 2}
"""Servers of each port that the checks must have found."""
PROXIES = {WRITER: "writer", READER: "reader"}
"""Names in haproxy.cfg."""
HEADINGS = ("load", "clients", "direct (transactions/s)", *GOALS, "repeated at the reader port (/s)")


@dataclass(frozen=True)
class Seen:
    """What HAProxy says of one port: servers that are up, and sessions that these got since its start."""

    serving: int
    sessions: int


class Balancer:
    """HAProxy before a pair's nodes."""

    def __init__(self, site: Site) -> None:
        self.container = site.add(
            "haproxy",
            "haproxy",
            5,
            user=USER,
            volume_at="/mnt",
            command=("/usr/local/bin/haproxy-node", "run"),
            env=ENV,
            secrets={PASSWORD: secrets.token_hex(16)},
            hosts="",
        )

    def seen(self) -> dict[str, Seen]:
        """By port. Raises OSError."""
        return seen(_answer(self.container, "show stat"))

    def start(self) -> None:
        """Until the checks have found the nodes. Raises OSError."""
        self.container.start()
        wait_for(lambda: serves(self.seen()), "HAProxy has found the nodes", 30)


def _answer(proxy: Container, question: str) -> str:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(10)
        connection.connect(f"/proc/{proxy.init_pid()}/root{SOCKET}")
        connection.sendall(f"{question}\n".encode())
        answer = b""
        while more := connection.recv(65536):
            answer += more
    return answer.decode()


def seen(statistics: str) -> dict[str, Seen]:
    """What HAProxy's `show stat` says of each port."""
    rows = list(csv.DictReader(statistics.removeprefix("# ").splitlines()))
    found = {}
    for way, proxy in PROXIES.items():
        servers = [
            row for row in rows if row["pxname"] == proxy and row["svname"] not in ("FRONTEND", "BACKEND")
        ]
        up = sum(1 for row in servers if row["status"] == "UP")
        found[way] = Seen(up, sum(int(row["stot"]) for row in servers))
    return found


def serves(found: Mapping[str, Seen]) -> bool:
    """Whether all nodes that should be are up."""
    return {way: each.serving for way, each in found.items()} == SERVING


def amiss(before: Mapping[str, Seen], after: Mapping[str, Seen], way: str, clients: int) -> str:
    """Why a run is none of this way; empty if it is one."""
    if not serves(after):
        return f"HAProxy has {', '.join(f'{each.serving} up at the {port}' for port, each in after.items())}"
    for port in PORTS:
        came, wanted = after[port].sessions - before[port].sessions, clients if port == way else 0
        if came != wanted:
            return f"{came} sessions came through HAProxy's {port}, and not {wanted}"
    return ""


def measure(
    cluster: Cluster, balancer: Balancer, way: str, load: str, clients: int, seconds: int
) -> Throughput:
    """One run on a way, and that it took this one. Raises BenchFailed."""
    target = cluster.direct(encrypted=way == TLS)
    if way in PORTS:
        target = replace(target, host=balancer.container.address, port=PORTS[way])
    try:
        before = balancer.seen()
        found = cluster.measure(load, clients, seconds, target, spread=way == READER)
        wrong = amiss(before, balancer.seen(), way, clients)
    except OSError as error:
        raise BenchFailed(f"HAProxy: {error}") from error
    if wrong:
        raise BenchFailed(f"{way}: {wrong}")
    return found


def says(writer: bool, path: str) -> int:
    """A node's answer to a check."""
    serves = path == "/reader" or (path == "/writer" and writer)
    return HTTPStatus.OK if serves else HTTPStatus.SERVICE_UNAVAILABLE


@contextmanager
def balanced(debian: str) -> Iterator[tuple[Cluster, Balancer]]:
    """The cluster and HAProxy before it, gone at the end. debian: of the images. Raises BenchFailed."""
    roots = {name: image_root(name, debian) for name in ("galera", "haproxy")}
    files = sst.certificate()
    with ExitStack() as stack:
        tree = stack.enter_context(pair_cluster.sysbench_tree(files))
        pair = stack.enter_context(Pair(roots["galera"], roots))
        console.print("the cluster forms, and is filled")
        cluster, balancer = Cluster(pair, tree, files), Balancer(pair.site)
        nodes = (cluster.donor, cluster.joiner)
        try:
            for node in nodes:
                answers = partial(says, node is cluster.donor)
                teller = inside(node.namespace, partial(Teller, node.address, endpoint=answers))
                stack.callback(teller.close)
            names = NameServer(balancer.container.namespace)
            stack.callback(names.close)
            names.addresses = [node.address for node in nodes]
            balancer.start()
        except OSError as error:
            raise BenchFailed(f"HAProxy: {error}; it says:\n{balancer.container.log[-2000:]}") from error
        yield cluster, balancer


def table(measured: Measured) -> list[list[str]]:
    """Rows for people: medians of all rounds, and between which ratios these were."""
    rows = []
    for (load, clients), rounds in measured.items():
        row = [load, f"{clients}", ways.speed(rounds)]
        for way in GOALS:
            ratios = [each.ratio(way) for each in rounds]
            row.append(f"{ways.ratio(rounds, way):.2f} ({min(ratios):.2f} to {max(ratios):.2f})")
        rows.append([*row, ways.repeated(rounds, READER)])
    return rows


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures, prints, writes the document; the exit code is 0 unless something failed."""
    options = pair_cluster.parser("balancer", __doc__).parse_args(arguments)
    facts = report.machine()

    def work() -> None:
        with balanced(options.debian) as made:
            measured = ways.measured(WAYS, options.runs, options.seconds, partial(measure, *made))
        how = f"{facts}; Debian's {options.debian}; medians of {options.runs} rounds of {options.seconds} s"
        goals = ways.verdict(measured, GOALS)
        tell("balancer", (HEADINGS, table(measured)), how, goals, document=not options.no_document)

    return ended("bench.balancer", work)


if __name__ == "__main__":
    sys.exit(main())
