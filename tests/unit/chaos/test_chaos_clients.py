"""What clients do and say, with a database that is made up; and where they run."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
import threading
import time
import types
from pathlib import Path
from typing import Any

import pytest

from chaos import client, clients
from chaos.clients import Clients, Stack
from chaos.journal import Journal
from harness.lab_cluster import HOSTS, LabFailed, in_image
from tests.unit.chaos.fake_site import FakeSite

pytestmark = pytest.mark.unit

STACK = Stack("it's secret", "overlay", 6446, "registry.lab:5000/galera@sha256:1")


class Failed(Exception):
    """PyMySQL's."""


class Database:
    """Two nodes behind two addresses; a node's commit may fail, with its answer or without."""

    def __init__(self) -> None:
        self.nodes = {"10.20.0.3": "galera-1", "10.20.0.4": "galera-2"}
        self.rows: list[tuple[str, int, str]] = []
        self.statements: list[str] = []
        self.down: set[str] = set()
        self.lose_answer_of = 0
        self.breaks: Exception = Failed("lost connection")
        self.closed = 0

    def connect(self, host: str, **_: Any) -> Database:
        if host in self.down:
            raise Failed(f"{host} is down")
        self.node = self.nodes[host]
        return self

    def cursor(self) -> Database:
        return self

    def __enter__(self) -> Database:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def execute(self, text: str, values: tuple[Any, ...] = ()) -> None:
        self.statements.append(text)
        if text.startswith("INSERT INTO chaos_row"):
            self.rows.append(values)
            if values[1] == self.lose_answer_of:
                raise self.breaks

    def fetchone(self) -> tuple[Any, ...]:
        return (self.node,) if "wsrep_node_name" in self.statements[-1] else (12,)

    def close(self) -> None:
        self.closed += 1


@pytest.fixture
def database(monkeypatch: pytest.MonkeyPatch) -> Database:
    made = Database()
    module = types.ModuleType("pymysql")
    module.connect = made.connect  # type: ignore[attr-defined]
    module.Error = Failed  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "pymysql", module)
    monkeypatch.setattr(client, "ended", threading.Event())
    monkeypatch.setattr(client, "AGAIN", 0.001)
    monkeypatch.setattr(client, "addresses", lambda way: [*made.nodes])
    return made


WAY = {"name": "writer@galera-1", "kind": "row", "host": "h", "port": 1, "apart": 0.001, "node": None}
KNOWN = {"life": 3, "user": "app", "password": "x", "database": "app"}


