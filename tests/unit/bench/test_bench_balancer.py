"""Which runs `bench.balancer` takes for ones through HAProxy, and what it makes of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest

from bench import balancer, report
from bench.balancer import ENV, PORTS, WAYS, Balancer, Seen
from bench.own_lab import BenchFailed
from bench.pair_cluster import Cluster
from bench.sysbench import Target, Throughput
from bench.ways import DIRECT, READER, TLS, WRITER, Round
from components import load_balancer
from images.haproxy.haproxy_node import settings as image
from settings import parse
from tests.unit.settings.test_settings import config

pytestmark = pytest.mark.unit

STATISTICS = """# pxname,svname,qcur,qmax,scur,smax,slim,stot,bin,status,
writer,FRONTEND,,,0,8,4000,12,9000,OPEN,
writer,node1,0,0,0,8,,11,9000,UP,
writer,node2,0,0,0,0,,0,0,DOWN,
writer,node3,0,0,0,0,,0,0,MAINT,
writer,BACKEND,0,0,0,8,400,11,9000,UP,
reader,FRONTEND,,,0,8,4000,9,9000,OPEN,
reader,node1,0,0,0,4,,5,4500,UP,
reader,node2,0,0,0,4,,4,4500,UP,
reader,node3,0,0,0,0,,0,0,MAINT,
reader,BACKEND,0,0,0,8,400,9,9000,UP,
statistics,FRONTEND,,,0,0,50,0,0,OPEN,

