"""Which node takes the writes, as a table; and what load balancers are told by one node, against a store in
memory and a database that is played.
"""

from __future__ import annotations

import importlib
import json
import sys
import threading
import time
import types
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import pytest

from images.galera.galera_node import neighbours, writer
from images.galera.galera_node.hearing import Hearing
from images.galera.galera_node.store import ABSENT, Entry, Put, StoreError
from images.galera.galera_node.writer import SILENT, TURN, UNABLE, Name, Seen, decide

pytestmark = pytest.mark.unit

ALL = frozenset("abc")
SEEN = Seen("b", writer="a", members=ALL, others=ALL - {"b"})
STOPS = replace(SEEN, writer="b", leaving=True)
MISSED = round(SILENT / 0.5) + 3
"""Looks after which a writer that says nothing has been given up."""
RESTS = replace(SEEN, writer="", resting=True, others=frozenset(), vacant=3 * TURN)

ROWS: list[tuple[str, Seen, str | None]] = [
    ("the writer is there", SEEN, None),
    ("this node is it", replace(SEEN, writer="b"), None),
    ("nobody was ever named, and a is before b", replace(SEEN, writer=""), None),
    ("a has not taken its turn", replace(SEEN, writer="", vacant=TURN), "b"),
    ("nobody before b is able", replace(SEEN, writer="", others=frozenset("c")), "b"),
    ("the writer has left the component", replace(SEEN, members=frozenset("bc"), others=frozenset("c")), "b"),
    ("the writer hangs", replace(SEEN, silent=SILENT + 0.1, others=frozenset("c")), "b"),
    ("it has only been slow", replace(SEEN, silent=SILENT, others=frozenset("c")), None),
    ("this node cannot", replace(SEEN, writer="", others=frozenset("c"), able=False), None),
    ("this node is about to stop", replace(SEEN, writer="", others=frozenset("c"), leaving=True), None),
    ("the writer stops: its first successor", STOPS, "a"),
    ("the writer stops, and there is no other", replace(STOPS, others=frozenset()), None),
    ("who is able outside the component is none", replace(STOPS, members=frozenset("bc")), "c"),
    ("the writer is taken out", replace(STOPS, leaving=False, resting=True), "a"),
    ("nobody but who is taken out is able", RESTS, "b"),
    ("it lets all others have their turn first", replace(RESTS, vacant=3 * TURN - 0.1), None),
    ("it is the last of all", replace(RESTS, others=frozenset("c")), None),
    ("it stops, too", replace(RESTS, leaving=True), None),
    ("it is the writer for want of another", replace(RESTS, writer="b"), None),
    ("the writer cannot serve for long", replace(SEEN, writer="b", able=False, unable=UNABLE + 0.1), "a"),
    ("the writer cannot serve for a moment", replace(SEEN, writer="b", able=False, unable=UNABLE), None),
]  # fmt: skip


@pytest.mark.parametrize(("_what", "seen", "named"), ROWS, ids=[row[0] for row in ROWS])
def test_who_is_named(_what: str, seen: Seen, named: str | None) -> None:
    decision = decide(seen)
    assert (decision.node if isinstance(decision, Name) else None) == named


class Store:
    """Keys in memory. `away`: it does not answer."""

    def __init__(self) -> None:
        self.entries: dict[str, Entry] = {}
        self.away = False
        self.revision = 1

    def read(self) -> dict[str, Entry]:
        if self.away:
            raise StoreError("away")
        return dict(self.entries)

    def put(self, key: str, value: str) -> None:
        self.revision += 1
        self.entries[key] = Entry(value, self.revision)

    def commit(self, expect: Mapping[str, int], puts: Mapping[str, Put], _deletes: object = ()) -> bool:
        if self.away:
            raise StoreError("away")
        for key, revision in expect.items():
            if (self.entries[key].revision if key in self.entries else ABSENT) != revision:
                return False
        for key, put in puts.items():
            self.put(key, put.value)
        return True

    @property
    def writer(self) -> str | None:
        return json.loads(self.entries["writer"].value)["node"] if "writer" in self.entries else None


