"""`balance`: which node each connection got, from what the client on a manager prints."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from operations import balance, cli, outputs
from operations.balance import Spread, Way
from operations.outputs import Balancer, Outputs
from operations.remote_hosts import Answer
from settings.errors import UserError
from tests.unit.fake_host import FakeHost
from tests.unit.operations.test_verify import VALUES

pytestmark = pytest.mark.unit

BALANCER = {
    "service": "haproxy",
    "vip": "10.20.0.30",
    "writerPort": 6446,
    "readerPort": 6447.0,
    "statsPort": 8404,
    "user": "admin",
}
VIP = Way("the database's virtual IP", "10.20.0.5", 3306)
ANSWERS = "".join(
    f"node\tgalera-{number}\t10.20.0.{6 + number}\n" * count for number, count in ((1, 11), (2, 10), (3, 9))
)


class Cluster:
    """Hosts of which some answer; what their client prints, and what it was asked, by address."""

    def __init__(self, *reachable: str) -> None:
        self.reachable = list(reachable)
        self.unreachable = {"galera-1": "no SSH at 203.0.113.1"}
        self.prints = {"10.20.0.5": Answer(ANSWERS), "10.20.0.30": Answer(ANSWERS)}
        self.asked: list[tuple[str, str, str]] = []

    async def run(self, name: str, text: str, stdin: str = "", limit: float = 0) -> Answer:
        host = next(host for host in self.prints if f"host={host}\n" in text)
        self.asked.append((name, host, stdin))
        assert limit > 120
        return self.prints[host]


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Cluster:
    made = Cluster("galera-2", "galera-3")

    @contextlib.asynccontextmanager
    async def connected(_outputs: Outputs) -> AsyncIterator[Cluster]:
        yield made

    monkeypatch.setattr(balance, "connected", connected)
    with_stack(monkeypatch, VALUES)
    return made


def with_stack(monkeypatch: pytest.MonkeyPatch, values: dict[str, Any]) -> None:
    monkeypatch.setattr(outputs, "of_stack", lambda stack: outputs.parse(stack, values))


def call(*words: str) -> tuple[int, str]:
    """Exit code and standard output of the command; an error is raised."""
    ran = CliRunner().invoke(cli.build(), ["balance", *words])
    if ran.exception is not None and not isinstance(ran.exception, SystemExit):
        raise ran.exception
    return ran.exit_code, ran.stdout


def test_each_node_has_a_bar_for_its_share(cluster: Cluster) -> None:
    code, said = call()
    assert code == 0
    assert said.splitlines() == [
        "Through the database's virtual IP, 10.20.0.5:3306:",
        f"  galera-1  10.20.0.7  {'█' * 30} 11 (37 %)",
        f"  galera-2  10.20.0.8  {'█' * 27} 10 (33 %)",
        f"  galera-3  10.20.0.9  {'█' * 25} 9 (30 %)",
    ]
    assert cluster.asked == [("galera-2", "10.20.0.5", "secret-app\n")]


def test_a_member_that_gets_no_connection_is_not_left_out() -> None:
    spread = Spread(VIP, {("galera-1", "10.20.0.7"): 2})
    assert balance.bars(spread, ["galera-1", "galera-2"]) == [
        f"galera-1  10.20.0.7  {'█' * 30} 2 (100 %)",
        "galera-2  -          0 (0 %)",
    ]


def test_a_balancer_is_asked_as_well_and_alone_if_that_is_wanted(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_stack(monkeypatch, {**VALUES, "loadBalancer": BALANCER})
    _, said = call()
    assert [host for _, host, _ in cluster.asked] == ["10.20.0.5", "10.20.0.30"]
    assert "Through the load balancer, for readers, 10.20.0.30:6447:" in said
    cluster.asked.clear()
    call("--reader")
    assert [host for _, host, _ in cluster.asked] == ["10.20.0.30"]


def test_readers_without_a_balancer_are_told_what_to_do(cluster: Cluster) -> None:
    with pytest.raises(UserError, match=r"no load balancer.*Leave --reader out"):
        call("--reader")
    assert cluster.asked == []


def test_json_has_the_shares_and_no_secret(cluster: Cluster) -> None:
    code, said = call("--json", "--connections", "30")
    told = json.loads(said)
    assert code == 0
    assert told["stack"] == "dev"
    (way,) = told["ways"]
    assert (way["host"], way["port"], way["failed"]) == ("10.20.0.5", 3306, [])
    assert way["nodes"][0] == {
        "name": "galera-1",
        "address": "10.20.0.7",
        "connections": 11,
        "share": 0.3667,
    }
    assert "secret" not in said


def test_connections_that_fail_are_counted_with_their_reason_and_are_no_success(cluster: Cluster) -> None:
    refused = "failed\tERROR 2002 (HY000): Can't connect\n"
    cluster.prints["10.20.0.5"] = Answer(ANSWERS + refused * 2)
    code, said = call()
    assert code == 1
    assert "2 failed: ERROR 2002 (HY000): Can't connect" in said
    assert "11 (37 %)" in said


def test_no_synced_node_is_one_error(cluster: Cluster) -> None:
    cluster.prints["10.20.0.5"] = Answer("failed\tERROR 1047 (08S01): WSREP has not yet prepared node\n" * 3)
    with pytest.raises(
        UserError, match=r"No connection through .* reached a Synced node: ERROR 1047.*`verify` names"
    ):
        call()


def test_a_client_that_does_not_start_is_an_error_with_the_hosts_words(cluster: Cluster) -> None:
    cluster.prints["10.20.0.5"] = Answer(error="Error: no such service: galera")
    with pytest.raises(UserError, match="No client could be started on galera-2: Error: no such service"):
        call()


def test_without_a_manager_nothing_is_asked(cluster: Cluster) -> None:
    cluster.reachable.clear()
    with pytest.raises(UserError, match=r"No manager answers.*galera-1: no SSH at"):
        call()


@pytest.mark.parametrize("connections", ["0", "1001"])
def test_numbers_out_of_reason_are_refused(cluster: Cluster, connections: str) -> None:
    assert call("--connections", connections)[0] == 2
    assert cluster.asked == []


DOCKER = r"""
case "$1" in
  service) echo registry/galera:1@sha256:1 ;;
  run)
    while [[ $1 != -c ]]; do shift; done
    exec bash "$@" ;;
