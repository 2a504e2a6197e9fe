"""The operations with hosts of one's own: the way to them, what is checked, and that no account is asked."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import pytest

from components.ssh_files import SshManager, write_ssh_files
from operations import outputs, outputs_of_state, remote_hosts, ssh_files
from operations.account import audit, comparison, strays
from operations.around_run import care, left_out, swarm_leftovers
from operations.checks import cluster as cluster_checks
from operations.facts import cluster as cluster_facts
from operations.facts.cluster import HostFacts, Space
from operations.outputs import Host
from operations.pulumi_cli import Pulumi
from tests.support.ssh_server import SshServer
from tests.unit.operations.test_verify import VALUES, facts

pytestmark = pytest.mark.unit

OWN = VALUES | {
    "hosts": [
        {**host, "hostKey": "ssh-ed25519 AAAA", "disk": host["name"] == "galera-3"}
        for host in VALUES["hosts"]
    ],
    "ssh": {**VALUES["ssh"], "users": {"galera-2": "deploy"}, "ports": {"galera-2": 2222}},
}
FOUND = outputs.parse("own", OWN)
IDENTITY = "pulumi-python:dynamic/softlayer:StackIdentity"


def taken_in(name: str, **more: Any) -> dict[str, Any]:
    told = {
        "hostname": name,
        "private_ip": "10.0.0.1",
        "ssh_host": "203.0.113.1",
        "port": 2222.0,
        "user": "deploy",
        "host_key": "ssh-ed25519 AAAA",
        "private_key": {"4dabf18193072939515e22adb298388d": "1b4", "plaintext": '"KEY"'},
        **more,
    }
    return {
        "type": "pulumi-python:dynamic/own:TakenIn",
        "urn": f"urn:pulumi:own::swarm-galera::own:TakenIn::{name}-ready",
        "inputs": told,
        "outputs": told,
    }


def exported(*resources: dict[str, Any]) -> dict[str, Any]:
    return {"deployment": {"resources": list(resources)}}


def test_outputs_tell_who_logs_in_where_and_whose_a_host_is() -> None:
    ways = [(host.user, host.port, host.own, host.disk) for host in FOUND.hosts]
    assert ways[:3] == [("root", 22, True, False), ("deploy", 2222, True, False), ("root", 22, True, True)]
    ordered = outputs.parse("dev", VALUES).hosts
    assert {(host.user, host.port, host.own, host.disk) for host in ordered} == {("root", 22, False, True)}


def test_a_state_without_outputs_is_enough_to_reach_them() -> None:
    services = [{"type": "docker:index/service:Service", "outputs": {"name": n}} for n in ("etcd", "galera")]
    network = {"type": "docker:index/network:Network", "outputs": {"name": "galera"}}
    found = outputs_of_state.from_state(exported(taken_in("db1"), *services, network), ["db1"], None)
    assert found is not None
    assert found.private_key == "KEY"
    (host,) = found.hosts
    assert (host.address, host.port, host.user, host.own) == ("203.0.113.1", 2222, "deploy", True)


def test_hosts_of_one_s_own_are_known_by_the_state_and_made_anew_by_nobody() -> None:
    there = exported(taken_in("db1"), taken_in("db2"), taken_in("db3"))
    hosts = [{"name": f"db{n}", "address": f"10.0.0.{n}"} for n in (1, 2, 3)]
    assert left_out.coming({"kind": "existing", "hosts": hosts}, there) == set()
    # One that was taken out of the settings goes; a further one comes.
    assert left_out.coming({"kind": "existing", "hosts": hosts[:2]}, there) == {"db3"}
    more = [*hosts, {"name": "db4", "address": "10.0.0.4"}]
    assert left_out.coming({"kind": "existing", "hosts": more}, there) == {"db4"}


def test_who_does_not_answer_is_to_be_started_and_not_ordered(capsys: pytest.CaptureFixture[str]) -> None:
    step = {
        "urn": "urn:x::galera-3-disk-prepared",
        "type": "command:remote:Command",
        "propertyDependencies": {"connection": ["urn:x::own:TakenIn::galera-3-ready"]},
    }
    seen = care.Seen(FOUND, {}, {"galera-3": "no SSH"})
    said = left_out.options(seen, exported(step), ["galera-3"], lambda: [{"op": "update", **step}])
    assert said == ["--exclude", "urn:x::galera-3-disk-prepared", "--exclude-dependents"]
    told = capsys.readouterr()
    assert "start it; or give it up: take it out of servers.hosts" in told.out + told.err
    assert "slcli" not in told.out + told.err


def update(olds: dict[str, Any], news: dict[str, Any], op: str = "update") -> dict[str, Any]:
    """A step of a preview on a host of one's own."""
    return {"op": op, "urn": news["urn"], "oldState": olds, "newState": news}


