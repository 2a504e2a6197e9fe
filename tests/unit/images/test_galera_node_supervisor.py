"""The node's loop where it must not end a database: whatever goes wrong, the first process ends in order.

What needs a real server is in tests/images.
"""

from __future__ import annotations

import time
import types
from pathlib import Path
from typing import Any

import pytest

from images.galera.galera_node import health, local_state, server, transfer
from images.galera.galera_node.decision.outcomes import Join
from images.galera.galera_node.first_process import Renew
from images.galera.galera_node.local_state import NO_UUID, Kind, Local
from images.galera.galera_node.network import Names
from images.galera.galera_node.settings import Settings
from images.galera.galera_node.store import Cluster, Entry, Facts, StoreError
from tests.unit.images.no_balancer import NO_BALANCER


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


AWAY = OddStore(StoreError("away"))


def test_an_error_that_nobody_expects_stops_the_server_in_order(
    modules: Any,
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
    node = modules.supervisor.Node(
        settings, OddStore(KeyError("what")), Names(patience=0.01, look=lambda _: []), NO_BALANCER
    )
    node.parts.server.start()
    until = time.monotonic() + 30
    while not (tmp_path / "up").exists() and time.monotonic() < until:
        time.sleep(0.01)
    node.parts.observer.answered = True  # one that has never answered may be killed
    assert node.run() == 1
    assert (tmp_path / "end").read_text() == "in order\n"
    said = capsys.readouterr().err
    assert "unexpected KeyError: 'what'" in said
    assert "Traceback" not in said


def test_a_memory_that_is_full_ends_nothing(
    modules: Any, settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    node = modules.supervisor.Node(settings, AWAY, Names(look=lambda _: []), NO_BALANCER)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(health, "write", full)
    node.parts.reports.unhealthy("waiting")
    node.parts.reports.tell_others(
        node.parts.observer.presence("empty", NO_UUID, -1), ""
    )  # its folder is not there yet
    assert "cannot be written" in capsys.readouterr().err


@pytest.mark.parametrize("option", ["evs.suspect_timeout", "gcs.fc_limit"])
def test_whoever_sets_for_how_long_a_node_may_be_silent_leaves_dead_hosts_to_galera(
    modules: Any, settings: Settings, monkeypatch: pytest.MonkeyPatch, option: str
) -> None:
    node = modules.supervisor.Node(settings, AWAY, Names(look=lambda _: []), NO_BALANCER)
    asked: list[str] = []
    monkeypatch.setattr(node.parts, "tuning", types.SimpleNamespace(provider={option: "1"}, words="sizes"))
    monkeypatch.setattr(node.parts.silence, "start", lambda: asked.append(option))
    monkeypatch.setattr(node.parts.reports, "listen", lambda *_: None)
    monkeypatch.setattr(node.parts.first_process, "take_signals", lambda: None)
    node.prepare()
    assert asked == ([] if option == "evs.suspect_timeout" else [option])


def test_a_node_that_has_served_ends_its_container_before_it_joins_anew(
    modules: Any, settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its failing health checks count, so a copy in place would be broken off, or clients sent to it."""
    joins: list[object] = []
    node = modules.supervisor.Node(settings, AWAY, Names(look=lambda _: []), NO_BALANCER)
    monkeypatch.setattr(node.parts.membership, "look", lambda *_: Facts())
    monkeypatch.setattr(modules.attempt, "decide", lambda *_: Join(("127.0.0.9",), "it does"))

    class Joined(Exception):
        pass

    def join(*words: object) -> None:
        joins.append(words)
        raise Joined

    monkeypatch.setattr(node.attempt, "join", join)
    with pytest.raises(Joined):
        node.attempt.run()
    node.parts.reports.served = True
    with pytest.raises(Renew):
        node.attempt.run()
    # Without the store the swarm has hardly a leader, which would start the container anew.
    monkeypatch.setattr(node.parts.membership, "look", lambda *_: None)
    with pytest.raises(Joined):
        node.attempt.run()
    assert len(joins) == 2
    monkeypatch.setattr(node.parts.membership, "look", lambda *_: Facts())
    assert node.run() == 0
    assert "the engine starts this node anew" in capsys.readouterr().err


def test_a_node_whose_copies_come_to_nothing_waits_before_the_next_one(
    modules: Any, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    node = modules.supervisor.Node(settings, AWAY, Names(look=lambda _: []), NO_BALANCER)
    assert not node.attempt.too_soon()
    for _ in range(3):
        local_state.copy_begins(settings.data_dir, time.time())
    assert node.attempt.too_soon()
    assert "3 full copies have begun, and none has led to a Synced node" in node.parts.reports.problem
    assert "The next one begins in" in capsys.readouterr().err
    local_state.copy_succeeded(settings.data_dir)
    assert not node.attempt.too_soon()


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
    modules: Any,
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
        "0": NO_UUID,
    }
    name, _, position = start.partition(":")
    (settings.data_dir / "ibdata1").touch()
    settings.run_dir.mkdir()
    local_state.write_grastate(settings.data_dir, ids[grastate[0]], grastate[1], False)
    local_state.write_note(
        settings.data_dir, local_state.Note(start=f"{ids[name]}:{position}" if start else "")
    )
    node = modules.supervisor.Node(settings, AWAY, Names(look=lambda _: []), NO_BALANCER)
    monkeypatch.setattr(node.parts.server, "recover", lambda: None)
    monkeypatch.setattr(node.parts.reports, "attend", lambda *_: 0)

    def position_of(code: int) -> tuple[str, int]:
        if recovered is None:
            raise server.RecoverError("torn pages")
        return ids[recovered[0]], recovered[1]

    monkeypatch.setattr(node.parts.server, "recovered", position_of)
    local = node.own_data.local()
    assert (local.uuid, local.seqno, local.trusted) == (ids[expected[0]], *expected[1:])
    assert bool(node.parts.reports.problem) is (local.seqno < 0 or not local.trusted)


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        pytest.param(
            "2026-11-29  5:36:27 0 [Note] InnoDB: Using Linux native AIO\n"
            "2026-11-29  5:36:27 0 [ERROR] InnoDB: Cannot allocate memory for the buffer pool\n"
            "2026-11-29  5:36:27 0 [ERROR] Aborting\n",
            "InnoDB: Cannot allocate memory for the buffer pool",
            id="its first error",
        ),
        pytest.param("2026-11-29  5:36:27 0 [Note] one\n\n", "[Note] one", id="it was killed"),
        pytest.param("", "it has said nothing", id="it has said nothing"),
    ],
)
def test_a_recovery_that_fails_is_told_with_mariadbds_own_reason(
    modules: Any,
    settings: Settings,
    tmp_path: Path,
    words: str,
    reason: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """From mariadbd's words to the line that a person reads: data of a crash are not those of no cluster."""
    program = tmp_path / "mariadbd"
    (tmp_path / "words").write_text(words)
    program.write_text(f"#!/bin/sh\ncat {tmp_path}/words\nexit 3\n")
    program.chmod(0o755)
    monkeypatch.setattr(server, "MARIADBD", str(program))
    (settings.data_dir / "ibdata1").touch()
    settings.run_dir.mkdir()
    node = modules.supervisor.Node(settings, AWAY, Names(look=lambda _: []), NO_BALANCER)
    monkeypatch.setattr(node.parts.membership, "look", lambda *_: Facts())

    class Looked(Exception):
        pass

    def unhealthy(text: str) -> None:
        raise Looked(text)

    monkeypatch.setattr(node.parts.reports, "unhealthy", unhealthy)
    with pytest.raises(Looked) as looked:
        node.attempt.run()
    told = str(looked.value)
    assert told.startswith("refusing to start: whose data this is, and its position, could not be recovered")
    assert f"mariadbd --wsrep-recover ended with 3 and names no position: {reason}. Nothing" in told
    assert "empty its volume" in told
    assert "no Galera cluster" not in capsys.readouterr().err


def test_an_empty_log_of_a_start_without_room_is_removed_and_one_with_content_is_kept(
    modules: Any, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    node = modules.supervisor.Node(settings, AWAY, Names(look=lambda _: []), NO_BALANCER)
    log = settings.data_dir / "tc.log"
    log.write_bytes(b"\xfe#\r\n")
    node.own_data.local()
    assert log.exists()
    log.write_bytes(b"")
    node.own_data.local()
    assert not log.exists()
    assert "removed an empty tc.log" in capsys.readouterr().err


def test_a_server_that_neither_answers_nor_works_is_started_over(
    modules: Any,
    settings: Settings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    program = tmp_path / "mariadbd"
    program.write_text("#!/bin/sh\nexec sleep 600\n")
    program.chmod(0o755)
    monkeypatch.setattr(server, "MARIADBD", str(program))
    monkeypatch.setattr(health, "STALL", 0.3)
    node = modules.supervisor.Node(settings, AWAY, Names(look=lambda _: []), NO_BALANCER)
    settings.run_dir.mkdir()

    def silent() -> None:
        raise modules.sql.SqlError("no socket")

    monkeypatch.setattr(node.parts.sql, "status", silent)
    node.parts.server.start()
    assert node.watch.watch(Local(Kind.DATA), False, False) is False
    assert not node.parts.server.running
    assert "neither answered nor done anything" in capsys.readouterr().err


@pytest.mark.parametrize(("failures", "kept"), [(0, True), (1, True), (2, False)])
def test_a_view_that_may_be_what_ends_each_start_is_given_up(
    modules: Any, settings: Settings, failures: int, kept: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = modules.supervisor.Node(settings, AWAY, Names(look=lambda _: []), NO_BALANCER)
    settings.run_dir.mkdir()
    view = settings.data_dir / "gvwstate.dat"
    view.touch()
    monkeypatch.setattr(node.parts.server, "start", lambda *_: None)
    monkeypatch.setattr(node.watch, "serve", lambda *_: None)
    node.watch.failures = failures
    local = Local(Kind.DATA, "u", 7, view=True)
    node.attempt.join(Join(("127.0.0.9",), ""), local, None, {})
    assert view.exists() is kept


def test_a_full_copy_leaves_galera_no_position_to_go_on_from(
    modules: Any, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = modules.supervisor.Node(settings, AWAY, Names(look=lambda _: []), NO_BALANCER)
    settings.run_dir.mkdir()
    uuid = "aaaaaaaa-0000-0000-0000-000000000001"
    (settings.data_dir / "ibdata1").touch()
    local_state.write_grastate(settings.data_dir, uuid, 103, False)
    started: list[list[str]] = []
    shown: list[Any] = []
    monkeypatch.setattr(node.parts.server, "start", started.append)
    monkeypatch.setattr(node.watch, "serve", shown.append)
    facts = Facts(cluster=state_cluster(uuid))
    node.attempt.join(Join(("127.0.0.9",), "", full=True), local_state.read(settings.data_dir), facts, {})
    assert started == [[]]  # without a start position
    assert local_state.read(settings.data_dir) == Local(Kind.DATA)
    # Nobody takes it for one with data; and a donor of another cluster is refused still.
    assert shown[0].uuid == NO_UUID
    assert transfer.history(settings.run_dir) == uuid
    assert transfer.epoch(settings.run_dir) == "1-ab"


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
    modules: Any, settings: Settings, starts: bool, weight: int
) -> None:
    node = modules.supervisor.Node(settings, AWAY, Names(look=lambda _: []), NO_BALANCER)
    node.parts.formation.weigh(starts)
    assert node.parts.formation.weight == weight


@pytest.mark.parametrize(
    ("galera_state", "presence", "healthy"),
    [
        pytest.param("Joined", "primary", True, id="it applies what was written meanwhile"),
        pytest.param("Synced", "primary", False, id="it does not serve, and nothing is under way"),
        pytest.param("Joining: receiving", "starting", True, id="it receives"),
    ],
)
def test_catching_up_is_work_that_nobody_ends(
    modules: Any,
    settings: Settings,
    galera_state: str,
    presence: str,
    healthy: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    node = modules.supervisor.Node(settings, AWAY, Names(look=lambda _: []), NO_BALANCER)
    settings.run_dir.mkdir()
    node.parts.reports.began -= settings.start_period + 1  # failures count
    status = modules.sql.ServerStatus(galera_state, True, True, False, "u", 7, 3)
    advance = health.Advance(time.monotonic())
    shown = node.parts.observer.presence(presence, "u", 7)
    node.parts.reports.report(shown, galera_state, status, None, advance, Facts())
    assert (health.check(settings.run_dir)[0] == 0) is healthy
