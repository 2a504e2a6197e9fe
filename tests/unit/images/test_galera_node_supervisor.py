"""The node's loop where it must not end a database: whatever goes wrong, the first process ends in order.

The database's client library is the image's, so a stand-in of its name is enough to load the program here;
what needs a real server is in tests/images.
"""

from __future__ import annotations

import importlib
import sys
import time
import types
from collections.abc import Iterator
from dataclasses import replace
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

import pytest

from images.galera.galera_node import server
from images.galera.galera_node.epochs import RUNNING
from images.galera.galera_node.neighbours import Told
from images.galera.galera_node.network import Names
from images.galera.galera_node.settings import SECRETS, Settings
from images.galera.galera_node.store import Cluster, Entry, Epoch, Facts, Presence, StoreError, View

PACKAGE = "images.galera.galera_node"
CLIENTS = ("sql", "formation", "component", "endpoints", "supervisor")
NO_BALANCER = types.SimpleNamespace(
    serving=False, answer=lambda _path: 503, start=lambda: None, drain=lambda: None
)


@pytest.fixture
def supervisor(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The module, loaded anew; its signal handlers are taken back."""
    import signal

    client = types.ModuleType("pymysql")
    client.Error = Exception  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "pymysql", client)
    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD)
    before = [signal.getsignal(number) for number in numbers]
    for name in CLIENTS:
        monkeypatch.delitem(sys.modules, f"{PACKAGE}.{name}", raising=False)
    yield importlib.import_module(f"{PACKAGE}.supervisor")
    for name in CLIENTS:
        sys.modules.pop(f"{PACKAGE}.{name}", None)
    signal.set_wakeup_fd(-1)
    for number, handler in zip(numbers, before, strict=True):
        signal.signal(number, handler)


class OddStore:
    """A store whose answer is `error`."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def read(self) -> dict[str, Entry]:
        raise self.error

    def open_session(self, ttl: int) -> None:
        raise self.error

    renew = close_session = read

    def commit(self, *_: object) -> bool:
        raise self.error


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    (tmp_path / "data").mkdir()
    for name in SECRETS:
        (tmp_path / name).write_text("secret\n")
    return Settings(
        node="a",
        cluster="galera",
        size=3,
        peers="no.such.name.invalid",
        store="etcd://etcd:2379",
        subnet=IPv4Network("127.0.0.0/8"),
        database="app",
        data_dir=tmp_path / "data",
        run_dir=tmp_path / "run",
        secrets=tmp_path,
        stop_grace=30.0,
    )


def test_an_error_that_nobody_expects_stops_the_server_in_order(
    supervisor: Any,
    settings: Settings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    program = tmp_path / "mariadbd"
    program.write_text(
        f"#!/bin/sh\ntrap 'echo in order > {tmp_path}/end; exit 0' TERM\ntouch {tmp_path}/up\n"
        "while :; do sleep 0.05; done\n"
    )
    program.chmod(0o755)
    monkeypatch.setattr(server, "MARIADBD", str(program))
    node = supervisor.Node(
        settings, OddStore(KeyError("what")), Names(patience=0.01, look=lambda _: []), NO_BALANCER
    )
    node.server.start()
    until = time.monotonic() + 30
    while not (tmp_path / "up").exists() and time.monotonic() < until:
        time.sleep(0.01)
    node.answered = True  # one that has never answered may be killed
    assert node.run() == 1
    assert (tmp_path / "end").read_text() == "in order\n"
    said = capsys.readouterr().err
    assert "unexpected KeyError: 'what'" in said
    assert "Traceback" not in said


def test_a_memory_that_is_full_ends_nothing(
    supervisor: Any, settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    node = supervisor.Node(settings, OddStore(StoreError("away")), Names(look=lambda _: []), NO_BALANCER)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(supervisor.health, "write", full)
    node.unhealthy("waiting")
    node.tell_others(node.presence("empty", supervisor.NO_UUID, -1), "")  # its folder is not there yet
    assert "cannot be written" in capsys.readouterr().err


def test_a_node_that_has_served_ends_its_container_before_it_joins_anew(
    supervisor: Any, settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its failing health checks count, so a copy in place would be broken off, or clients sent to it."""
    joins: list[object] = []
    node = supervisor.Node(settings, OddStore(StoreError("away")), Names(look=lambda _: []), NO_BALANCER)
    monkeypatch.setattr(node.membership, "look", lambda *_: supervisor.Facts())
    monkeypatch.setattr(supervisor, "decide", lambda *_: supervisor.Join(("127.0.0.9",), "it does"))

    class Joined(Exception):
        pass

    def join(*words: object) -> None:
        joins.append(words)
        raise Joined

    monkeypatch.setattr(node, "join", join)
    with pytest.raises(Joined):
        node.attempt()
    node.served = True
    with pytest.raises(supervisor.Renew):
        node.attempt()
    # Without the store the swarm has hardly a leader, which would start the container anew.
    monkeypatch.setattr(node.membership, "look", lambda *_: None)
    with pytest.raises(Joined):
        node.attempt()
    assert len(joins) == 2
    monkeypatch.setattr(node.membership, "look", lambda *_: supervisor.Facts())
    assert node.run() == 0
    assert "the engine starts this node anew" in capsys.readouterr().err


def test_a_node_whose_copies_come_to_nothing_waits_before_the_next_one(
    supervisor: Any, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    node = supervisor.Node(settings, OddStore(StoreError("away")), Names(look=lambda _: []), NO_BALANCER)
    assert not node.too_soon()
    for _ in range(3):
        supervisor.local_state.copy_begins(settings.data_dir, time.time())
    assert node.too_soon()
    assert "3 full copies have begun, and none has led to a Synced node" in node.problem
    assert "The next one begins in" in capsys.readouterr().err
    supervisor.local_state.copy_succeeded(settings.data_dir)
    assert not node.too_soon()


@pytest.mark.parametrize(
    ("grastate", "start", "recovered", "expected"),
    [
        pytest.param(("U", -1), "", ("U", 9), ("U", 9, True), id="a crash"),
        pytest.param(("0", -1), "", ("U", 9), ("U", 9, False), id="Galera has marked the data"),
        pytest.param(("U", -1), "", ("V", 9), ("U", -1, True), id="they contradict one another"),
        pytest.param(("U", -1), "U:7", ("0", -1), ("U", 7, True), id="a bootstrap had just begun"),
        pytest.param(("U", -1), "V:7", ("0", -1), ("U", -1, True), id="a bootstrap of other data had"),
        pytest.param(("U", -1), "U:x", ("0", -1), ("U", -1, True), id="the note is damaged"),
        pytest.param(("U", -1), "", None, ("U", -1, True), id="it cannot be recovered"),
    ],
)
def test_the_position_after_a_crash_is_certain_or_said_to_be_unknown(
    supervisor: Any,
    settings: Settings,
    grastate: tuple[str, int],
    start: str,
    recovered: tuple[str, int] | None,
    expected: tuple[str, int, bool],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ids = {
        "U": "aaaaaaaa-0000-0000-0000-000000000001",
        "V": "bbbbbbbb-0000-0000-0000-000000000002",
        "0": supervisor.NO_UUID,
    }
    name, _, position = start.partition(":")
    state = supervisor.local_state
    (settings.data_dir / "ibdata1").touch()
    settings.run_dir.mkdir()
    state.write_grastate(settings.data_dir, ids[grastate[0]], grastate[1], False)
    state.write_note(settings.data_dir, state.Note(start=f"{ids[name]}:{position}" if start else ""))
    node = supervisor.Node(settings, OddStore(StoreError("away")), Names(look=lambda _: []), NO_BALANCER)
    monkeypatch.setattr(node.server, "recover", lambda: None)
    monkeypatch.setattr(node, "attend", lambda *_: 0)

    def position_of(code: int) -> tuple[str, int]:
        if recovered is None:
            raise supervisor.RecoverError("torn pages")
        return ids[recovered[0]], recovered[1]

    monkeypatch.setattr(node.server, "recovered", position_of)
    local = node.local()
    assert (local.uuid, local.seqno, local.trusted) == (ids[expected[0]], *expected[1:])
    assert bool(node.problem) is (local.seqno < 0 or not local.trusted)


def test_an_empty_log_of_a_start_without_room_is_removed_and_one_with_content_is_kept(
    supervisor: Any, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    node = supervisor.Node(settings, OddStore(StoreError("away")), Names(look=lambda _: []), NO_BALANCER)
    log = settings.data_dir / "tc.log"
    log.write_bytes(b"\xfe#\r\n")
    node.local()
    assert log.exists()
    log.write_bytes(b"")
    node.local()
    assert not log.exists()
    assert "removed an empty tc.log" in capsys.readouterr().err


def test_a_server_that_neither_answers_nor_works_is_started_over(
    supervisor: Any,
    settings: Settings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    program = tmp_path / "mariadbd"
    program.write_text("#!/bin/sh\nexec sleep 600\n")
    program.chmod(0o755)
    monkeypatch.setattr(server, "MARIADBD", str(program))
    monkeypatch.setattr(supervisor.health, "STALL", 0.3)
    node = supervisor.Node(settings, OddStore(StoreError("away")), Names(look=lambda _: []), NO_BALANCER)
    settings.run_dir.mkdir()

    def silent() -> None:
        raise supervisor.SqlError("no socket")

    monkeypatch.setattr(node.sql, "status", silent)
    node.server.start()
    assert node.watch(supervisor.Local(supervisor.Kind.DATA), False, False) is False
    assert not node.server.running
    assert "neither answered nor done anything" in capsys.readouterr().err


@pytest.mark.parametrize(("failures", "kept"), [(0, True), (1, True), (2, False)])
def test_a_view_that_may_be_what_ends_each_start_is_given_up(
    supervisor: Any, settings: Settings, failures: int, kept: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = supervisor.Node(settings, OddStore(StoreError("away")), Names(look=lambda _: []), NO_BALANCER)
    settings.run_dir.mkdir()
    view = settings.data_dir / "gvwstate.dat"
    view.touch()
    monkeypatch.setattr(node.server, "start", lambda *_: None)
    monkeypatch.setattr(node, "serve", lambda *_: None)
    node.failures = failures
    local = supervisor.Local(supervisor.Kind.DATA, "u", 7, view=True)
    node.join(supervisor.Join(("127.0.0.9",), ""), local, None, {})
    assert view.exists() is kept


def test_a_full_copy_leaves_galera_no_position_to_go_on_from(
    supervisor: Any, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = supervisor.Node(settings, OddStore(StoreError("away")), Names(look=lambda _: []), NO_BALANCER)
    settings.run_dir.mkdir()
    uuid = "aaaaaaaa-0000-0000-0000-000000000001"
    state = supervisor.local_state
    (settings.data_dir / "ibdata1").touch()
    state.write_grastate(settings.data_dir, uuid, 103, False)
    started: list[list[str]] = []
    shown: list[Any] = []
    monkeypatch.setattr(node.server, "start", started.append)
    monkeypatch.setattr(node, "serve", shown.append)
    facts = supervisor.Facts(cluster=state_cluster(uuid))
    node.join(supervisor.Join(("127.0.0.9",), "", full=True), state.read(settings.data_dir), facts, {})
    assert started == [[]]  # without a start position
    assert state.read(settings.data_dir) == supervisor.Local(supervisor.Kind.DATA)
    # Nobody takes it for one with data; and a donor of another cluster is refused still.
    assert shown[0].uuid == supervisor.NO_UUID
    assert supervisor.transfer.history(settings.run_dir) == uuid
    assert supervisor.transfer.epoch(settings.run_dir) == "1-ab"


def state_cluster(uuid: str) -> Cluster:
    return Cluster(uuid, "formed", "b", "1-ab")


@pytest.mark.parametrize(
    ("starts", "weight"),
    [
        pytest.param(True, 3, id="whoever starts or restarts the cluster"),
        pytest.param(False, 1, id="a joiner, also the one that formed it"),
    ],
)
def test_the_vote_of_whoever_starts_a_component_counts_for_all(
    supervisor: Any, settings: Settings, starts: bool, weight: int
) -> None:
    node = supervisor.Node(settings, OddStore(StoreError("away")), Names(look=lambda _: []), NO_BALANCER)
    node.formation.weigh(starts)
    assert node.formation.weight == weight


@pytest.mark.parametrize(
    ("galera_state", "presence", "healthy"),
    [
        pytest.param("Joined", "primary", True, id="it applies what was written meanwhile"),
        pytest.param("Synced", "primary", False, id="it does not serve, and nothing is under way"),
        pytest.param("Joining: receiving", "starting", True, id="it receives"),
    ],
)
def test_catching_up_is_work_that_nobody_ends(
    supervisor: Any,
    settings: Settings,
    galera_state: str,
    presence: str,
    healthy: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    node = supervisor.Node(settings, OddStore(StoreError("away")), Names(look=lambda _: []), NO_BALANCER)
    settings.run_dir.mkdir()
    node.began -= settings.start_period + 1  # failures count
    status = supervisor.ServerStatus(galera_state, True, True, False, "u", 7, 3)
    advance = supervisor.health.Advance(time.monotonic())
    shown = node.presence(presence, "u", 7)
    node.report(shown, galera_state, status, None, advance, supervisor.Facts())
    assert (supervisor.health.check(settings.run_dir)[0] == 0) is healthy


# ---- the component that mariadbd is in

U = "aaaaaaaa-0000-0000-0000-000000000001"


class Keeps:
    """What a component does to the store."""

    def __init__(self) -> None:
        self.views: list[View] = []
        self.epochs: list[tuple[str, tuple[str, ...]]] = []

    def show_view(self, view: View, facts: Facts) -> None:
        self.views.append(view)

    def begin_epoch(self, epoch: str, facts: Facts, carried: Any, left_out: Any) -> bool:
        self.epochs.append((epoch, tuple(left_out)))
        return True


class Members:
    """A server whose component began at `seqno` with these members."""

    def __init__(self, names: str, seqno: int = 20) -> None:
        self.names, self.seqno = names, seqno

    def run(self, statement: str) -> list[tuple[Any, ...]]:
        return [(U, self.seqno, name) for name in self.names]


def component(supervisor: Any, settings: Settings, members: Members, keeps: Keeps) -> Any:
    names = Names(patience=0.01, look=lambda _: [])
    made = supervisor.Component(settings, "127.0.0.1", names, keeps, members, supervisor.Topics())
    made.begin()
    return made


def synced(supervisor: Any, size: int) -> Any:
    return supervisor.ServerStatus("Synced", True, True, True, U, 30, size)


def facts(names: str, epoch: str = "", view_epoch: str | None = None, **states: str) -> Facts:
    present = {name: Presence(state, U, 9, f"10.0.0.{ord(name)}") for name, state in states.items()}
    view = View(U, epoch if view_epoch is None else view_epoch, 12, tuple(names))
    return Facts(cluster=Cluster(U, "formed", "a", epoch), view=view, present=present)


@pytest.mark.parametrize(
    ("before", "now", "left_out"),
    [
        pytest.param(facts("abc", b="running"), "ab", ("c",), id="nobody was in one, and one is missing"),
        pytest.param(None, "a", ("b", "c"), id="the store was away"),
        pytest.param(facts("abc", b="synced"), "ab", None, id="another has lived on"),
        pytest.param(facts("abc", b="running"), "abc", None, id="all of it are back"),
        pytest.param(facts("ab", b="running"), "abc", None, id="and one more"),
        pytest.param(facts("abc", "", "0-y", b="running"), "ab", None, id="the list is of another epoch"),
    ],
)
def test_a_component_that_a_person_has_started_begins_an_epoch_and_no_other(
    supervisor: Any, settings: Settings, before: Facts | None, now: str, left_out: tuple[str, ...] | None
) -> None:
    keeps = Keeps()
    made = component(supervisor, settings, Members(now), keeps)
    made.outside(before, answers=True)
    made.look(synced(supervisor, len(now)), facts("abc") if before is None else before)
    assert [names for _, names in keeps.epochs] == ([] if left_out is None else [left_out])
    # Without having been outside, a component that has become smaller is Galera's own.
    keeps = Keeps()
    component(supervisor, settings, Members(now), keeps).look(synced(supervisor, len(now)), facts("abc"))
    assert keeps.epochs == []


def test_a_component_that_has_become_smaller_is_written_at_the_second_look(
    supervisor: Any, settings: Settings
) -> None:
    keeps, members = Keeps(), Members("abc")
    made = component(supervisor, settings, members, keeps)
    made.look(synced(supervisor, 3), facts("ab"))
    assert [view.members for view in keeps.views] == [("a", "b", "c")]  # who comes is listed at once
    members.names, members.seqno = "ab", 25
    made.look(synced(supervisor, 2), facts("abc"))
    assert len(keeps.views) == 1
    # The node's own note has it before the store does.
    note = supervisor.local_state.read_note(settings.data_dir)
    assert note.component == View(U, "", 25, ("a", "b"))
    made.look(synced(supervisor, 2), facts("abc"))
    assert keeps.views[-1].members == ("a", "b")


def test_a_full_disk_does_not_end_a_node_that_serves(
    supervisor: Any, settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    made = component(supervisor, settings, Members("ab"), Keeps())

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(supervisor.local_state, "write_note", full)
    made.look(synced(supervisor, 2), facts("ab"))
    assert "the node's note cannot be written" in capsys.readouterr().err


def test_only_the_clusters_epoch_is_served_and_only_its_component_goes_over(
    supervisor: Any, settings: Settings
) -> None:
    made = component(supervisor, settings, Members("ab"), Keeps())
    status = synced(supervisor, 2)
    assert made.belongs(status, facts("ab"))
    assert made.confirmed
    # It was left out of a recovery, and the networks have met again.
    begun = facts("ab", "1-x")
    for epoch in (None, Epoch("1-x", "", {"a": 93, "b": 95}, (), "b"), Epoch("1-x", "0-y", {"a": RUNNING})):
        made.epoch = ""
        assert not made.belongs(status, replace(begun, epoch=epoch))
        assert not made.confirmed
    # The epoch was begun in the component that it runs in.
    assert made.belongs(status, replace(begun, epoch=Epoch("1-x", "", {"a": RUNNING, "b": RUNNING}, ("c",))))
    assert (made.confirmed, made.epoch) == (True, "1-x")


def test_while_the_store_is_away_another_node_must_confirm_one_that_was_outside(
    supervisor: Any, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = Told("b", U, "1-x", "synced")
    answers = {"10.0.0.2": told}
    made = component(supervisor, settings, Members("ab"), Keeps())
    monkeypatch.setattr(sys.modules[f"{PACKAGE}.component"].neighbours, "ask_all", lambda *_: answers)
    made.epoch = "1-x"
    assert made.belongs(synced(supervisor, 2), None)
    assert made.confirmed
    made.outside(None, answers=True)
    assert not made.confirmed
    for answer in (replace(told, epoch=""), replace(told, uuid="other"), replace(told, state="running")):
        answers["10.0.0.2"] = answer
        made.belongs(synced(supervisor, 2), None)
        assert not made.confirmed
    # That mariadbd does not answer for a moment says nothing about where it is.
    answers["10.0.0.2"] = told
    made.belongs(synced(supervisor, 2), None)
    made.outside(None, answers=False)
    assert made.confirmed
    # The first of all has nobody to ask.
    answers.clear()
    made.begin()
    made.belongs(synced(supervisor, 1), None)
    assert made.confirmed
