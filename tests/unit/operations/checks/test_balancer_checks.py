"""`verify` of the load balancer: what is asked through which ports, and what follows from the answers."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from operations import outputs, verify
from operations.checks import balancer as balancer_checks
from operations.checks import host_ports
from operations.checks.check import Check
from operations.facts import cluster as cluster_facts
from operations.facts.cluster import HostFacts
from operations.outputs import Balancer, Outputs
from operations.remote_hosts import Answer, RemoteHosts
from operations.verify import Report
from tests.unit.fake_host import FakeHost
from tests.unit.operations.test_verify import NAMES, VALUES, failed

pytestmark = pytest.mark.unit

WANTED = {
    "service": "haproxy",
    "vip": "10.20.0.7",
    "writerPort": 6446,
    "readerPort": 6447,
    "statsPort": 8404,
    "user": "admin",
}


@pytest.fixture
def found() -> Outputs:
    return outputs.parse("dev", {**VALUES, "loadBalancer": WANTED})


def balancer(found: Outputs) -> Balancer:
    assert found.balancer is not None
    return found.balancer


def facts(*without: str) -> dict[str, HostFacts]:
    return {name: HostFacts(images={} if name in without else {"haproxy": "sha256:ab12"}) for name in NAMES}


def line(host: int, port: int, node: int, state: str = "Synced") -> str:
    return f"10.144.12.{host}\t{port}\t10.20.0.{10 + node}\tgalera-{node}\t{state}"


def answers() -> list[str]:
    """All hosts' writer ports lead to the first node, their reader ports to all."""
    lines = [line(host, 6446, 1) for host in (1, 2, 3, 4) for _ in range(3)]
    return lines + [line(host, 6447, node) for host in (1, 2, 3, 4) for node in (1, 2, 3, 1, 2, 3)]


def checks(found: Outputs, lines: list[str], error: str = "", *without: str) -> list[Check]:
    answer = Answer("\n".join(lines) + "\n", error)
    return balancer_checks.of_balancer(found, balancer(found), facts(*without), answer)


def test_ports_that_lead_where_they_should_pass_every_check(found: Outputs) -> None:
    good = checks(found, answers())
    assert failed(good) == []
    assert len(good) == 4 + 1 + 4 + 1 + 4
    assert "galera-1" in {check.found for check in good}
    assert "galera-1, galera-2, galera-3" in {check.found for check in good}
    assert not [check for check in good if check.remedy]


def test_a_donor_serves_readers(found: Outputs) -> None:
    lines = [text.replace("galera-2\tSynced", "galera-2\tDonor/Desynced") for text in answers()]
    assert failed(checks(found, lines)) == []


def amiss(found: Outputs, lines: list[str], *without: str) -> list[tuple[str, str]]:
    """What fails; each with a remedy."""
    bad = [check for check in checks(found, lines, "", *without) if not check.ok]
    assert all(check.remedy for check in bad)
    return failed(bad)


def test_a_host_without_a_task_is_found(found: Outputs) -> None:
    lines = [text for text in answers() if not text.startswith("10.144.12.4\t")]
    lines += [f"10.144.12.4\t{port}\terror\tERROR 2002 (HY000): Can't connect" for port in (6446, 6447)]
    assert amiss(found, lines, "galera-4") == [
        ("galera-4", "no container"),
        ("cluster", "ab12 on galera-1, ab12 on galera-2, ab12 on galera-3, none on galera-4"),
        ("galera-4", "ERROR 2002 (HY000): Can't connect"),
        ("cluster", "galera-1 on galera-1, galera-1 on galera-2, galera-1 on galera-3, none on galera-4"),
        ("galera-4", "ERROR 2002 (HY000): Can't connect"),
    ]


def test_a_writer_port_that_leads_to_two_nodes_is_found(found: Outputs) -> None:
    lines = answers()
    lines[lines.index(line(2, 6446, 1))] = line(2, 6446, 3)
    one, other = amiss(found, lines)
    assert one == ("galera-2", "galera-1, galera-3")
    assert other[0] == "cluster"
    assert "galera-1 on galera-1, galera-1 and galera-3 on galera-2, galera-1 on" in other[1]


def test_hosts_whose_writer_is_not_the_same_are_found(found: Outputs) -> None:
    lines = [line(3, 6446, 2) if text == line(3, 6446, 1) else text for text in answers()]
    assert amiss(found, lines) == [
        ("cluster", "galera-1 on galera-1, galera-1 on galera-2, galera-2 on galera-3, galera-1 on galera-4")
    ]


