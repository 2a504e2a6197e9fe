"""What a broken-off run left on the swarm: told from what is known, from others' and from what is in use."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from components.ssh_files import SshManager, write_ssh_files
from operations import remote_hosts
from operations.around_run import swarm_leftovers
from operations.outputs import Host, Outputs, parse
from tests.unit.fake_host import FakeHost
from tests.unit.operations.test_stack import OUTPUTS

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

    def __init__(self, host: FakeHost | None, dead: str = "") -> None:
        self.host, self.dead = host, dead

    async def run(self, name: str, text: str) -> remote_hosts.Answer:
        if self.host is None or name in self.dead:
            return remote_hosts.Answer(error="no SSH at 192.0.2.1: timed out")
        return remote_hosts.Answer(self.host.run(text).out)


@pytest.mark.parametrize(("answers", "dead"), [(True, ""), (True, "galera-1"), (False, "")])
def test_what_was_removed_is_said_and_a_manager_that_could_not_be_asked_too(
    host: FakeHost, answers: bool, dead: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    @contextlib.asynccontextmanager
    async def connected(outputs: Outputs) -> AsyncIterator[Hosts]:
        asked.extend(each.name for each in outputs.hosts)
        yield Hosts(host if answers else None, dead)

    monkeypatch.setattr(remote_hosts, "connected", connected)
    said: list[str] = []
    monkeypatch.setattr(swarm_leftovers, "say", said.append)
    found = outputs_of_two()
    exported = {"deployment": {"resources": [{"type": "docker:index/secret:Secret", "id": "s1"}]}}
    with ThreadPoolExecutor(
        1
    ) as thread:  # asyncio.run leaves the thread without a loop; Pulumi's tests want one
        words = (found, exported, "swarm-galera", "dev")
        assert thread.submit(swarm_leftovers.clear, *words).result() is answers
    assert asked == ["galera-1", "galera-2"]
    (line,) = said
    if answers:
        assert "in no state: secret root-5d6e7f8, config cnf-1a2b3c4." in line
    else:
        assert "could not be looked for: galera-1: no SSH at 192.0.2.1" in line
        assert "; galera-2: no SSH at" in line


def outputs_of_two() -> Outputs:
    """Outputs of a stack with two managers."""
    hosts = [{"name": f"galera-{n}", "role": "manager", "privateIp": f"10.144.12.1{n}"} for n in (1, 2)]
    names = {str(host["name"]): "192.0.2.1" for host in hosts}
    ssh = {"user": "root", "privateKey": None, "addresses": names, "hostKeys": names}
    return parse("dev", {**OUTPUTS, "hosts": hosts, "ssh": ssh})


# -- before a run that follows one that was broken off

SWARM = r"""
case "$1 $2" in
  "service ls") cat "$host/services" 2>/dev/null | cut -d' ' -f1 ;;
  "service inspect") case $* in *"{{.ID}} {{.Spec.Name}}"*) grep "^${@: -1} " "$host/services" ;;
      *) grep -q "^${@: -1} " "$host/services" || { echo "Error: no such service: x" >&2; exit 1; } ;; esac ;;
  "service rm") sed -i "/^$3 /d" "$host/services" ;;
  "network ls") cat "$host/networks" 2>/dev/null ;;
  "network inspect")
    grep -q "^${@: -1} " "$host/networks" || { echo "Error: No such network: ${@: -1}" >&2; exit 1; } ;;
  "secret inspect"|"config inspect") [[ ${@: -1} != gone* ]] || { echo "Error: No such $1" >&2; exit 1; } ;;
  "node ls") echo node-1 ;;
  "node ps")
    n=$(( $(cat "$host/turn" 2>/dev/null || echo 0) + 1 )); echo $n >"$host/turn"
    (( n > 1 )) || echo 'galera-2|Remove|Running 3 seconds ago'
    echo 'galera-1|Running|Running 3 minutes ago' ;;