class Database:
    """What mariadbd answers. `members` of its component; None: it does not answer."""

    def __init__(self, members: str | None = "abc") -> None:
        self.members = members
        self.synced = self.quorum = True
        self.read_only: object = 0
        self.fails: Exception | None = None

    def status(self) -> Any:
        if self.fails is not None:
            raise self.fails
        return types.SimpleNamespace(synced=self.synced, quorum=self.quorum)

    def run(self, _statement: str) -> list[tuple[object, ...]]:
        assert self.members is not None
        return [(self.read_only, name, f"{name}:3306") for name in self.members]


class World:
    """The nodes a, b and c, a clock, and who of them says that it is able."""

    def __init__(self, module: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        self.module, self.store, self.now = module, Store(), 1000.0
        self.able = {"a", "b", "c"}
        for node in "abc":
            self.store.put(f"present/{node}", json.dumps({"address": node}))
        monkeypatch.setattr(neighbours, "able", lambda address, **_: address in self.able)
        monkeypatch.setattr(neighbours, "any_writes", self.any_writes)
        monkeypatch.setattr(
            module, "time", types.SimpleNamespace(monotonic=lambda: self.now, sleep=self.sleep)
        )
        self.nodes = {node: module.Endpoints(node, Database(), self.store) for node in "abc"}
        for node in self.nodes.values():
            node.serving = True

    def any_writes(self, addresses: Iterable[str]) -> bool:
        """Asked by the nodes themselves; a node's address is its name."""
        return any(self.nodes[at].answer("/writer") == 200 for at in addresses if at in self.able)

    def sleep(self, seconds: float) -> None:
        for _ in range(round(seconds / 0.5)):
            self.look()

    def look(self, seconds: float = 0.5) -> None:
        """Time passes, and all look."""
        self.now += seconds
        for name, node in sorted(self.nodes.items(), reverse=True):
            node.answer("/reader")
            if name in self.able or not node.serving:
                node.ask()
                node.look()

    def codes(self, path: str) -> dict[str, int]:
        return {name: node.answer(path) for name, node in self.nodes.items()}


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """With a stand-in for the database's client library, which is the image's."""
    package = "images.galera.galera_node"
    client = types.ModuleType("pymysql")
    client.Error = Exception  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "pymysql", client)
    names = [f"{package}.{name}" for name in ("sql", "endpoints")]
    for name in names:
        monkeypatch.delitem(sys.modules, name, raising=False)
    yield World(importlib.import_module(f"{package}.endpoints"), monkeypatch)
    for name in names:
        sys.modules.pop(name, None)


def cut_off(node: Any) -> None:
    """From the store alone."""
    node._store = Store()
    node._store.away = True


def test_one_node_is_the_writer_and_stays_it(world: World) -> None:
    world.look()
    assert world.codes("/writer") == {"a": 200, "b": 503, "c": 503}
    assert world.codes("/reader") == {"a": 200, "b": 200, "c": 200}
    world.store.put("writer", json.dumps({"node": "c"}))
    for _ in range(10):
        world.look()
    assert world.codes("/writer") == {"a": 503, "b": 503, "c": 200}


def test_a_writer_that_has_died_is_followed_by_the_next(world: World) -> None:
    world.look()
    world.look()
    dead = world.nodes.pop("a")
    world.able.discard("a")
    for node in world.nodes.values():
        node._sql.members = "bc"
    world.look()
    assert world.codes("/writer") == {"b": 200, "c": 503}
    # It comes back, and takes nothing from the other.
    world.nodes["a"], world.able = dead, {"a", "b", "c"}
    for node in world.nodes.values():
        node._sql.members = "abc"
    for _ in range(7):
        world.look()
    assert world.codes("/writer") == {"a": 503, "b": 200, "c": 503}


def test_a_writer_whose_program_hangs_is_given_up_with_one_line_of_the_log(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    world.look()
    world.look()
    capsys.readouterr()
    world.able.discard("a")  # it says nothing, and its database is in the component
    for _ in range(MISSED - 4):
        world.look()
    assert world.store.writer == "a"
    for _ in range(4):
        world.look()
    assert world.store.writer == "b"
    assert world.codes("/writer") == {"a": 503, "b": 200, "c": 503}  # what it last saw is too old
    for _ in range(10):
        world.look()
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "writes" in line]
    assert line.endswith("b takes the writes from now on: a has not said for 6 s that it can take writes")


