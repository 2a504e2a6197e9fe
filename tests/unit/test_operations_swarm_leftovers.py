"""What a broken-off run left on the swarm: told from what is known, from others' and from what is in use."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from operations import remote_hosts, swarm_leftovers
from operations.outputs import Outputs, parse
from tests.unit.fake_host import FakeHost
from tests.unit.test_operations_stack import OUTPUTS

pytestmark = pytest.mark.unit

DOCKER = r"""
case "$1 $2" in
  "secret ls") printf 's1 root-1a2b3c4\ns2 root-5d6e7f8\n' ;;
  "config ls") printf 'c1 cnf-1a2b3c4\nc2 cnf-in-use\n' ;;
  "config rm") [[ $3 != c2 ]] || { echo "in use by the following service: galera" >&2; exit 1; } ;;
esac
"""


@pytest.fixture
def host(tmp_path: Path) -> FakeHost:
    made = FakeHost(tmp_path / "host")
    made.program("docker", DOCKER)
    return made


def test_only_what_no_state_knows_and_no_service_uses_is_removed(host: FakeHost) -> None:
    ran = host.run(swarm_leftovers.removal("swarm-galera", "dev", ["s1"]))
    assert ran.code == 0, ran.err
    assert ran.out == "secret root-5d6e7f8\nconfig cnf-1a2b3c4\n"
    assert [call for call in ran.calls if " rm " in call] == [
        "docker secret rm s2",
        "docker config rm c1",
        "docker config rm c2",
    ]


def test_only_those_with_the_stacks_label_are_looked_at(host: FakeHost) -> None:
    ran = host.run(swarm_leftovers.removal("swarm-galera", "dev", []))
    listed = [call for call in ran.calls if " ls " in call]
    assert len(listed) == 2
    assert all("--filter label=swarm-galera.stack=swarm-galera/dev " in call for call in listed)


def test_where_there_is_nothing_nothing_is_removed(tmp_path: Path) -> None:
    host = FakeHost(tmp_path / "host")
    host.program("docker")
    ran = host.run(swarm_leftovers.removal("swarm-galera", "dev", []))
    assert (ran.code, ran.out) == (0, "")
    assert not [call for call in ran.calls if " rm " in call]


def test_a_swarm_that_does_not_answer_is_no_empty_one(tmp_path: Path) -> None:
    host = FakeHost(tmp_path / "host")
    host.program("docker", "echo 'the swarm does not have a leader' >&2; exit 1")
    assert host.run(swarm_leftovers.removal("swarm-galera", "dev", [])).code != 0


def test_a_state_knows_what_is_about_to_be_deleted_too() -> None:
    resources = [
        {"type": "docker:index/secret:Secret", "id": "s1"},
        {"type": "docker:index/secret:Secret", "id": "s0", "delete": True},
        {"type": "docker:index/serviceConfig:ServiceConfig", "id": "c1"},
        {"type": "docker:index/network:Network", "id": "n1"},
        {"type": "swarm-galera:galera:Galera"},
    ]
    assert swarm_leftovers.known({"deployment": {"resources": resources}}) == ["s1", "s0", "c1"]
    assert swarm_leftovers.known({"version": 3}) == []


class Hosts:
    """In place of SSH: scripts run on a fake host, or nothing answers."""

    def __init__(self, host: FakeHost | None) -> None:
        self.host = host

    async def run(self, _name: str, text: str) -> remote_hosts.Answer:
        if self.host is None:
            return remote_hosts.Answer(error="no SSH at 192.0.2.1: timed out")
        return remote_hosts.Answer(self.host.run(text).out)


@pytest.mark.parametrize("answers", [True, False])
def test_what_was_removed_is_said_and_a_manager_that_could_not_be_asked_too(
    host: FakeHost, answers: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    @contextlib.asynccontextmanager
    async def connected(outputs: Outputs) -> AsyncIterator[Hosts]:
        asked.extend(each.name for each in outputs.hosts)
        yield Hosts(host if answers else None)

    monkeypatch.setattr(remote_hosts, "connected", connected)
    said: list[str] = []
    found = outputs_of_two()
    exported = {"deployment": {"resources": [{"type": "docker:index/secret:Secret", "id": "s1"}]}}
    with ThreadPoolExecutor(
        1
    ) as thread:  # asyncio.run leaves the thread without a loop; Pulumi's tests want one
        words = (found, exported, "swarm-galera", "dev", said.append)
        assert thread.submit(swarm_leftovers.clear, *words).result() is answers
    assert asked == ["galera-1"]
    (line,) = said
    if answers:
        assert "in no state: secret root-5d6e7f8, config cnf-1a2b3c4." in line
    else:
        assert "could not be looked for: galera-1: no SSH at 192.0.2.1" in line


def outputs_of_two() -> Outputs:
    """Outputs of a stack with two managers."""
    hosts = [{"name": f"galera-{n}", "role": "manager", "privateIp": f"10.144.12.1{n}"} for n in (1, 2)]
    names = {str(host["name"]): "192.0.2.1" for host in hosts}
    ssh = {"user": "root", "privateKey": None, "addresses": names, "hostKeys": names}
    return parse("dev", {**OUTPUTS, "hosts": hosts, "ssh": ssh})