esac
"""


@pytest.fixture
def swarm(tmp_path: Path) -> FakeHost:
    made = FakeHost(tmp_path / "swarm")
    made.program("docker", SWARM)
    made.program("sleep")
    made.file("services", "s1 etcd\ns2 galera\n")
    made.file("networks", "n1 galera\n")
    return made


def exported(*resources: tuple[str, str, str]) -> dict[str, object]:
    """A state with docker resources as (kind, id, name), and a provider."""
    types = {kind: token for token, kind in swarm_leftovers.KINDS.items()}
    provider = {
        "type": "pulumi:providers:docker",
        "urn": "urn::docker-provider",
        "inputs": {"host": "ssh://root@192.0.2.1", "sshOpts": '["-i", "/x"]'},
    }
    rows = [{"type": types[kind], "id": id, "urn": f"urn::{name}"} for kind, id, name in resources]
    return {"deployment": {"resources": [provider, *rows]}}


ALL = (("service", "s1", "etcd-service"), ("service", "s2", "galera-service"), ("network", "n1", "network"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "ssh"
    made.mkdir()
    (made / "known_hosts").write_text("192.0.2.1 ssh-ed25519 AAAA\n")
    (made / "id").write_text("PRIVATE KEY\n")
    return made


def mended(
    swarm: FakeHost, folder: Path, state: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> tuple[list[str], list[str]]:
    """The URNs of what is gone, and what was said."""

    def asked(way: swarm_leftovers.Managers, hosts: Sequence[Host], text: str) -> remote_hosts.Answer:
        assert [(host.address, host.host_key) for host in hosts] == [("192.0.2.1", "ssh-ed25519 AAAA")]
        assert way.hosts == hosts
        ran = swarm.run(text)
        return remote_hosts.Answer(ran.out, ran.err if ran.code else "")

    monkeypatch.setattr(swarm_leftovers, "_asked", asked)
    said: list[str] = []
    monkeypatch.setattr(swarm_leftovers, "say", said.append)
    return swarm_leftovers.before_up(state, folder, "swarm-galera", "dev"), said


def test_a_swarm_that_is_as_the_state_says_is_left_alone(
    swarm: FakeHost, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert mended(swarm, folder, exported(*ALL), monkeypatch) == ([], [])
    assert not [call for call in swarm._log.read_text().splitlines() if " rm " in call]


def test_services_and_networks_that_no_state_knows_are_removed_once_their_tasks_have_ended(
    swarm: FakeHost, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone, (said,) = mended(swarm, folder, exported(ALL[0]), monkeypatch)
    assert gone == []
    assert "in no state: the service galera, the network galera." in said
    calls = swarm._log.read_text().splitlines()
    assert [call for call in calls if " rm " in call] == ["docker service rm s2", "docker network rm n1"]
    listed = [call for call in calls if call.startswith("docker service ls")]
    assert listed == ["docker service ls --quiet --filter label=swarm-galera.stack=swarm-galera/dev"]
    between = calls[calls.index("docker service rm s2") : calls.index("docker network rm n1")]
    assert len([call for call in between if call.startswith("docker node ps")]) == 2


def test_what_the_state_knows_and_the_swarm_does_not_is_named(
    swarm: FakeHost, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = exported(*ALL, ("service", "gone1", "old-service"), ("secret", "gone2", "password"))
    gone, (said,) = mended(swarm, folder, state, monkeypatch)
    assert gone == ["urn::old-service", "urn::password"]
    assert "no longer on the swarm: old-service, password" in said


def test_an_engine_that_cannot_tell_says_nothing_is_gone(
    swarm: FakeHost, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    swarm.program("docker", "echo 'the swarm does not have a leader' >&2; exit 1")
    gone, (said,) = mended(swarm, folder, exported(*ALL), monkeypatch)
    assert gone == []
    assert "could not be looked for: " in said
    assert "does not have a leader" in said


@pytest.mark.parametrize("state", [{"version": 3}, {"deployment": {"resources": []}}])
def test_before_there_is_a_provider_nobody_is_asked(
    swarm: FakeHost, folder: Path, state: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert mended(swarm, folder, state, monkeypatch) == ([], [])


def test_on_a_machine_without_the_ssh_files_nobody_is_asked(
    swarm: FakeHost, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert mended(swarm, tmp_path / "nothing", exported(), monkeypatch) == ([], [])


def test_managers_are_known_by_the_files_that_ssh_reads_also_by_those_of_older_versions(folder: Path) -> None:
    found = swarm_leftovers.managers(exported(), folder)
    assert found is not None
    assert [(host.name, host.address) for host in found.hosts] == [("192.0.2.1", "192.0.2.1")]
    managers = [SshManager(f"galera-{n}", f"192.0.2.{n}", f"ssh-ed25519 K{n}") for n in (1, 2)]
    write_ssh_files(folder, managers, None)
    found = swarm_leftovers.managers(exported(), folder)
    assert found is not None
    assert [(host.name, host.address, host.host_key) for host in found.hosts] == [
        ("galera-1", "192.0.2.1", "ssh-ed25519 K1"),
        ("galera-2", "192.0.2.2", "ssh-ed25519 K2"),
    ]
    assert found.private_key is None
    assert swarm_leftovers.managers({}, folder) is None
