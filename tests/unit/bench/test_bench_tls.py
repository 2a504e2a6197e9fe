"""What `bench.tls` makes of runs with and without TLS, in which turns it takes them, and which it refuses."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest

from bench import report, sysbench, tls
from bench.own_lab import BenchFailed
from bench.sysbench import Throughput
from bench.tls import PLAIN, TLS, Cluster, Round
from harness.database_pair import CopyFailed, Pair
from tests.unit.bench.test_bench_proxy import REPORT

pytestmark = pytest.mark.unit

MET = (
    "2026-11-30 11:00:00 0 [Note] WSREP: (6a11f9b7-9fa7, '{0}://10.77.0.22:4567') connection established to "
    "65e52d4f-99b5 {0}://10.77.0.21:4567\n"
)
WELL = {"WSREP_CLUSTER_SIZE": "2", "WSREP_LOCAL_STATE_COMMENT": "Synced"}


def test_a_run_with_tls_is_compared_with_the_one_without_of_its_own_round() -> None:
    # The machine was half as fast in the second one: nothing follows from that.
    found = [Round(200, 190), Round(100, 92), Round(200, 196)]
    assert tls.table({("oltp_write_only", 8): found}) == [
        ["oltp_write_only", "8", "200", "190", "0.95", "0.92", "0.98"]
    ]
    assert len(tls.table({("oltp_write_only", 8): found})[0]) == len(tls.HEADINGS)


def test_the_goal_is_met_only_if_it_is_with_every_load_and_number_of_clients() -> None:
    good, bad = [Round(100, 90)], [Round(100, 89)]
    met = "Goal: with TLS at least 0.9 of the throughput without, met."
    assert tls.verdict({("oltp_read_write", 1): good}) == met
    told = tls.verdict({("oltp_read_write", 1): good, ("oltp_write_only", 32): bad})
    assert told.endswith("missed: 0.89 with oltp_write_only, 32 clients.")


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
    assert tls.wrong_way(log, encrypted) == said


@dataclass
class FakeCluster:
    """Runs as fast as it is, and notes them."""

    way: str
    speed: float
    ran: list[tuple[str, int]]

    def measure(self, load: str, clients: int, seconds: int) -> Throughput:
        assert (load, clients) == ("oltp_read_write", 8)
        self.ran.append((self.way, seconds))
        return Throughput(self.speed, 0)


def test_each_round_begins_with_the_other_cluster_and_a_short_one_does_not_count() -> None:
    ran: list[tuple[str, int]] = []
    clusters = {PLAIN: FakeCluster(PLAIN, 100, ran), TLS: FakeCluster(TLS, 95, ran)}
    found = tls.rounds(cast(dict[str, Cluster], clusters), "oltp_read_write", 8, 2, 20)
    assert found == [Round(100, 95)] * 2
    assert ran == [(PLAIN, tls.WARM), (TLS, tls.WARM), (PLAIN, 20), (TLS, 20), (TLS, 20), (PLAIN, 20)]


@dataclass
class FakeNode:
    name: str
    address: str
    log: str
    status: dict[str, str] = field(default_factory=lambda: dict(WELL))


class FakePair:
    """Two nodes whose status and log the test says."""

    def __init__(self, scheme: str) -> None:
        log = MET.format(scheme)
        self.donor = FakeNode("donor", "10.77.0.21", log)
        self.joiner = FakeNode("joiner", "10.77.0.22", log)
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
        self.accepted = self.own = self.clients = 0  # clients with TLS: in all, one who asks, of a run
        monkeypatch.setattr(tls, "ask", self._ask)
        monkeypatch.setattr(subprocess, "run", self._run)

    def _ask(self, node: FakeNode, statement: str) -> str:
        if statement == tls.GRANTED:
            return ""
        self.accepted += self.own
        if statement == tls.ACCEPTED:
            return str(self.accepted)
        assert statement.startswith(tls.STATUS)
        return node.status[statement.removeprefix(tls.STATUS).strip("'")]

    def _run(self, words: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        self.ran.append(words)
        self.accepted += self.clients
        return subprocess.CompletedProcess(words, self.code, REPORT, "FATAL: no")


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(monkeypatch)


def made(pair: FakePair, files: object) -> Cluster:
    return Cluster(cast(Pair, pair), Path("/tree"), cast(Any, files))


@pytest.mark.parametrize(("scheme", "files"), [("ssl", "files"), ("tcp", None)])
def test_both_nodes_have_the_files_or_neither_and_the_client_has_none(
    machine: Machine, scheme: str, files: str | None
) -> None:
    pair = FakePair(scheme)
    cluster = made(pair, files)
    assert pair.did == ["seed", ("donor", files), ("joiner", files)]
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
        ("WSREP_CLUSTER_SIZE", "1", "wsrep_cluster_size is 1, not 2"),
        ("WSREP_LOCAL_STATE_COMMENT", "Donor/Desynced", "wsrep_local_state_comment is Donor/Desynced"),
    ],
)
def test_a_run_in_which_a_node_was_missing_is_no_measurement(
    machine: Machine, name: str, found: str, said: str
) -> None:
    pair = FakePair("tcp")
    cluster = made(pair, None)
    pair.joiner.status[name] = found
    with pytest.raises(BenchFailed, match=f"the cluster without TLS: joiner: {said}"):
        cluster.measure("oltp_read_write", 1, 20)


@pytest.mark.parametrize("own", [0, 1])
def test_clients_that_come_with_tls_are_no_measurement_whoever_asks_with_it(
    machine: Machine, own: int
) -> None:
    cluster = made(FakePair("ssl"), "files")
    machine.own = own
    cluster.measure("oltp_read_write", 8, 20)
    machine.clients = 8
    with pytest.raises(BenchFailed, match="the cluster with TLS: sysbench came with TLS"):
        cluster.measure("oltp_read_write", 8, 20)


def test_nodes_that_did_not_come_to_tls_are_no_measurement(machine: Machine) -> None:
    cluster = made(FakePair("tcp"), "files")
    with pytest.raises(BenchFailed, match="the cluster with TLS: donor: it has met the other node by tcp"):
        cluster.measure("oltp_read_write", 1, 20)


def test_a_cluster_that_does_not_form_and_a_sysbench_that_fails_end_the_bench(machine: Machine) -> None:
    pair = FakePair("ssl")
    machine.code = 1
    with pytest.raises(BenchFailed, match=r"(?s)sysbench ended with exit code 1: .*FATAL: no"):
        made(pair, "files")
    pair.copied = False
    with pytest.raises(BenchFailed, match="the cluster with TLS: the joiner is not Synced"):
        made(pair, "files")


@pytest.mark.parametrize("words", [["--runs", "0"], ["--seconds", "0"], ["--debian", "sid"]])
def test_what_can_not_be_measured_is_refused(words: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        tls.main(words)
    assert ended.value.code == 2


def test_the_document_has_a_place_for_it() -> None:
    assert "with TLS" in report.replaced(report.DOCUMENT.read_text(), "tls", "with TLS")
