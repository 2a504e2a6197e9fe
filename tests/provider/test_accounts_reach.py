"""The way to the database's root: real SSH to hosts whose `docker` is a few lines of shell."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from components.accounts import reach
from components.accounts.reach import AccountsFailed, NoAnswer, Root
from tests.support.ssh_server import SshServer

pytestmark = pytest.mark.provider

DOCKER = """#!/bin/sh
echo "$@" >>HERE/calls
case $1 in
  ps) cat HERE/container ;;
  exec) cat >>HERE/told; cat HERE/says >&2; cat HERE/answer; exit $(cat HERE/code) ;;
esac
"""


class HostWithNode:
    """A host behind SSH. `says` fails with these words; `answer` is the client's output."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        (folder / "docker").write_text(DOCKER.replace("HERE", str(folder)))
        (folder / "docker").chmod(0o755)
        self.answer("")
        (folder / "container").write_text("c0ffee\n")
        self.ssh = SshServer("/bin/sh", {"PATH": f"{folder}:/usr/bin:/bin"})

    def answer(self, text: str, says: str = "", code: int = 0) -> None:
        (self.folder / "answer").write_text(text)
        (self.folder / "says").write_text(says)
        (self.folder / "code").write_text(str(code))

    def seen(self, name: str) -> str:
        path = self.folder / name
        return path.read_text() if path.exists() else ""


@pytest.fixture
def hosts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[HostWithNode]]:
    """Two of them; whoever waits for them does not wait long."""
    monkeypatch.setattr(reach, "PATIENCE", 1.0)
    monkeypatch.setattr(reach, "PAUSE", 0.1)
    made = [HostWithNode(tmp_path / name) for name in ("galera-1", "galera-2")]
    yield made
    for host in made:
        host.ssh.stop()


def outputs(hosts: list[HostWithNode], **more: Any) -> dict[str, Any]:
    """What `reach` makes of the outputs of a stack with these hosts, all of which take the same key."""
    hosts[1].ssh.key = hosts[0].ssh.key
    names = [host.folder.name for host in hosts]
    ssh = {
        "user": "root",
        "privateKey": hosts[0].ssh.private_key,
        "addresses": {name: f"127.0.0.1:{host.ssh.port}" for name, host in zip(names, hosts, strict=True)},
        "hostKeys": {name: host.ssh.host_key for name, host in zip(names, hosts, strict=True)},
    }
    galera = {"members": names, "service": "galera", "database": "app"}
    return {**reach.reach(ssh, galera), **more}


def test_statements_go_to_a_node_over_standard_input_and_rows_come_back(hosts: list[HostWithNode]) -> None:
    hosts[0].answer("a\tmy\\\\_app\n")
    assert Root(outputs(hosts)).ask("SELECT 1;", "SELECT '*SECRET';") == [("a", "my\\_app")]
    assert hosts[0].seen("told") == "SET SESSION wsrep_sync_wait = 1;\nSELECT 1;\nSELECT '*SECRET';\n"
    calls = hosts[0].seen("calls").splitlines()
    assert calls == [
        "ps -q -f label=com.docker.swarm.service.name=galera -f status=running",
        "exec -i c0ffee mariadb -NB",
    ]


def test_a_host_that_is_down_is_passed_over_and_the_one_that_answers_is_asked_first_from_then_on(
    hosts: list[HostWithNode],
) -> None:
    root = Root(outputs(hosts))
    hosts[0].ssh.stop()
    hosts[1].answer("there\n")
    assert root.ask("SELECT 1;") == [("there",)]
    hosts[0].ssh.start()
    assert root.ask("SELECT 1;") == [("there",)]
    assert hosts[0].seen("told") == ""


def test_each_of_one_s_own_hosts_is_reached_as_its_user_at_its_port(hosts: list[HostWithNode]) -> None:
    """The first is down; no stack of ordered hosts has a word of users and ports."""
    hosts[1].ssh.key, hosts[1].ssh.user = hosts[0].ssh.key, "deploy"
    hosts[0].ssh.stop()
    ssh = {
        "user": "root",
        "privateKey": hosts[0].ssh.private_key,
        "addresses": {"db1": "127.0.0.1", "db2": "127.0.0.1"},
        "hostKeys": {"db1": hosts[0].ssh.host_key, "db2": hosts[1].ssh.host_key},
        "users": {"db2": "deploy"},
        # Numbers of another stack's outputs arrive as 1.0.
        "ports": {"db1": float(hosts[0].ssh.port), "db2": float(hosts[1].ssh.port)},
    }
    galera = {"members": ["db1", "db2"], "service": "galera", "database": "app"}
    hosts[1].answer("there\n")
    assert Root(reach.reach(ssh, galera)).ask("SELECT 1;") == [("there",)]
    assert set(outputs(hosts)["hosts"][0]) == {"name", "address", "host_key"}