def lines(capsys: pytest.CaptureFixture[str]) -> list[list[Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def work_until(database: Database, rows: int, way: dict[str, Any]) -> None:
    thread = threading.Thread(target=client.work, args=(way, KNOWN))
    thread.start()
    end = time.monotonic() + 20
    while len(database.statements) < rows and time.monotonic() < end:
        time.sleep(0.001)
    client.ended.set()
    thread.join()


def test_a_write_is_said_to_begin_before_it_does_and_to_be_acknowledged_after(
    database: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    work_until(database, 5, WAY)
    told = lines(capsys)
    assert told[0] == ["try", "writer@galera-1/3", 1]
    assert told[1] == ["ack", "writer@galera-1/3", 1]
    assert told[-1][0] == "end"
    numbers = [number for _, number, _ in database.rows]
    assert numbers == list(range(1, len(numbers) + 1))
    assert database.rows[0] == ("writer@galera-1/3", 1, client.body("writer@galera-1/3", 1))


def test_a_write_whose_answer_was_lost_is_not_acknowledged_and_not_repeated(
    database: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    database.lose_answer_of = 2
    work_until(database, 6, WAY)
    told = lines(capsys)
    acked = [number for kind, _, number, *_ in told if kind == "ack"]
    assert 1 in acked
    assert 2 not in acked
    assert 3 in acked
    assert [number for _, number, _ in database.rows].count(2) == 1
    assert ["error", "writer@galera-1/3", 2, "Failed: lost connection"] in told
    assert database.closed == 2


def test_money_is_moved_from_what_was_read_and_said_so(
    database: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    work_until(database, 10, {**WAY, "name": "account@galera-1", "kind": "account"})
    told = lines(capsys)
    _, _, number, account, was, delta = next(line for line in told if line[0] == "ack")
    assert (number, was) == (1, 12)
    assert account in range(client.ACCOUNTS)
    assert delta > 0
    assert [text.split()[0] for text in database.statements[:5]] == [
        *("BEGIN", "SELECT", "UPDATE", "INSERT", "COMMIT")
    ]


@pytest.mark.parametrize(
    ("node", "down"), [("galera-2", set()), ("galera-2", {"10.20.0.3"}), (None, {"10.20.0.3"})]
)
def test_a_node_is_found_by_its_name_whichever_others_are_down(
    database: Database, node: str | None, down: set[str]
) -> None:
    database.down = down
    assert client.connected({**WAY, "node": node}, KNOWN).node == "galera-2"


def test_a_node_that_is_nowhere_is_not_replaced_by_another_one(database: Database) -> None:
    with pytest.raises(OSError, match="no address leads to galera-3"):
        client.connected({**WAY, "node": "galera-3"}, KNOWN)


def test_each_host_writes_on_every_way_and_moves_money() -> None:
    for host in HOSTS:
        found = [way for doing in clients.ways(host, 6446).values() for way in doing]
        assert {way["name"] for way in found} == {f"{n}@{host}" for n in (*clients.WAYS, clients.ACCOUNT)}
        (own,) = (way for way in found if way["name"].startswith("node@"))
        assert own["node"] == host
        assert {(way["host"], way["port"]) for way in found if way["node"] is None} == {
            *(("127.0.0.1", 6446), ("galera", 3306))
        }


def test_no_secret_is_on_a_command_line_and_nothing_is_logged_on_the_hosts_disk() -> None:
    for container in clients.ways("galera-1", 6446):
        text = clients.command(container, STACK)
        assert STACK.password not in text
        assert "--log-driver none" in text
        assert "galera" not in container  # by that name the database's own are found
    assert "--network host" in clients.command("chaos-host", STACK)
    assert "--network overlay" in clients.command("chaos-overlay", STACK)


def test_a_stack_without_a_load_balancer_is_refused_with_a_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = FakeSite(tmp_path)
    monkeypatch.setattr(type(site.cluster), "outputs", lambda _self: {"passwords": {"app": "x"}})
    with pytest.raises(LabFailed, match=r"has no load balancer.*Remedy: the section loadBalancer"):
        Stack.of(site)


class Here:
    """Clients as processes of this machine: they say what a program prints that is given for them."""

    def __init__(self, text: str, site: FakeSite, monkeypatch: pytest.MonkeyPatch) -> None:
        words = [sys.executable, "-c", text]
        monkeypatch.setattr(type(site.cluster), "ssh", lambda _self, host, _command: [*words, host])
        monkeypatch.setattr(clients, "AGAIN", 0.05)


def test_a_client_that_ends_is_started_again_with_a_life_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (
        "import json, sys\n"
        "known = json.loads(sys.stdin.readline())\n"
        "for way in known['ways']:\n"
        "  for n in range(1, 4):\n"
        "    print(json.dumps(['ack', f\"{way['name']}/{known['life']}\", n]), flush=True)\n"
    )
    site = FakeSite(tmp_path)
    Here(text, site, monkeypatch)
    with Journal(tmp_path / "journal") as journal:
        run = Clients(site, journal, STACK)
        run.start(60)
        assert run.wait_for("writer", 0.0, 5)
        assert not run.wait_for("writer", time.monotonic() + 100, 0.1)
        run.stop()
    lives = {checker.rpartition("/")[2] for checker, _ in journal.said.acked}
    assert {"1", "2"} <= lives
    assert any("docker stop" in line for line in site.done)


def test_clients_that_do_not_write_are_no_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site = FakeSite(tmp_path)
    Here("print('docker: no such image')", site, monkeypatch)
    with Journal(tmp_path / "journal") as journal:
        run = Clients(site, journal, STACK)
        with pytest.raises(LabFailed, match=r"clients do not write: .*no such image"):
            run.start(0.5)
        run.stop()


def test_the_program_is_whole_on_one_line(tmp_path: Path) -> None:
    """As the engine gets it: one word that runs without any file beside it."""
    words = shlex.split(in_image(clients.CLIENT))
    known = json.dumps({**KNOWN, "ways": []})
    done = subprocess.run(
        [sys.executable, "-IS", *words],
        input=known,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("odd", [AttributeError("'NoneType' has no attribute 'read'"), IndexError("packet")])
def test_whatever_a_broken_connection_raises_a_way_goes_on(
    database: Database, capsys: pytest.CaptureFixture[str], odd: Exception
) -> None:
    database.lose_answer_of, database.breaks = 2, odd
    work_until(database, 6, WAY)
    acked = [number for kind, _, number, *_ in lines(capsys) if kind == "ack"]
    assert 2 not in acked
    assert 3 in acked


def test_a_client_that_may_still_write_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It was about to start as all were stopped: nodes would be read while it writes."""
    site = FakeSite(tmp_path)
    Here("print()", site, monkeypatch)
    with Journal(tmp_path / "journal") as journal:
        run = Clients(site, journal, STACK)
        with pytest.raises(LabFailed):
            run.start(0.2)
        site.fails = ("docker ps -q --filter name=chaos-",)
        with pytest.raises(LabFailed):
            run.stop()
    stopped, looked = (
        max(at for at, line in enumerate(site.done) if words in line)
        for words in ("docker stop", "docker ps -q")
    )
    assert stopped < looked


@pytest.mark.parametrize(("there", "code"), [("", 0), ("4711", 1)])
def test_the_look_for_clients_fails_where_one_is_left(tmp_path: Path, there: str, code: int) -> None:
    docker = tmp_path / "docker"
    docker.write_text(f'#!/bin/bash\nif test "$1" = ps; then echo {there}; else exit 1; fi\n')
    docker.chmod(0o755)
    done = subprocess.run(["/bin/bash", "-c", clients.GONE], env={"PATH": str(tmp_path)}, check=False)
    assert done.returncode == code
    docker.unlink()
    assert subprocess.run(
        ["/bin/bash", "-c", clients.GONE], env={"PATH": str(tmp_path)}, check=False
    ).returncode


def test_an_interruption_ends_the_waits_for_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site = FakeSite(tmp_path)
    Here("print()", site, monkeypatch)
    with Journal(tmp_path / "journal") as journal:
        run = Clients(site, journal, STACK)
        site.abort()
        with pytest.raises(LabFailed, match="interrupted"):
            run.wait_for("writer", 0.0, 60)
        with pytest.raises(LabFailed, match="interrupted"):
            run.start(60)
        run.stop()
