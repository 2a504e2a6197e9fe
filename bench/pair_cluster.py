"""A cluster of two mariadbd of the galera image that sysbench loads, on this machine's own kernel.

Owns: real processes in network namespaces, without an engine, hosts or the node's program; sysbench in a
namespace of its own beside them; that a figure is one, and not of a node that was alone, or of another way
than the one that is named. Leaves to others: the pair itself (`harness.database_pair`), what is measured
against what.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from bench import sysbench, ways
from bench.own_lab import BenchFailed
from bench.sysbench import Target, Throughput
from bench.ways import LOADS
from harness.database_pair import CopyFailed, Pair, ask
from harness.image_containers import Container
from images.galera.galera_node import tls
from lab import images

CLIENT = "10.77.0.31"
USER = "app"
"""And its database. Without a password: nobody else is in these namespaces."""
GRANTED = f"CREATE DATABASE {USER}; CREATE USER {USER}; GRANT ALL ON {USER}.* TO {USER}"
WELL = {"wsrep_cluster_size": "2", "wsrep_local_state_comment": "Synced"}
"""What each node must show after each run."""
ACCEPTED, REPLICATED = "Ssl_accepts", "wsrep_replicated"
"""Clients that came with TLS (who asks may be one, too); what a node's own clients wrote."""
NAMES = ", ".join(f"'{name}'" for name in (*WELL, ACCEPTED, REPLICATED))
STATUS = f"SHOW GLOBAL STATUS WHERE Variable_name IN ({NAMES})"

_MET = re.compile(r"connection established to \S+ (\w+)://")


@dataclass(frozen=True)
class Status:
    """What a node says of itself. accepted, replicated: since its start."""

    shows: Mapping[str, str]
    accepted: int
    replicated: int


class Cluster:
    """Two nodes that are Synced, and a client beside them with the tables filled.

    Attributes:
        donor, joiner: the nodes; the first one is the one that takes writes where one does.
    """

    def __init__(self, pair: Pair, tree: Path, files: tls.Files | None) -> None:
        """tree: sysbench's. files: the nodes', None for those without TLS. Raises BenchFailed."""
        self._tree, self._encrypted = tree, files is not None
        self.donor, self.joiner = pair.donor, pair.joiner
        self._client = pair.site.network.attach("client", CLIENT)
        pair.seed()
        try:
            pair.start_donor(files)
            pair.copy(files)
            ask(pair.donor, GRANTED)
        except (CopyFailed, OSError) as error:
            self.fail(str(error))
        self._sysbench(LOADS[0], self.direct(), "prepare")

    def direct(self, encrypted: bool = False) -> Target:
        """The first node itself. encrypted: with TLS."""
        return Target("", self.donor.address, 3306, USER, encrypted)

    def measure(
        self, load: str, clients: int, seconds: int, target: Target | None = None, spread: bool = False
    ) -> Throughput:
        """One run, and that it was one. Raises BenchFailed.

        Args:
            target: where clients connect; None for the donor itself.
            spread: they come to both nodes, as far as there are two of them, and not to the donor alone.
        """
        at = target or self.direct()
        asked, before = self._statuses(), self._statuses()
        said = self._sysbench(load, at, "run", *sysbench.pace(clients, seconds))
        after = self._statuses()
        self._check_nodes(after)
        # Asking may count as a client with TLS, too.
        came = sum(
            (now.accepted - then.accepted) - (then.accepted - first.accepted)
            for first, then, now in zip(asked, before, after, strict=True)
        )
        if came != (wanted := clients if at.tls else 0):
            self.fail(f"of {clients} clients {came} came with TLS, and not {wanted}")
        took = [now.replicated - then.replicated for then, now in zip(before, after, strict=True)]
        self._check_where(took, sysbench.transactions(said), clients, spread)
        return sysbench.parse(said)

    def fail(self, what: str) -> NoReturn:
        """Raises BenchFailed that names the cluster."""
        raise BenchFailed(f"the cluster {'with' if self._encrypted else 'without'} TLS: {what}")

    def _check_nodes(self, statuses: Sequence[Status]) -> None:
        for node, status in zip((self.donor, self.joiner), statuses, strict=True):
            for name, wanted in WELL.items():
                if (found := status.shows[name]) != wanted:
                    self.fail(f"{node.name}: {name} is {found}, not {wanted}")
            if amiss := wrong_way(node.log, self._encrypted):
                self.fail(f"{node.name}: {amiss}")

    def _check_where(self, took: Sequence[int], transactions: int, clients: int, spread: bool) -> None:
        nodes = (self.donor.name, self.joiner.name)
        told = ", ".join(f"{each} at {name}" for name, each in zip(nodes, took, strict=True))
        if sum(took) < transactions:
            self.fail(f"sysbench reports {transactions} transactions, the nodes {told}")
        if spread and clients > 1:
            wanted, right = "at both nodes", all(took)
        elif spread:
            wanted, right = "at one node", not all(took)
        else:
            wanted, right = f"at {nodes[0]} alone", not took[1]
        if not right:
            self.fail(f"transactions must be {wanted}, and there are {told}")

    def _statuses(self) -> list[Status]:
        return [self._status(node) for node in (self.donor, self.joiner)]

    def _status(self, node: Container) -> Status:
        try:
            found = dict(line.split("\t") for line in ask(node, STATUS).splitlines())
            return Status(found, int(found[ACCEPTED]), int(found[REPLICATED]))
        except (OSError, ValueError, KeyError) as error:
            self.fail(f"{node.name}: {error}")

    def _sysbench(self, load: str, target: Target, what: str, *options: str) -> str:
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


def parser(bench: str, about: str | None) -> argparse.ArgumentParser:
    """The options that all of these benches have, and of which Debian the images are."""
    made = ways.parser(bench, about)
    made.add_argument("--debian", choices=images.SUITES, default=images.SUITES[0], help="of the images")
    return made


@contextmanager
def sysbench_tree(files: tls.Files | None = None) -> Iterator[Path]:
    """sysbench's folder, gone at the end. files: for clients with TLS. Raises BenchFailed."""
    with tempfile.TemporaryDirectory(prefix="sgbench-") as folder:
        tree = Path(folder)
        subprocess.run(["tar", "-xzf", str(sysbench.archive()), "-C", str(tree)], check=True)
        if files is not None:
            given = ("".join(files.authorities), files.certificate, files.key)
            for name, text in zip(sysbench.CERTIFICATES, given, strict=True):
                (tree / name).touch(0o600)
                (tree / name).write_text(text, encoding="ascii")
        yield tree
