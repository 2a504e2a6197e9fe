"""Which runs against a pair of nodes are measurements, and which are refused."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest

from bench import pair_cluster, sysbench
from bench.own_lab import BenchFailed
from bench.pair_cluster import ACCEPTED, REPLICATED, WELL, Cluster
from bench.sysbench import Throughput
from harness.database_pair import CopyFailed, Pair
from images.galera.galera_node.tls import Files
from tests.unit.bench.test_bench_proxy import REPORT

pytestmark = pytest.mark.unit

MET = (
    "2026-11-30 11:00:00 0 [Note] WSREP: (6a11f9b7-9fa7, '{0}://10.77.0.22:4567') connection established to "
    "65e52d4f-99b5 {0}://10.77.0.21:4567\n"
)
TRANSACTIONS = 5008
"""Of REPORT."""


@pytest.mark.parametrize(
    ("log", "encrypted", "said"),
    [
        (MET.format("ssl"), True, ""),
        (MET.format("tcp"), False, ""),
        (MET.format("tcp"), True, "it has met the other node by tcp"),
        (MET.format("ssl"), False, "it has met the other node by ssl"),
        (MET.format("tcp") + MET.format("ssl"), True, "it has met the other node by ssl, tcp"),
        ("listening at ssl://10.77.0.21:4567\n", True, "it has met the other node by nothing"),
    ],
)
def test_a_nodes_log_tells_whether_it_speaks_tls_to_the_other_one(
    log: str, encrypted: bool, said: str
) -> None:
    assert pair_cluster.wrong_way(log, encrypted) == said


@dataclass
class FakeNode:
    """takes: transactions in a run."""

    name: str
    address: str
    log: str
    takes: int
    shows: dict[str, str] = field(default_factory=lambda: dict(WELL))
    accepted: int = 0
    replicated: int = 7


class FakePair:
    """Two nodes whose status and log the test says."""

    def __init__(self, scheme: str) -> None:
        log = MET.format(scheme)
        self.donor = FakeNode("donor", "10.77.0.21", log, TRANSACTIONS)
        self.joiner = FakeNode("joiner", "10.77.0.22", log, 0)
        self.site, self.network = self, self
        self.copied = True
        self.did: list[Any] = []

    def attach(self, name: str, address: str) -> str:
        return f"sgimg-{name}"

    def seed(self) -> None:
        self.did.append("seed")

    def start_donor(self, files: object) -> None:
        self.did.append(("donor", files))

    def copy(self, files: object) -> None:
        if not self.copied:
            raise CopyFailed("the joiner is not Synced")
        self.did.append(("joiner", files))


class Machine:
    """What runs on it, and what a node answers."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.ran: list[list[str]] = []
        self.code = 0
        self.own = self.clients = 0  # clients with TLS: one who asks, those of a run
        self.pair = FakePair("tcp")
        monkeypatch.setattr(pair_cluster, "ask", self._ask)
        monkeypatch.setattr(subprocess, "run", self._run)

    def made(self, scheme: str = "tcp") -> Cluster:
        self.pair = FakePair(scheme)
        return self.over(self.pair, "files" if scheme == "ssl" else None)

    def over(self, pair: FakePair, files: object) -> Cluster:
        self.pair = pair
        return Cluster(cast(Pair, pair), Path("/tree"), cast(Any, files))

    def _ask(self, node: FakeNode, statement: str) -> str:
        if statement == pair_cluster.GRANTED:
            return ""
        node.accepted += self.own
        assert statement == pair_cluster.STATUS
        assert all(f"'{name}'" in statement for name in (*WELL, ACCEPTED, REPLICATED))
        shown = {**node.shows, ACCEPTED: node.accepted, REPLICATED: node.replicated}
        return "\n".join(f"{name}\t{value}" for name, value in shown.items())

    def _run(self, words: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        self.ran.append(words)
        self.pair.donor.accepted += self.clients
        for node in (self.pair.donor, self.pair.joiner):
            node.replicated += node.takes
        return subprocess.CompletedProcess(words, self.code, REPORT, "FATAL: no")


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(monkeypatch)


@pytest.mark.parametrize(("scheme", "files"), [("ssl", "files"), ("tcp", None)])
def test_both_nodes_have_the_files_or_neither_and_the_client_comes_without_tls(
    machine: Machine, scheme: str, files: str | None
) -> None:
    cluster = machine.made(scheme)
    assert machine.pair.did == ["seed", ("donor", files), ("joiner", files)]
    assert cluster.measure("oltp_write_only", 32, 20) == Throughput(250.31, 1.55)
    prepared, measured = machine.ran
    inside = ["ip", "netns", "exec", "sgimg-client", "chroot", "/tree", "/usr/bin/sysbench"]
    assert prepared[:7] == measured[:7] == inside
    assert (prepared[-1], measured[-1], measured[7]) == ("prepare", "run", "oltp_write_only")
    assert {"--mysql-host=10.77.0.21", "--threads=32", "--time=20", *sysbench.DATA} <= set(measured)
    assert "--mysql-ssl=on" not in measured


@pytest.mark.parametrize(
    ("name", "found", "said"),
    [
        ("wsrep_cluster_size", "1", "wsrep_cluster_size is 1, not 2"),
        ("wsrep_local_state_comment", "Donor/Desynced", "wsrep_local_state_comment is Donor/Desynced"),
    ],
)
def test_a_run_in_which_a_node_was_missing_is_no_measurement(
    machine: Machine, name: str, found: str, said: str
) -> None:
    cluster = machine.made()
    machine.pair.joiner.shows[name] = found
    with pytest.raises(BenchFailed, match=f"the cluster without TLS: joiner: {said}"):
        cluster.measure("oltp_read_write", 1, 20)


@pytest.mark.parametrize("own", [0, 1])
def test_clients_come_with_tls_if_they_should_and_not_otherwise_whoever_asks_with_it(
    machine: Machine, own: int
) -> None:
    cluster = machine.made("ssl")
    machine.own = own
    cluster.measure("oltp_read_write", 8, 20)
    with pytest.raises(BenchFailed, match="the cluster with TLS: of 8 clients 0 came with TLS, and not 8"):
        cluster.measure("oltp_read_write", 8, 20, cluster.direct(encrypted=True))
    machine.clients = 8
    cluster.measure("oltp_read_write", 8, 20, cluster.direct(encrypted=True))
    assert "--mysql-ssl=on" in machine.ran[-1]
    with pytest.raises(BenchFailed, match="the cluster with TLS: of 8 clients 8 came with TLS, and not 0"):
        cluster.measure("oltp_read_write", 8, 20)


@pytest.mark.parametrize(
    ("takes", "clients", "spread", "said"),
    [
        ((TRANSACTIONS, 0), 8, False, ""),
        (
            (TRANSACTIONS - 1, 0),
            8,
            False,
            "sysbench reports 5008 transactions, the nodes 5007 at donor, 0 at",
        ),
        ((0, 0), 8, False, "sysbench reports 5008 transactions, the nodes 0 at donor, 0 at joiner"),
        (
            (TRANSACTIONS, 1),
            8,
            False,
            "transactions must be at donor alone, and there are 5008 at donor, 1 at",
        ),
        ((0, TRANSACTIONS), 8, False, "transactions must be at donor alone"),
        ((3000, 3000), 8, True, ""),
        ((TRANSACTIONS, 0), 8, True, "transactions must be at both nodes"),
        ((0, TRANSACTIONS), 1, True, ""),
        ((TRANSACTIONS, 0), 1, True, ""),
        ((3000, 3000), 1, True, "transactions must be at one node"),
    ],
)
def test_the_nodes_that_were_to_take_the_transactions_have_taken_them(
    machine: Machine, takes: tuple[int, int], clients: int, spread: bool, said: str
) -> None:
    cluster = machine.made()
    machine.pair.donor.takes, machine.pair.joiner.takes = takes
    if said:
        with pytest.raises(BenchFailed, match=f"the cluster without TLS: {said}"):
            cluster.measure("oltp_read_write", clients, 20, spread=spread)
    else:
        cluster.measure("oltp_read_write", clients, 20, spread=spread)


def test_nodes_that_did_not_come_to_tls_are_no_measurement(machine: Machine) -> None:
    cluster = machine.over(FakePair("tcp"), "files")
    with pytest.raises(BenchFailed, match="the cluster with TLS: donor: it has met the other node by tcp"):
        cluster.measure("oltp_read_write", 1, 20)


def test_a_cluster_that_does_not_form_and_a_sysbench_that_fails_end_the_bench(machine: Machine) -> None:
    machine.code = 1
    with pytest.raises(BenchFailed, match=r"(?s)sysbench ended with exit code 1: .*FATAL: no"):
        machine.made("ssl")
    pair = FakePair("ssl")
    pair.copied = False
    with pytest.raises(BenchFailed, match="the cluster with TLS: the joiner is not Synced"):
        machine.over(pair, "files")


def test_sysbenchs_folder_has_the_files_where_it_looks_for_them_for_nobody_else_and_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "usr").mkdir()
    archive = tmp_path / "sysbench.tar.gz"
    subprocess.run(["tar", "-czf", archive, "-C", tmp_path, "usr"], check=True)
    monkeypatch.setattr(sysbench, "archive", lambda: archive)
    with pair_cluster.sysbench_tree(Files(("one", "two"), "certificate", "key")) as tree:
        assert (tree / "usr").is_dir()
        assert (tree / "cacert.pem").read_text() == "onetwo"
        assert (tree / "client-cert.pem").read_text() == "certificate"
        assert (tree / "client-key.pem").read_text() == "key"
        assert (tree / "client-key.pem").stat().st_mode & 0o077 == 0
    assert not tree.exists()
    with pair_cluster.sysbench_tree() as tree:
        assert [path.name for path in tree.iterdir()] == ["usr"]