"""
WELL = {WRITER: Seen(1, 11), READER: Seen(2, 9)}


def test_the_statistics_say_which_servers_are_up_and_which_sessions_they_got() -> None:
    assert balancer.seen(STATISTICS) == WELL
    # One that the checks have not spoken of is none that serves.
    assert balancer.seen(STATISTICS.replace("4500,UP", "4500,UP 1/2"))[READER] == Seen(0, 9)


@pytest.mark.parametrize(
    ("writer", "reader", "wanted"), [(1, 2, True), (0, 2, False), (2, 2, False), (1, 1, False)]
)
def test_one_node_takes_writes_and_both_are_read(writer: int, reader: int, wanted: bool) -> None:
    assert balancer.serves({WRITER: Seen(writer, 0), READER: Seen(reader, 0)}) == wanted


@pytest.mark.parametrize(
    ("way", "after", "said"),
    [
        (DIRECT, (11, 9), ""),
        (TLS, (11, 9), ""),
        (WRITER, (19, 9), ""),
        (READER, (11, 17), ""),
        (WRITER, (11, 9), "0 sessions came through HAProxy's writer port, and not 8"),
        (WRITER, (11, 17), "0 sessions came through HAProxy's writer port, and not 8"),
        (WRITER, (20, 9), "9 sessions came through HAProxy's writer port, and not 8"),
        (READER, (19, 17), "8 sessions came through HAProxy's writer port, and not 0"),
        (DIRECT, (11, 17), "8 sessions came through HAProxy's reader port, and not 0"),
    ],
)
def test_a_run_is_of_its_way_only_if_its_clients_came_that_way_and_nobody_another(
    way: str, after: tuple[int, int], said: str
) -> None:
    now = {WRITER: Seen(1, after[0]), READER: Seen(2, after[1])}
    assert balancer.amiss(WELL, now, way, 8) == said


def test_a_run_after_which_a_node_is_not_up_is_no_measurement() -> None:
    now = {WRITER: Seen(1, 19), READER: Seen(1, 9)}
    told = "HAProxy has 1 up at the writer port, 1 up at the reader port"
    assert balancer.amiss(WELL, now, WRITER, 8) == told


@dataclass
class Ways:
    """A cluster, and HAProxy before it, whose statistics know nothing of clients in `past`."""

    address: str = "10.77.0.5"
    past: tuple[int, ...] = ()
    fails: bool = False
    ran: list[tuple[Target, bool]] = field(default_factory=list)
    sessions: dict[str, int] = field(default_factory=lambda: dict.fromkeys(PORTS, 0))

    @property
    def container(self) -> Ways:
        return self

    def direct(self, encrypted: bool = False) -> Target:
        return Target("", "10.77.0.21", 3306, "app", encrypted)

    def seen(self) -> dict[str, Seen]:
        if self.fails:
            raise ConnectionRefusedError("nobody there")
        return {way: Seen(balancer.SERVING[way], sessions) for way, sessions in self.sessions.items()}

    def measure(self, load: str, clients: int, seconds: int, target: Target, spread: bool) -> Throughput:
        assert (load, seconds) == ("oltp_read_write", 20)
        self.ran.append((target, spread))
        for way, port in PORTS.items():
            if target.port == port and port not in self.past:
                self.sessions[way] += clients
        return Throughput(100, 0)


def measured(ways: Ways, way: str) -> Throughput:
    made: Any = ways
    return balancer.measure(cast(Cluster, made), cast(Balancer, made), way, "oltp_read_write", 8, 20)


def test_each_way_has_its_own_target_and_readers_alone_come_to_both_nodes() -> None:
    ways = Ways()
    assert {measured(ways, way) for way in WAYS} == {Throughput(100, 0)}
    at = {
        way: (each.host, each.port, each.tls, spread)
        for way, (each, spread) in zip(WAYS, ways.ran, strict=True)
    }
    assert at == {
        DIRECT: ("10.77.0.21", 3306, False, False),
        WRITER: ("10.77.0.5", 6446, False, False),
        READER: ("10.77.0.5", 6447, False, True),
        TLS: ("10.77.0.21", 3306, True, False),
    }


def test_clients_of_whom_haproxy_knows_nothing_and_a_haproxy_that_is_gone_end_the_bench() -> None:
    with pytest.raises(BenchFailed, match="reader port: 0 sessions came through HAProxy's reader port"):
        measured(Ways(past=(6447,)), READER)
    with pytest.raises(BenchFailed, match="HAProxy: nobody there"):
        measured(Ways(fails=True), DIRECT)


@pytest.mark.parametrize(
    ("writer", "path", "wanted"),
    [
        (True, "/writer", 200),
        (False, "/writer", 503),
        (True, "/reader", 200),
        (False, "/reader", 200),
        (True, "/able", 503),
    ],
)
def test_the_first_node_says_that_it_is_the_writer_and_both_that_they_may_be_read(
    writer: bool, path: str, wanted: int
) -> None:
    assert balancer.says(writer, path) == wanted


def test_haproxy_is_told_what_the_component_tells_it_but_for_the_nodes_name() -> None:
    (spec,) = load_balancer.specs(parse(config(loadBalancer={"image": "registry.lab:5000/haproxy:3.0-1"})))
    assert {**ENV, "NODE_NAME": spec.env["NODE_NAME"]} == spec.env
    assert spec.secrets == [image.PASSWORD]
    dockerfile = (Path(image.__file__).parents[1] / "Dockerfile").read_text(encoding="utf-8")
    assert f"\nUSER {balancer.USER}\n" in dockerfile


def test_a_row_has_the_medians_of_all_rounds_and_the_lowest_and_highest() -> None:
    def made(*speeds: float) -> Round:
        return Round({way: Throughput(each, 1.5) for way, each in zip(WAYS, speeds, strict=True)})

    rounds = [made(200, 190, 180, 192), made(100, 93, 90, 97), made(200, 180, 210, 190)]
    rows = balancer.table({("oltp_write_only", 8): rounds})
    through = ["0.93 (0.90 to 0.95)", "0.90 (0.90 to 1.05)", "0.96 (0.95 to 0.97)"]
    assert rows == [["oltp_write_only", "8", "200", *through, "1.5"]]
    assert len(rows[0]) == len(balancer.HEADINGS)


def test_the_document_has_a_place_for_it() -> None:
    document = report.DOCUMENT.read_text(encoding="utf-8")
    assert report.replaced(document, "balancer", "measured").count("\nmeasured\n") == 1