def test_a_writer_that_does_not_answer_holds_no_look_up_and_is_looked_for_more_often(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answers, asked = threading.Event(), list[str]()

    def able(address: str, **_: object) -> bool:
        asked.append(address)
        return answers.wait(10)

    monkeypatch.setattr(neighbours, "able", able)
    hearing = Hearing(100.0)
    assert [hearing.of("a", "10.0.0.1", now) for now in (101.0, 101.5, 102.0)] == [101.0] * 3
    assert asked == ["10.0.0.1"]  # one question at a time
    assert hearing.of("b", "", 103.0) == 103.0  # another writer has its own time, whatever the last one says
    answers.set()
    wait = time.monotonic() + 5
    while hearing.of("b", "10.0.0.2", 104.0) != 104.0:
        assert time.monotonic() < wait
    assert asked == ["10.0.0.1", "10.0.0.2"]


def test_an_answer_that_takes_a_second_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """As one does where all processors are busy."""
    monkeypatch.setattr(neighbours, "able", lambda _at, timeout=neighbours.SOON: timeout > 1.0)
    hearing = Hearing(100.0)
    wait = time.monotonic() + 5
    while hearing.of("a", "10.0.0.1", 106.0) != 106.0 or hearing._asking is None:
        assert time.monotonic() < wait
    hearing._asking.join(5)
    assert hearing.unanswered == 0


def test_a_node_that_is_slow_itself_takes_no_other_for_silent(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.look()
    world.look()
    answers = threading.Event()
    monkeypatch.setattr(neighbours, "able", lambda at, **_: at != "a" or answers.wait(2))
    world.now += SILENT + 1  # in which b did nothing, and asked nobody
    b = world.nodes["b"]
    b.ask()
    b.look()
    assert (world.store.writer, b._alarmed) == ("a", True)
    answers.set()


def test_looks_are_closer_together_while_the_writer_is_missed(world: World) -> None:
    world.look()
    world.look()
    assert not world.nodes["b"]._alarmed
    world.able.discard("a")
    world.look()
    world.look()
    assert world.nodes["b"]._alarmed
    for _ in range(10):
        world.look()
    assert (world.store.writer, world.nodes["b"]._alarmed, world.nodes["c"]._alarmed) == ("b", False, False)


def test_a_writer_that_is_one_again_is_not_silent_since_it_was_one_before(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.look()
    world.look()  # a is the writer, and was heard
    for node in "ba":
        world.store.put("writer", json.dumps({"node": node}))
        if node == "a":
            monkeypatch.setattr(neighbours, "able", lambda address, **_: address in world.able - {"a"})
        for _ in range(20 if node == "b" else 1):
            world.look()
    assert world.store.writer == "a"


def test_while_the_store_is_away_the_writer_stays(world: World) -> None:
    world.look()
    world.look()
    world.store.away = True
    for _ in range(20):
        world.look()
    assert world.codes("/writer") == {"a": 200, "b": 503, "c": 503}


def test_a_writer_that_is_cut_off_from_the_store_alone_stays_it(world: World) -> None:
    world.look()
    world.look()
    record = world.store.entries.pop("present/a")  # its session has ended
    cut_off(world.nodes["a"])
    for _ in range(20):
        world.look()
    assert (world.store.writer, world.codes("/writer")) == ("a", {"a": 200, "b": 503, "c": 503})
    # Nor does it matter that its record is back.
    world.store.entries["present/a"] = record
    world.look()
    assert world.store.writer == "a"
    # Should its program hang, too, it is given up as any other.
    del world.store.entries["present/a"]
    world.able.discard("a")
    for _ in range(MISSED):
        world.look()
    assert world.store.writer == "b"


def test_who_has_come_since_hears_a_writer_that_the_store_does_not_list(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.look()
    world.look()
    del world.store.entries["present/a"]
    cut_off(world.nodes["a"])
    world.nodes["c"] = world.module.Endpoints("c", Database(), world.store)
    world.nodes["c"].serving = True
    for _ in range(2 * MISSED):
        world.look()
    assert (world.store.writer, world.codes("/writer")) == ("a", {"a": 200, "b": 503, "c": 503})
    world.able = {"c"}  # the others' programs hang
    for _ in range(MISSED):
        world.look()
    assert world.store.writer == "c"


def test_a_store_that_has_lost_its_data_costs_no_writer_its_clients(world: World) -> None:
    world.store.put("writer", json.dumps({"node": "c"}))
    world.look()
    assert world.codes("/writer")["c"] == 200
    del world.store.entries["writer"]
    for _ in range(2):
        for node in world.nodes.values():  # a and b are the first to see it
            node.ask()
            node.look()
            assert world.codes("/writer")["c"] == 200
        world.now += 0.5
    assert world.store.writer == "c"


def test_who_would_not_hear_of_it_becomes_no_writer(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def able(address: str, **_: object) -> bool:
        return bool(world.nodes[address].answer("/able") == 200)

    world.look()
    world.look()
    monkeypatch.setattr(neighbours, "able", able)
    cut_off(world.nodes["b"])
    world.look()
    assert {name: able(name) for name in "abc"} == {"a": True, "b": False, "c": True}
    assert world.codes("/reader")["b"] == 200
    world.store.put("maintenance/a", "")
    world.look()
    world.look()
    assert (world.store.writer, world.codes("/writer")["c"]) == ("c", 200)
    # Named all the same, as it was cut off a moment later.
    del world.store.entries["maintenance/a"]
    world.store.put("writer", json.dumps({"node": "b"}))
    for _ in range(MISSED):
        world.look()
    assert (world.store.writer, world.codes("/writer")) == ("a", {"a": 200, "b": 503, "c": 503})
    # The writer itself has no need to hear that it is.
    cut_off(world.nodes["a"])
    world.look()
    assert able("a")


def test_a_writer_that_hung_and_is_cut_off_from_the_store_hears_from_the_others_that_it_is_none(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    world.look()
    world.look()
    cut_off(world.nodes["a"])
    world.able.discard("a")  # it hangs
    for _ in range(MISSED):
        world.look()
    assert world.store.writer == "b"
    world.able.add("a")
    world.look()
    world.look(world.module.DRAIN + 0.5)
    assert world.codes("/writer") == {"a": 503, "b": 200, "c": 503}
    # Nor is it one again because the one that has said so is gone.
    world.able.discard("b")
    for node in world.nodes.values():
        node._sql.members = "ac"
    world.look()
    assert world.codes("/writer")["a"] == 503
    assert "another node takes the writes by now" in capsys.readouterr().err
    # The store's word counts again.
    world.nodes["a"]._store = world.store
    world.store.put("writer", json.dumps({"node": "a"}))
    world.look()
    assert world.codes("/writer")["a"] == 200


@pytest.mark.parametrize("record", ["", "none", "[]", "{}", '{"address": 3}'])
def test_a_record_that_cannot_be_read_keeps_no_node_from_its_answers(world: World, record: str) -> None:
    world.store.put("present/d", record)
    world.look()
    world.look()
    assert world.codes("/writer") == {"a": 200, "b": 503, "c": 503}


def test_a_node_that_stops_keeps_its_connections_until_new_ones_go_elsewhere(world: World) -> None:
    world.look()
    world.look()
    codes: list[tuple[int, int, int]] = []
    look = world.look

    def watched(seconds: float = 0.5) -> None:
        look(seconds)
        a, b = world.nodes["a"], world.nodes["b"]
        codes.append((a.answer("/writer"), a.answer("/reader"), b.answer("/writer")))

    world.look = watched  # type: ignore[method-assign]
    world.able.discard("a")
    world.able.add("a")
    world.nodes["a"].drain()
    assert codes[0] == (404, 404, 503)
    assert codes[1] == (404, 404, 200)
    assert world.store.writer == "b"
    look(world.module.DRAIN)
    assert world.codes("/writer") == {"a": 503, "b": 200, "c": 503}
    assert world.codes("/reader") == {"a": 503, "b": 200, "c": 200}


def test_a_node_that_only_starts_mariadbd_over_is_there_again(world: World) -> None:
    world.look()
    world.look()
    world.nodes["a"].drain()
    assert (world.store.writer, world.codes("/reader")["a"]) == ("b", 404)
    world.nodes["a"].stay()
    world.look()
    assert (world.store.writer, world.codes("/reader")["a"]) == ("b", 200)


def test_without_a_load_balancer_a_stop_waits_for_nobody(world: World) -> None:
    world.look()
    world.look()
    before = world.now
    world.now += 60
    world.nodes["a"].drain()
    assert world.now == before + 60


def test_a_node_in_maintenance_is_in_neither_endpoint_and_comes_back(world: World) -> None:
    world.look()
    world.look()
    world.store.put("maintenance/a", "")
    for _ in range(8):
        world.look()
    assert world.codes("/writer") == {"a": 503, "b": 200, "c": 503}
    assert world.codes("/reader")["a"] == 503
    del world.store.entries["maintenance/a"]
    world.look()
    assert world.codes("/reader")["a"] == 200
    assert world.store.writer == "b"


def test_a_node_in_maintenance_serves_where_nobody_else_can_until_somebody_can(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def able(address: str, **_: object) -> bool:
        return address in world.able and bool(world.nodes[address].answer("/able") == 200)

    def members(names: str) -> None:
        world.able = set(names)
        for node in world.nodes.values():
            node._sql.members = names

    monkeypatch.setattr(neighbours, "able", able)
    world.store.put("maintenance/a", "")
    world.store.put("maintenance/b", "")
    world.look()
    world.look()
    assert world.codes("/writer") == {"a": 503, "b": 503, "c": 200}
    members("ab")  # c has died
    for _ in range(5):
        world.look()
    assert world.store.writer in ("a", "b")
    first = world.store.writer
    for _ in range(20):
        world.look()
    assert world.store.writer == first  # the other one hears that it takes them
    (other,) = {"a", "b"} - {first}
    codes = [world.codes(path) for path in ("/writer", "/reader")]
    assert [(each[first], each[other]) for each in codes] == [(200, 503), (200, 503)]
    members("abc")
    world.look()
    world.look()
    world.look(world.module.DRAIN + 0.1)
    assert world.codes("/writer") == {"a": 503, "b": 503, "c": 200}
    assert world.codes("/reader") == {"a": 503, "b": 503, "c": 200}


@pytest.mark.parametrize("amiss", ["not serving", "not synced", "no majority"])
def test_a_node_that_does_not_serve_is_in_neither_endpoint(world: World, amiss: str) -> None:
    world.look()
    world.look()
    node = world.nodes["a"]
    if amiss == "not serving":
        node.serving = False
    else:
        node._sql.synced, node._sql.quorum = amiss != "not synced", amiss != "no majority"
        node.ask()
    world.able.discard("a")
    assert (node.answer("/writer"), node.answer("/reader"), node.answer("/able")) == (503, 503, 503)


@pytest.mark.parametrize("said", [1, "ON", "NO_LOCK"])
def test_a_writer_that_refuses_writes_hands_over_and_may_be_read(world: World, said: object) -> None:
    for takes in (0, "OFF"):
        world.nodes["b"]._sql.read_only = takes
    for _ in range(2):
        world.look()
    world.nodes["a"]._sql.read_only = said
    for _ in range(6):
        world.look()
    assert world.store.writer == "b"
    world.look(world.module.DRAIN + 0.1)
    assert world.codes("/writer") == {"a": 503, "b": 200, "c": 503}
    assert world.codes("/reader") == {"a": 200, "b": 200, "c": 200}
    assert world.codes("/able")["a"] == 503


def test_a_writer_that_cannot_take_writes_for_a_moment_keeps_them_however_slow_it_was_before(
    world: World,
) -> None:
    world.look()
    world.look()
    node = world.nodes["a"]
    world.now += UNABLE + 1
    node._sql.read_only = 1
    node.ask()
    node.look()
    assert world.store.writer == "a"
    node._sql.read_only = 0
    world.look()
    assert world.codes("/writer")["a"] == 200


def test_where_all_refuse_writes_the_writer_stays_and_says_so_to_its_clients_itself(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(neighbours, "able", lambda at, **_: world.nodes[at].answer("/able") == 200)
    world.look()
    for node in world.nodes.values():
        node._sql.read_only = 1
    for _ in range(20):
        world.look()
    assert world.codes("/writer") == {"a": 503, "b": 503, "c": 200}
    assert world.codes("/reader") == {"a": 200, "b": 200, "c": 200}
    assert not any(node._alarmed for node in world.nodes.values())  # nobody could do anything about it


def test_a_look_that_is_old_is_not_believed(world: World) -> None:
    world.look()
    world.look()
    world.now += world.module.FRESH + 0.1
    assert set(world.codes("/reader").values()) == {503}


def test_a_late_answer_changes_nothing_until_the_last_one_is_too_old(world: World) -> None:
    """All processors of a host may be busy for seconds, and its clients' sessions are not to end for it."""
    late = importlib.import_module("images.galera.galera_node.sql").SqlLateError
    world.look()
    world.look()
    world.nodes["a"]._sql.fails = late("timed out")
    for _ in range(round(world.module.FRESH / 0.5)):
        world.look()
        assert (world.codes("/writer")["a"], world.codes("/reader")["a"], world.store.writer) == (
            200,
            200,
            "a",
        )
    world.look()
    world.able.discard("a")
    assert (world.codes("/writer")["a"], world.codes("/reader")["a"], world.codes("/able")["a"]) == (503,) * 3
    for _ in range(MISSED):
        world.look()
    assert world.codes("/writer") == {"a": 503, "b": 200, "c": 503}


def test_answers_that_are_just_in_time_are_none_too_old(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.look()
    world.look()
    node, codes = world.nodes["a"], list[int]()

    def slowly(ask: Callable[..., Any]) -> Callable[..., Any]:
        def asked(*words: object) -> Any:
            world.now += world.module.SOON - 0.1
            codes.append(node.answer("/writer"))
            return ask(*words)

        return asked

    for name in ("status", "run"):
        monkeypatch.setattr(node._sql, name, slowly(getattr(node._sql, name)))
    for _ in range(3):
        world.now += world.module.EVERY
        node.ask()
    assert set(codes) == {200}


def test_while_the_store_answers_nothing_mariadbd_is_asked_on(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a host has died, each of its addresses takes the store's questions a second and more."""
    monkeypatch.setattr(world.module, "EVERY", 0.01)
    world.look()
    world.look()
    node, answers, asked = world.nodes["a"], threading.Event(), threading.Semaphore(0)
    read, status = world.store.read, node._sql.status

    def held() -> dict[str, Entry]:
        answers.wait(60)
        return read()

    def counted() -> Any:
        asked.release()
        return status()

    monkeypatch.setattr(world.store, "read", held)
    monkeypatch.setattr(node._sql, "status", counted)
    node.answer("/reader")
    node.start()
    try:
        assert all(asked.acquire(timeout=20) for _ in range(5))
        assert node.answer("/reader") == 200
    finally:
        node._asked = float("-inf")  # its threads do nothing from now on
        answers.set()


def test_a_change_of_the_group_is_looked_at_without_a_pause(world: World) -> None:
    world.look()
    world.look()
    node = world.nodes["b"]
    node._woken[node.look].clear()
    node.ask()
    assert not node._woken[node.look].is_set()
    node._sql.members = "bc"
    node.ask()
    assert node._woken[node.look].is_set()


def test_who_has_not_looked_for_long_is_no_writer_until_it_has(world: World) -> None:
    world.look()
    world.look()
    world.now += world.module.ASKED + 1  # no load balancer was there
    world.store.put("writer", json.dumps({"node": "b"}))
    node = world.nodes["a"]
    node.answer("/reader")
    node.ask()
    assert (node.answer("/writer"), node.answer("/reader")) == (503, 200)


def test_a_mariadbd_that_is_gone_is_told_at_once(world: World) -> None:
    gone = importlib.import_module("images.galera.galera_node.sql").SqlError
    world.look()
    world.look()
    world.nodes["a"]._sql.fails = gone("Connection refused")
    world.look()
    assert (world.codes("/writer")["a"], world.codes("/reader")["a"], world.codes("/able")["a"]) == (503,) * 3


def test_a_slow_store_makes_no_look_old(world: World) -> None:
    world.look()
    world.look()
    node, read = world.nodes["a"], world.store.read

    def slow() -> dict[str, Entry]:
        world.now += world.module.FRESH - 0.2
        assert node.answer("/writer") == 200
        return read()

    world.store.read = slow  # type: ignore[method-assign]
    world.now += 0.5
    node.ask()
    node.look()


def test_of_two_that_name_a_writer_one_succeeds(world: World) -> None:
    world.look()
    a, b = world.nodes["a"], world.nodes["b"]
    a._read(), b._read()
    assert a._name("a") is not (b._name("b"))
    assert world.store.writer == "a"


def test_a_record_that_is_none_names_nobody(world: World) -> None:
    for value in ("", "[]", "{}", '{"node": 3}'):
        assert world.module.writer_of({"writer": Entry(value, 1)}) == ""
    assert writer.vacancy(Seen("a")) == "nobody has been named"