def test_nodes_are_told_apart_by_their_addresses(found: Outputs) -> None:
    lines = answers()
    lines[0] = lines[0].replace("10.20.0.11", "10.20.0.99")
    assert ("galera-1", "galera-1 at 10.20.0.11, galera-1 at 10.20.0.99") in amiss(found, lines)


@pytest.mark.parametrize("state", ["Joining", "Initialized", "Joined"])
def test_a_reader_port_that_leads_to_a_node_that_is_not_synced_is_found(found: Outputs, state: str) -> None:
    lines = answers()
    lines[lines.index(line(2, 6447, 3))] = line(2, 6447, 3, state)
    assert amiss(found, lines) == [("galera-2", f"galera-3 is {state}")]


def test_one_refusal_among_answers_is_found(found: Outputs) -> None:
    lines = [*answers(), "10.144.12.1\t6447\terror\tERROR 1047 (HY000): haproxy: no node of the cluster"]
    ((where, told),) = amiss(found, lines)
    assert where == "galera-1"
    assert told.startswith("galera-1, galera-2, galera-3; ERROR 1047")


def test_without_a_synced_node_every_port_says_so_and_what_to_look_at(found: Outputs) -> None:
    refusal = "ERROR 1047 (08S01): haproxy: no node of the cluster serves this endpoint at the moment"
    times = {6446: 3, 6447: 6}
    lines = [
        f"10.144.12.{host}\t{port}\terror\t{refusal}"
        for host in (1, 2, 3, 4)
        for port in times
        for _ in range(times[port])
    ]
    told = amiss(found, lines)
    assert told == [
        *((name, refusal) for name in NAMES),
        ("cluster", ", ".join(f"none on {name}" for name in NAMES)),
        *((name, refusal) for name in NAMES),
    ]
    remedies = {check.remedy for check in checks(found, lines) if check.what.startswith("reader port")}
    (remedy,) = remedies
    assert remedy.startswith("port 6447 refuses with `no node …`: no node that is Synced is seen from there.")


def test_without_any_answer_every_port_fails(found: Outputs) -> None:
    told = failed(checks(found, [], "no answer within 120 s"))
    assert len(told) == 4 + 1 + 4
    assert ("galera-2", "no answer within 120 s") in told
    assert len(failed(checks(found, []))) == 9


def test_a_client_that_ended_with_an_error_is_no_success(found: Outputs) -> None:
    assert len(failed(checks(found, answers(), "exit code 125"))) == 8


class Remote:
    reachable = ["galera-4", "galera-2"]

    def __init__(self) -> None:
        self.ran: list[tuple[str, str]] = []

    async def run(self, name: str, text: str, stdin: str = "") -> Answer:
        assert "secret-app" not in text
        self.ran.append((name, stdin))
        return Answer("\n".join(answers()))


def test_a_manager_that_answers_is_the_client_and_gets_the_password_on_its_input(found: Outputs) -> None:
    remote = Remote()
    made = asyncio.run(verify._balanced(found, balancer(found), facts(), remote))  # type: ignore[arg-type]
    assert remote.ran == [("galera-2", "secret-app\n")]
    assert failed(made) == []
    remote.reachable = ["galera-4"]
    made = asyncio.run(verify._balanced(found, balancer(found), facts(), remote))  # type: ignore[arg-type]
    assert ("galera-1", "no manager answers") in failed(made)