def test_a_dead_host_is_left_out_only_where_it_must_be_told_something(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Another way to it, or another owner; not what a newer program would do when it goes one day."""
    seen, there = care.Seen(FOUND, {}, {"galera-1": "no SSH"}), taken_in("galera-1", gone="a")

    def excluded(step: dict[str, Any], away: str = "galera-1") -> list[str]:
        return left_out.options(seen, exported(there), [away], lambda: [step])

    assert excluded(update(there, taken_in("galera-1", gone="b"))) == []
    assert "Nothing has to be done on galera-1" in capsys.readouterr().err
    told = update(there, taken_in("galera-1", gone="a", user="admin"))
    assert excluded(told) == ["--exclude", there["urn"], "--exclude-dependents"]
    assert excluded(told, "galera-10") == []
    assert excluded(update(there, there, "same")) == []


@pytest.mark.parametrize(
    ("said", "anew"),
    [
        ({}, False),
        ({"hostKey": "ssh-ed25519 AAAA"}, True),
        ({"port": 22}, True),
        ({"user": "admin"}, True),
        ({"address": "10.0.0.9"}, True),
        ({"hostKey": "no key"}, False),  # the program refuses it
    ],
)
def test_a_machine_that_was_installed_anew_or_moved_is_not_one_that_is_down(
    said: dict[str, Any], anew: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The outputs know its former key or place: by these it does not answer."""
    host = {"name": "db1", "address": "10.0.0.1", "sshHost": "203.0.113.1", "port": 2222, "user": "deploy"}
    there = exported(taken_in("db1", address="10.0.0.1", given=None))
    asked: list[tuple[str, int]] = []

    def answers(address: str, port: int) -> bool:
        asked.append((address, port))
        return True

    monkeypatch.setattr(left_out, "answers", answers)
    wanted = {"db1"} if anew else set()
    assert left_out.met_anew({"kind": "existing", "hosts": [host | said]}, there) == wanted
    assert left_out.met_anew({"pools": [{"name": "p", "hosts": [host | said]}]}, there) == wanted
    assert set(asked) == ({("203.0.113.1", int(said.get("port", 2222)))} if anew else set())
    # Where it does not answer there either, it is down.
    monkeypatch.setattr(left_out, "answers", lambda *_: False)
    assert left_out.met_anew({"hosts": [host | said]}, there) == set()
    assert left_out.met_anew({"hosts": [host | said]}, exported()) == set()


def test_ssh_files_are_written_with_each_manager_s_own_user_port_and_host_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SWARM_GALERA_SSH", str(tmp_path))
    monkeypatch.setattr(outputs, "of_stack", lambda stack: FOUND)
    ssh_files.ssh_files("own")
    (folder,) = tmp_path.iterdir()
    ways = {each["name"]: each for each in json.loads((folder / "managers.json").read_text())}
    address = FOUND.hosts[1].address
    assert ways["galera-2"] == {"name": "galera-2", "address": address, "port": 2222, "user": "deploy"}
    assert (ways["galera-1"]["port"], ways["galera-1"]["user"]) == (22, "root")
    known = (folder / "known_hosts").read_text().splitlines()
    assert known[1] == f"any-manager,galera-2,[{address}]:2222 {FOUND.hosts[1].host_key}"


SUDO = """#!/bin/bash
while [[ $1 == -* ]]; do shift; done
printf 'sudo ' && exec "$@"
"""


@dataclass
class Way:
    hosts: tuple[Host, ...]
    private_key: str | None


@pytest.fixture
def server(tmp_path: Path) -> Iterator[SshServer]:
    (tmp_path / "sudo").write_text(SUDO)
    (tmp_path / "sudo").chmod(0o755)
    made = SshServer("/bin/bash", {"PATH": f"{tmp_path}:/usr/bin:/bin"})
    yield made
    made.stop()


def test_a_script_runs_as_root_whoever_logs_in(server: SshServer) -> None:
    key = " ".join(server.host_key.split()[:2])

    def host(name: str, user: str) -> Host:
        return Host(name, "manager", "10.0.0.1", "127.0.0.1", key, user=user, port=server.port)

    way = Way((host("db1", "root"), host("db2", "deploy")), server.private_key)

    async def ask() -> dict[str, str]:
        async with remote_hosts.connected(way) as hosts:
            assert hosts.unreachable == {}
            answers = await hosts.run_all(dict.fromkeys(("db1", "db2"), "read -r x; echo $x"), "given\n")
            return {name: answer.text for name, answer in answers.items()}

    assert asyncio.run(ask()) == {"db1": "given\n", "db2": "sudo given\n"}


def test_the_managers_that_a_broken_off_run_may_ask_are_found_with_their_users_and_ports(
    tmp_path: Path,
) -> None:
    managers = [
        SshManager("db1", "203.0.113.1", "ssh-ed25519 AAAA"),
        SshManager("db2", "203.0.113.2", "ssh-ed25519 BBBB", "deploy", 2222),
    ]
    write_ssh_files(tmp_path, managers, None)
    found = swarm_leftovers.managers(exported({"type": "pulumi:providers:docker"}), tmp_path)
    assert found is not None
    assert found.private_key is None
    ways = [(host.name, host.address, host.host_key, host.user, host.port) for host in found.hosts]
    assert ways == [
        ("db1", "203.0.113.1", "ssh-ed25519 AAAA", "root", 22),
        ("db2", "203.0.113.2", "ssh-ed25519 BBBB", "deploy", 2222),
    ]


def test_a_broken_off_run_is_mended_through_the_second_of_one_s_own_hosts_by_sudo(
    server: SshServer, tmp_path: Path
) -> None:
    """The first manager is down; the second has another user, port and key."""
    server.user, dead = "deploy", SshServer()
    dead.stop()
    known = server.host_keys[0].export_public_key().decode().strip()
    managers = [
        SshManager("db1", "127.0.0.1", dead.host_key, port=dead.port),
        SshManager("db2", "127.0.0.1", known, "deploy", server.port),
    ]
    write_ssh_files(tmp_path / "ssh", managers, server.private_key)
    provider = {"type": "pulumi:providers:docker", "urn": "urn:x::docker-provider"}
    found = swarm_leftovers.managers(exported(provider), tmp_path / "ssh")
    assert found is not None
    with ThreadPoolExecutor(1) as thread:  # asyncio.run leaves the thread without a loop
        answer = thread.submit(swarm_leftovers._asked, found, found.hosts, "echo asked").result()
    assert answer.text == "sudo asked\n"


def without_disk(host: HostFacts, driver: str = "overlay2", free: int = 900) -> HostFacts:
    return replace(
        host,
        mount=(),
        volume="",
        driver=driver,
        space=Space(),
        beside=Space(1000, free),
        system=Space(1000, free),
    )


def test_a_host_without_a_disk_of_its_own_is_asked_how_its_engine_stores_and_for_room() -> None:
    seen = {name: without_disk(host) for name, host in facts().items()} | {"galera-3": facts()["galera-3"]}
    checks = cluster_checks.of_hosts(FOUND, seen)
    assert [check.what for check in checks if not check.ok] == []
    about = [check.what for check in checks if check.where == "galera-1"]
    assert "engine with a storage driver that will do, active in the swarm" in about
    assert "room for the engine's data" in about
    assert "/var/lib/docker is btrfs on LVM" not in about
    assert "/var/lib/docker is btrfs on LVM" in [check.what for check in checks if check.where == "galera-3"]
    seen["galera-1"] = without_disk(facts()["galera-1"], "vfs", 50)
    bad = [check for check in cluster_checks.of_hosts(FOUND, seen) if not check.ok]
    assert [(check.where, check.what) for check in bad] == [
        ("galera-1", "engine with a storage driver that will do, active in the swarm"),
        ("galera-1", "room for the engine's data"),
    ]


def test_room_beside_others_is_that_of_the_file_system_with_the_engine_s_data() -> None:
    head = "space\tMounted on 1B-blocks Avail\nspace\t/ 1000 900\n"
    assert cluster_facts.parse(f"{head}space\t/var 500 100\n").beside == Space(500, 100)
    assert cluster_facts.parse(f"{head}space\t/ 1000 900\n").beside == Space(1000, 900)
    assert cluster_facts.parse(f"{head}space\t/var/lib/docker 500 100\n").beside == Space()


class NoAccount:
    """A stack whose hosts are all one's own; nothing but its state may be asked."""

    stack = "own"

    def __init__(self, *_: object) -> None: ...

    def export(self) -> dict[str, Any]:
        identity = {
            "type": IDENTITY,
            "urn": "urn:x::identity",
            "outputs": {"owner": "swarm-galera/own/0123", "no_account": True},
        }
        return exported(identity, taken_in("db1"))

    def config(self) -> dict[str, Any]:
        raise AssertionError("the account is looked for")


def test_no_account_is_asked_about_a_stack_that_has_none(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pulumi = cast(Pulumi, NoAccount())
    assert comparison.known(NoAccount().export()).no_account
    assert strays.before_destroy(pulumi) is None
    assert strays.after_run(pulumi) == []
    monkeypatch.setattr(audit, "Pulumi", NoAccount)
    audit.audit("own")
    assert capsys.readouterr().out == "All hosts of stack own are your own: nothing is ordered for it.\n"
    audit.audit("own", as_json=True)
    assert capsys.readouterr().out == "[]\n"