esac
"""
MARIADB = r"""
n=$(cat "$host/count" 2>/dev/null || echo 0)
echo $((n + 1)) >"$host/count"
cat "${1#*=}" >"$host/options"
[[ ! -e $host/down ]] || { printf 'a warning\nERROR 2002: no way\n' >&2; exit 1; }
printf 'galera-%s\t10.20.0.%s\n' $((n % 3 + 1)) $((n % 3 + 7))
"""


@pytest.fixture
def host(tmp_path: Path) -> FakeHost:
    made = FakeHost(tmp_path / "host")
    made.program("docker", DOCKER)
    made.program("mariadb", MARIADB)
    return made


def found() -> Outputs:
    return outputs.parse("dev", VALUES)


def test_the_client_prints_what_is_read_from_it(host: FakeHost) -> None:
    ran = host.run(balance.open_connections(found(), "10.20.0.5", 3306, 4, 3), "secret-app\n")
    assert ran.code == 0, ran.err
    spread = balance.parse(VIP, ran.out)
    assert spread.nodes == {
        ("galera-1", "10.20.0.7"): 2,
        ("galera-2", "10.20.0.8"): 1,
        ("galera-3", "10.20.0.9"): 1,
    }
    assert spread.failed == []
    (run, *_) = ran.called("docker")[1:]
    assert "--network galera" in run
    assert "--host=10.20.0.5 --port=3306 --user=app" in ran.called("mariadb")[0]
    assert (host.folder / "options").read_text() == "[client]\npassword=secret-app\n"
    assert not [call for call in ran.calls if "secret-app" in call]


def test_the_client_gives_up_after_failures_in_a_row(host: FakeHost) -> None:
    host.file("down", "")
    ran = host.run(balance.open_connections(found(), "10.20.0.5", 3306, 30, 3), "secret-app\n")
    assert ran.code == 0, ran.err
    assert balance.parse(VIP, ran.out) == Spread(VIP, {}, ["ERROR 2002: no way"] * 3)


def test_outputs_without_a_balancer_have_none() -> None:
    assert found().balancer is None
    balanced = outputs.parse("dev", {**VALUES, "loadBalancer": BALANCER})
    assert balanced.balancer == Balancer("haproxy", "10.20.0.30", 6446, 6447)
