"""`verify` of the database's published port: what is asked, and what follows from the answers."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from operations import outputs, verify
from operations.checks import host_ports
from operations.checks import published as published_checks
from operations.checks.check import Check
from operations.facts import cluster as cluster_facts
from operations.facts.cluster import HostFacts
from operations.outputs import Outputs
from operations.remote_hosts import Answer, RemoteHosts
from operations.verify import Report
from tests.unit.fake_host import FakeHost
from tests.unit.operations.checks.test_balancer_checks import DOCKER
from tests.unit.operations.test_verify import NAMES, VALUES, failed

pytestmark = pytest.mark.unit


@pytest.fixture
def found() -> Outputs:
    galera: dict[str, Any] = VALUES["galera"]
    return outputs.parse("dev", {**VALUES, "galera": {**galera, "publishedPort": 3306}})


def line(host: int, node: int, state: str = "Synced") -> str:
    return f"10.144.12.{host}\t3306\t10.20.0.{10 + node}\tgalera-{node}\t{state}"


def answers() -> list[str]:
    """Every host's port leads to all nodes."""
    return [line(host, node) for host in (1, 2, 3, 4) for node in (1, 2, 3, 1, 2, 3)]


def checks(found: Outputs, lines: list[str], error: str = "") -> list[Check]:
    return published_checks.of_published(found, Answer("\n".join(lines) + "\n", error))


def test_ports_of_all_hosts_that_lead_to_synced_nodes_pass(found: Outputs) -> None:
    good = checks(found, answers())
    assert [(check.where, check.what) for check in good] == [
        (name, "published port 3306 leads to Synced nodes only") for name in NAMES
    ]
    assert failed(good) == []
    assert {check.found for check in good} == {"galera-1, galera-2, galera-3"}
    assert not [check for check in good if check.remedy]


def test_a_host_whose_port_hangs_one_that_is_refused_and_a_node_that_joins_are_found(found: Outputs) -> None:
    lines = [text for text in answers() if not text.startswith(("10.144.12.2\t", "10.144.12.4\t"))]
    lines[lines.index(line(3, 2))] = line(3, 2, "Joining")
    lines.append("10.144.12.4\t3306\terror\tERROR 2002 (HY000): Can't connect to server (110)")
    bad = [check for check in checks(found, lines) if not check.ok]
    assert [(check.where, check.found) for check in bad] == [
        ("galera-2", "no answer"),
        ("galera-3", "galera-2 is Joining"),
        ("galera-4", "ERROR 2002 (HY000): Can't connect to server (110)"),
    ]
    assert all("ports 7946 and 4789 between the hosts" in check.remedy for check in bad)


def test_a_client_that_could_not_be_started_proves_nothing(found: Outputs) -> None:
    assert failed(checks(found, [], "no manager answers")) == [(name, "no manager answers") for name in NAMES]
    assert len(failed(checks(found, answers(), "exit code 125"))) == 4


MARIADB = r"""
for word; do case $word in --host=*) at=${word#*=} ;; --port=*) port=${word#*=} ;; esac; done
[[ $port == 3306 ]] || exit 7
printf '10.20.0.1%s\tgalera-%s\tSynced\n' "${at: -1}" "${at: -1}"
"""


def test_the_script_asks_every_host_twice_for_each_node_from_outside_of_the_overlay(
    found: Outputs, tmp_path: Path
) -> None:
    host = FakeHost(tmp_path / "host")
    host.program("docker", DOCKER)
    host.program("mariadb", MARIADB)
    ran = host.run(published_checks.ask(found), "secret-app\n")
    assert ran.code == 0, ran.err
    told = host_ports.parse(ran.out)
    assert {at: len(each.nodes) for at, each in told.items()} == {
        (f"10.144.12.{number}", 3306): 6 for number in (1, 2, 3, 4)
    }
    (call,) = [call for call in ran.calls if call.startswith("docker run")]
    assert "--network host" in call
    assert "secret-app" not in " ".join(ran.calls)


def test_only_a_stack_that_publishes_is_asked(found: Outputs, monkeypatch: pytest.MonkeyPatch) -> None:
    stages = []

    async def looked(*_: object) -> dict[str, HostFacts]:
        return {name: cluster_facts.parse("", "no SSH") for name in NAMES}

    @contextlib.asynccontextmanager
    async def connected(_outputs: Outputs) -> AsyncIterator[RemoteHosts]:
        yield RemoteHosts()

    monkeypatch.setattr(verify, "connected", connected)
    monkeypatch.setattr(verify, "_looked", looked)
    for each in (found, outputs.parse("dev", VALUES)):
        report = Report()
        asyncio.run(verify._verify(each, report))
        stages.append("published port" in report.stages)
        asked = [check for check in report.checks if check.what.startswith("published port 3306")]
        assert [check.found for check in asked] == ["no manager answers"] * 4 * stages[-1]
    assert stages == [True, False]
