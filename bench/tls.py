"""What TLS between the nodes costs: a cluster's throughput with it, against the same cluster's without.

`python -m bench.tls`: two clusters of two mariadbd of the galera image each, as real processes in network
namespaces, without an engine, hosts or the node's program. One has its certificates in Galera's options
(`socket.ssl`), the other has none. sysbench, in a namespace of its own beside them, loads the first node of
each in turn, without TLS on that way: clients' TLS is measured by balancer.py.

A transaction is encrypted once here. In a cluster of three, a node sends it to two others.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from bench import pair_cluster, report, sst, ways
from bench.own_lab import console, ended, tell
from bench.pair_cluster import Cluster
from bench.ways import Measured
from harness.database_pair import Pair
from harness.image_roots import image_root

PLAIN, TLS = "without TLS", "with TLS"
WAYS = (PLAIN, TLS)
GOAL = 0.9
"""Of the throughput without TLS, at least."""
HEADINGS = ("load", "clients", "without TLS (transactions/s)", "with TLS", "ratio", "lowest", "highest")


def table(measured: Measured) -> list[list[str]]:
    """Rows for people: medians of all rounds, and between which ratios these were."""
    rows = []
    for (load, clients), found in measured.items():
        ratios = [each.ratio(TLS, PLAIN) for each in found]
        told = [ways.speed(found, way) for way in WAYS]
        told += [f"{ratio:.2f}" for ratio in (ways.ratio(found, TLS, PLAIN), min(ratios), max(ratios))]
        rows.append([load, f"{clients}", *told])
    return rows


def verdict(measured: Measured) -> str:
    """The goal, and the worst that was measured."""
    met = ways.judged(measured, TLS, GOAL, PLAIN)
    return f"Goal: with TLS at least {GOAL} of the throughput without, {met}."


@contextmanager
def both(root: Path) -> Iterator[dict[str, Cluster]]:
    """The two clusters, gone at the end. root: of the galera image. Raises BenchFailed."""
    with ExitStack() as stack:
        tree = stack.enter_context(pair_cluster.sysbench_tree())
        made = {}
        for way, files in ((PLAIN, None), (TLS, sst.certificate())):
            console.print(f"the cluster {way}: forms, and is filled")
            made[way] = Cluster(stack.enter_context(Pair(root)), tree, files)
        yield made


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures, prints, writes the document; the exit code is 0 unless something failed."""
    options = pair_cluster.parser("tls", __doc__).parse_args(arguments)
    facts = report.machine()

    def work() -> None:
        with both(image_root("galera", options.debian)) as clusters:
            measured = ways.measured(
                WAYS, options.runs, options.seconds, lambda way, *run: clusters[way].measure(*run)
            )
        how = f"{facts}; Debian's {options.debian}; medians of {options.runs} rounds of {options.seconds} s"
        tell("tls", (HEADINGS, table(measured)), how, verdict(measured), document=not options.no_document)

    return ended("bench.tls", work)


if __name__ == "__main__":
    sys.exit(main())