def test_a_stack_without_a_load_balancer_is_asked_nothing_of_it(
    found: Outputs, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert outputs.parse("dev", VALUES).balancer is None
    stages = []
    for each in (found, replace(found, balancer=None)):
        nobody = replace(each, hosts=(), members=())

        async def looked(*_: object) -> dict[str, HostFacts]:
            return {name: cluster_facts.parse("", "no SSH") for name in NAMES}

        @contextlib.asynccontextmanager
        async def connected(_outputs: Outputs) -> AsyncIterator[RemoteHosts]:
            yield RemoteHosts()

        monkeypatch.setattr(verify, "connected", connected)
        monkeypatch.setattr(verify, "_looked", looked)
        report = Report()
        asyncio.run(verify._verify(nobody, report))
        stages.append("load balancer" in report.stages)
    assert stages == [True, False]


DOCKER = r"""
case "$1 $2" in
  "service inspect") echo registry.lab:5000/galera@sha256:1 ;;
  "run --rm") shift 8; exec bash "$@" ;;
esac
"""
MARIADB = r"""
for word; do case $word in
  --defaults-extra-file=*) grep -q '^password=secret-app$' "${word#*=}" || exit 9 ;;
  --host=*) at=${word#*=} ;;
  --port=*) port=${word#*=} ;;
  --user=*) [[ ${word#*=} == app ]] || exit 8 ;;
esac; done
if [[ $at == 10.144.12.4 ]]; then printf 'ERROR 2002 (HY000): no\nway\n' >&2; exit 1; fi
if (( port == 6446 )); then node=1; else node=3; fi
printf '10.20.0.1%s\tgalera-%s\tSynced\n' $node $node
"""


def test_the_script_asks_every_host_and_prints_what_is_read_from_it(found: Outputs, tmp_path: Path) -> None:
    host = FakeHost(tmp_path / "host")
    host.program("docker", DOCKER)
    host.program("mariadb", MARIADB)
    ran = host.run(balancer_checks.ask(found, balancer(found)), "secret-app\n")
    assert ran.code == 0, ran.err
    told = host_ports.parse(ran.out)
    assert len(told) == 8
    for number in (1, 2, 3):
        address = f"10.144.12.{number}"
        writer, reader = told[address, 6446], told[address, 6447]
        assert [node.name for node in writer.nodes] == ["galera-1"] * 3
        assert [node.address for node in reader.nodes] == ["10.20.0.13"] * 6
        assert writer.errors == reader.errors == ()
    assert told["10.144.12.4", 6446].errors == ("ERROR 2002 (HY000): no way",) * 3
    (call,) = host_calls(ran.calls, "docker run")
    assert "--network host" in call
    assert "secret-app" not in " ".join(ran.calls)


PAUSED = r"""
for word; do case $word in --host=*) at=${word#*=} ;; --port=*) port=${word#*=} ;; esac; done
if [[ $at == 10.144.12.4 ]]; then
  # As one that takes connections and says nothing; it knows whether the other port is asked meanwhile.
  touch "$host/$port"
  for ((n = 0; n < 150; n++)); do [[ ! -e $host/6446 || ! -e $host/6447 ]] || break; sleep 0.1; done
  sleep 2.1
  echo "ERROR 2013 (HY000): Lost connection, $((n < 150 ? 2 : 1)) at a time" >&2
  exit 1
fi
printf '10.20.0.11\tgalera-1\tSynced\n'
"""


def test_a_load_balancer_that_hangs_is_asked_once_by_each_port_and_both_at_a_time(
    found: Outputs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(host_ports, "HANGS", 2)
    host = FakeHost(tmp_path / "host")
    host.program("docker", DOCKER)
    host.program("mariadb", PAUSED)
    ran = host.run(balancer_checks.ask(found, balancer(found)), "secret-app\n")
    told = host_ports.parse(ran.out)
    for port, times in ((6446, 3), (6447, 6)):
        hung = told["10.144.12.4", port]
        assert (hung.nodes, hung.errors) == ((), ("ERROR 2013 (HY000): Lost connection, 2 at a time",))
        assert len(told["10.144.12.1", port].nodes) == times
    # What is found is what it was when each question was waited for.
    said = failed(balancer_checks.of_balancer(found, balancer(found), facts(), Answer(ran.out)))
    lost = "ERROR 2013 (HY000): Lost connection, 2 at a time"
    everywhere = ", ".join(f"{'none' if name == 'galera-4' else 'galera-1'} on {name}" for name in NAMES)
    assert said == [("galera-4", lost), ("cluster", everywhere), ("galera-4", lost)]


def test_a_client_that_is_let_in_and_gets_no_answer_is_ended(
    found: Outputs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(host_ports, "PATIENCE", 0)
    monkeypatch.setattr(host_ports, "HANGS", 2)
    host = FakeHost(tmp_path / "host")
    host.program("docker", DOCKER)
    host.program("mariadb", "exec sleep 50")
    ran = host.run(balancer_checks.ask(found, balancer(found)), "secret-app\n")
    told = host_ports.parse(ran.out)
    assert len(told) == 8
    assert {each.errors for each in told.values()} == {("no answer within 2 s",)}


def host_calls(calls: list[str], begins: str) -> list[str]:
    return [call for call in calls if call.startswith(begins)]