@pytest.mark.parametrize("number", [1047, 2002])
def test_a_node_that_does_not_serve_is_passed_over(hosts: list[HostWithNode], number: int) -> None:
    hosts[0].answer("", f"ERROR {number} (08S01) at line 1: not now\n", 1)
    hosts[1].answer("there\n")
    assert Root(outputs(hosts)).ask("SELECT 1;") == [("there",)]


def test_a_host_without_a_node_is_passed_over(hosts: list[HostWithNode]) -> None:
    (hosts[0].folder / "container").write_text("")
    hosts[1].answer("there\n")
    assert Root(outputs(hosts)).ask("SELECT 1;") == [("there",)]


def test_where_nobody_answers_each_has_its_reason_and_there_is_a_remedy(
    hosts: list[HostWithNode], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    slept: list[float] = []
    # Only pauses take time, however slow the machine is.
    clock = SimpleNamespace(monotonic=lambda: sum(slept), sleep=slept.append)
    monkeypatch.setattr(reach, "time", clock)
    monkeypatch.setattr(reach, "FIRST", 0.5)
    known = outputs(hosts)
    (hosts[0].folder / "container").write_text("")
    hosts[1].ssh.host_keys = hosts[0].ssh.host_keys
    hosts[1].ssh.stop()
    hosts[1].ssh.start()
    with pytest.raises(AccountsFailed) as failed:
        Root(known).ask("SELECT 1;")
    assert "galera-1: no container of galera runs there" in str(failed.value)
    assert "galera-2: it shows another host key" in str(failed.value)
    assert "Remedy: `verify`" in str(failed.value)
    assert "the database: no node answers yet (galera-1:" in capsys.readouterr().out


def test_what_a_node_refuses_is_told_at_once_and_without_a_passwords_stored_form(
    hosts: list[HostWithNode],
) -> None:
    stored = "*" + "A1" * 20
    said = f"--------------\nALTER USER …\n--------------\n\nERROR 1064 (42000) at line 2: near '{stored}'\n"
    hosts[0].answer("", said, 1)
    with pytest.raises(
        AccountsFailed, match="galera-1: the database refuses: ALTER USER … ERROR 1064"
    ) as failed:
        Root(outputs(hosts)).ask("ALTER USER …;")
    assert failed.value.number == 1064
    assert stored not in str(failed.value)
    assert hosts[1].seen("told") == ""


def test_statements_without_an_end_are_given_up(
    hosts: list[HostWithNode], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reach, "STATEMENTS", 0.5)
    (hosts[0].folder / "docker").write_text("#!/bin/sh\n[ $1 = ps ] && echo c0ffee || sleep 20\n")
    with pytest.raises(AccountsFailed, match=r"no end of the statements.*Remedy: see SHOW PROCESSLIST"):
        Root(outputs(hosts)).ask("DROP DATABASE shop;")


def test_the_agents_key_is_used_where_the_stack_has_none(
    hosts: list[HostWithNode], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    monkeypatch.setenv("HOME", str(hosts[0].folder))
    with pytest.raises(AccountsFailed, match=r"galera-1: no SSH \("):
        Root(outputs(hosts, private_key=None)).ask("SELECT 1;")


def test_names_of_the_stacks_own_are_taken() -> None:
    ssh = {"user": "root", "addresses": {}, "hostKeys": {}}
    galera = {"members": [], "service": "galera", "database": "app"}
    known = reach.reach(ssh, galera, {"database": {"name": "blog", "user": "wordpress"}})
    assert known["taken"] == ["app", "blog", "wordpress"]
    assert known["private_key"] is None
    assert reach.reach(ssh, galera, {"service": "application"})["taken"] == ["app"]


def test_a_role_that_another_account_has_made_has_a_remedy() -> None:
    said = "ERROR 1698 (28000) at line 4: Access denied for user 'mysql'@'localhost'"
    assert "Remedy: take it back as who has made that role" in str(reach.refused("galera-1", said))


def test_words_without_a_number_are_the_engines() -> None:
    assert isinstance(reach.refused("galera-1", "Error response from daemon: container is paused"), NoAnswer)
    assert str(reach.refused("galera-1", "")) == "no word of the reason"
