"""Whom a node takes out of the group because his host's kernel does not answer, and whom not.

With real servers: tests/images/test_galera_silence.py.
"""

from __future__ import annotations

import errno
import socket
import threading
import types
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import pytest

from images.galera.galera_node import acknowledged, neighbours, network
from images.galera.galera_node.neighbours import Teller

pytestmark = pytest.mark.unit

A, B, C, D = ("life-a", "life-b", "life-c", "life-d")


class World:
    """The node a among members, a clock, and whose kernel answers."""

    def __init__(self, modules: Any, monkeypatch: pytest.MonkeyPatch, *members: str) -> None:
        self.module, self.now = modules.silence, 1000.0
        self.members, self.answering, self.synced = list(members), set(members), True
        self.told: dict[str, Collection[str] | None] = {}
        self.out: list[str] = []
        self.fails, self.votes, self.size = False, 0, 0
        self.listed, self.acknowledging = set[str](), set[str]()
        monkeypatch.setattr(
            self.module, "time", types.SimpleNamespace(monotonic=lambda: self.now, sleep=lambda _: None)
        )
        monkeypatch.setattr(network, "answering", lambda addresses, *_: self.answering & set(addresses))
        monkeypatch.setattr(neighbours, "silences", lambda at: {life: self.told.get(life) for life in at})
        monkeypatch.setattr(acknowledged, "peers", self.peers)
        self.cleared, self.at_once = 0, list[int]()
        self.silence = self.module.Silence("a", self, self)

    def leave_out(self, lives: Mapping[str, str], _: object) -> None:
        assert all(why.endswith("any other member: the group goes on without it") for why in lives.values())
        self.out += sorted(lives)
        self.at_once.append(len(lives))

    def keep_out_nobody(self, _: object) -> None:
        self.cleared += 1
        self.listed.clear()

    def peers(self, within: float) -> set[str]:
        assert 2 * 0.5 < within < 1.5  # two keepalives, and less than whoever has died is silent for by then
        return self.acknowledging

    def run(self, _: str) -> list[tuple[str, ...]]:
        if self.fails:
            raise self.module.SqlError("refused")
        return [("life-a", "a", "a:3306"), *((f"life-{name}", name, f"{name}:3306") for name in self.members)]

    def status(self) -> Any:
        size = self.size or len(self.members) + 1
        return types.SimpleNamespace(synced=self.synced, size=size, votes=self.votes or size)

    def kept_out(self) -> frozenset[str]:
        return frozenset(self.listed)

    def looks(self, seconds: float, every: float = 0.5) -> list[str]:
        for _ in range(round(seconds / every)):
            self.now += every
            self.silence.look()
        return self.out


@pytest.fixture
def world(modules: Any, monkeypatch: pytest.MonkeyPatch) -> World:
    made = World(modules, monkeypatch, "b", "c")
    made.looks(1)
    return made


def test_a_host_that_no_member_hears_is_left_out_after_four_questions(world: World) -> None:
    world.answering, world.told = {"c"}, {C: [B]}
    assert world.looks(1.5) == []
    assert world.silence.silent() == frozenset()
    assert world.looks(0.5) == [B]
    assert world.silence.silent() == {B}


def test_a_host_that_answers_galera_is_not_left_out(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    """Its table of connections is full: none comes through that is new."""
    world.answering, world.told, world.acknowledging = {"c"}, {C: [B]}, {"b", "c"}
    assert world.looks(10) == []
    assert world.silence.silent() == frozenset()  # which saves it from the others, too
    assert capsys.readouterr().err.count("b: the host answers on Galera's connection and on no new one") == 1
    world.acknowledging = {"c"}
    assert world.looks(0.5) == [B]


def test_a_kernel_that_does_not_tell_of_connections_changes_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(_: float) -> set[str]:
        raise OSError(errno.ENOENT, "No such file or directory")

    monkeypatch.setattr(acknowledged, "peers", refuse)
    world.answering, world.told = {"c"}, {C: [B]}
    assert world.looks(2) == [B]
    assert capsys.readouterr().err.count("does not tell of Galera's connections: [Errno 2]") == 1


@pytest.mark.parametrize(
    "told", [[], None, [D]], ids=["it hears him", "it does not say", "it misses another"]
)
def test_one_node_alone_leaves_nobody_out(world: World, told: Collection[str] | None) -> None:
    world.answering, world.told = {"c"}, {C: told}
    assert world.looks(10) == []
    assert world.silence.silent() == {B}  # which it says to whoever asks


def test_who_hears_nobody_is_cut_off_itself(world: World) -> None:
    world.answering = set()
    assert world.looks(10) == []


def test_who_was_cut_off_itself_begins_anew(world: World) -> None:
    """After the whole network was away for two seconds, whoever is heard again last has not died."""
    world.answering, world.told = set(), {C: [B]}
    assert world.looks(1.5) == []
    world.answering = {"c"}
    assert world.looks(1.5) == []
    assert world.silence.silent() == frozenset()
    assert world.looks(0.5) == [B]


def test_of_two_neither_leaves_the_other_out(modules: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    pair = World(modules, monkeypatch, "b")
    pair.looks(1)
    pair.answering = set()
    assert pair.looks(10) == []


@pytest.mark.parametrize(("missed", "out"), [("b", [B]), ("bc", [B, C]), ("bcd", [])])
def test_only_fewer_than_half_can_be_left_out(
    modules: Any, monkeypatch: pytest.MonkeyPatch, missed: str, out: list[str]
) -> None:
    five = World(modules, monkeypatch, "b", "c", "d", "e")
    five.looks(1)
    lives = [f"life-{name}" for name in missed]
    five.answering, five.told = set("bcde") - set(missed), dict.fromkeys((C, D, "life-e"), lives)
    assert sorted(five.looks(2)) == out
    assert five.at_once == [len(out)] * bool(out)  # the group waits for each that is dead


def test_nobody_is_left_out_while_one_vote_counts_for_more(world: World) -> None:
    """The rest could be no majority, and Galera would make it Primary all the same, beside whom it misses."""
    world.answering, world.told, world.votes = {"c"}, {C: [B]}, 5
    assert world.looks(10) == []
    world.votes = 3
    assert world.looks(0.5) == [B]


def test_nobody_is_left_out_while_the_group_is_another_one_than_was_looked_at(world: World) -> None:
    """Such as with this node's former life in it: it counts, and cannot be asked."""
    world.answering, world.told, world.size = {"c"}, {C: [B]}, 4
    assert world.looks(10) == []


def test_a_node_that_has_not_looked_for_a_while_says_nobody(world: World) -> None:
    world.answering = {"c"}
    world.looks(3)
    assert world.silence.silent() == {B}
    world.now += 2
    assert world.silence.silent() == frozenset()


def test_whoever_has_never_answered_is_not_missed(world: World) -> None:
    world.members.append("d")  # behind a filter, which nobody here knows of
    world.told = {B: [D], C: [D]}
    assert world.looks(10) == []


def test_a_node_that_was_busy_itself_judges_nobody(world: World) -> None:
    world.answering, world.told = {"c"}, {C: [B]}
    assert world.looks(20, every=2.0) == []


def test_a_node_that_asks_less_often_asks_as_many_times(world: World) -> None:
    world.answering, world.told = {"c"}, {C: [B]}
    assert world.looks(4.2, every=1.4) == []
    assert world.looks(1.4, every=1.4) == [B]


def test_once_a_member_has_gone_nobody_is_kept_out(world: World) -> None:
    """Whoever left it out: all others have heard of it."""
    world.listed = {B}
    world.looks(2)
    assert world.cleared == 0  # it is being left out
    world.members = ["c"]
    world.looks(2)
    assert world.cleared == 1


def test_nobody_is_kept_out_whom_others_have_repeated_later(world: World) -> None:
    """Such as to whoever joins: nobody goes at that time, nor need this program be a new one."""
    for _ in range(2):
        world.listed = {"life-of-before"}
        world.looks(0.5)
        assert world.listed == set()
    assert world.cleared == 2


def test_a_server_that_does_not_let_in_is_told_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    class Over(BaseException):
        pass

    def over(_: float) -> None:
        raise Over

    def refuse(_: object) -> None:
        raise world.module.SqlError("timed out")

    monkeypatch.setattr(world.module.time, "sleep", over)
    world.listed = {D}
    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(world, "keep_out_nobody", refuse)
        with pytest.raises(Over):
            world.silence._run()
    world.looks(1)
    assert world.cleared == 1


def test_another_life_is_another_member(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.answering, world.told = {"c"}, {C: [B]}
    world.looks(1.5)
    world.members = ["c"]
    world.looks(0.5)
    world.members = ["b", "c"]
    assert world.looks(5) == []  # and has not answered yet


def test_outside_of_the_primary_component_nobody_is_left_out(world: World) -> None:
    world.answering, world.told, world.synced = {"c"}, {C: [B]}, False
    assert world.looks(10) == []


def test_a_database_that_is_being_started_is_no_error(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.fails = True

    class Over(BaseException):
        pass

    def over(_: float) -> None:
        raise Over

    monkeypatch.setattr(world.module.time, "sleep", over)
    with pytest.raises(Over):
        world.silence._run()
    assert world.silence.silent() == frozenset()


def test_a_kernel_answers_for_a_port_where_nobody_listens_and_none_for_an_address_of_nobody() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        open_port = server.getsockname()[1]
        assert network.answering(["127.0.0.1"], open_port, 1.0) == {"127.0.0.1"}
        assert network.accepting(["127.0.0.1"], open_port, 1.0) == ["127.0.0.1"]
    assert network.answering(["127.0.0.1", "127.0.0.2"], open_port, 1.0) == {"127.0.0.1", "127.0.0.2"}
    assert network.accepting(["127.0.0.1"], open_port, 1.0) == []
    assert network.answering([], open_port, 0.1) == set()


def test_where_there_is_no_route_nobody_answers() -> None:
    """That is known at once, from the call and not from the socket."""
    assert network.answering(["224.0.0.1"], 9, 0.5) == set()
    assert network.accepting(["224.0.0.1"], 9, 0.5) == []


def test_who_listens_and_accepts_nothing_more_does_not_answer() -> None:
    """As a host does that is not there: nothing comes back."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        waiting = []
        for _ in range(3):
            client = socket.socket()
            client.setblocking(False)
            client.connect_ex(server.getsockname())
            waiting.append(client)
        assert network.answering(["127.0.0.1"], server.getsockname()[1], 0.2) == set()
        for client in waiting:
            client.close()


def test_others_hear_whom_a_node_misses() -> None:
    teller = Teller("127.0.0.1", 0, silent=lambda: frozenset({B, A}))
    try:
        found = neighbours.silences({C: "127.0.0.1", D: "127.0.0.9"}, teller.port)
    finally:
        teller.close()
    assert found == {C: {A, B}, D: None}


def test_a_node_of_the_version_before_does_not_say() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            stream, _ = server.accept()
            stream.recv(4096)
            stream.sendall(b"HTTP/1.0 404 Not Found\r\nContent-Length: 0\r\n\r\n")
            stream.close()

        thread = threading.Thread(target=answer)
        thread.start()
        assert neighbours.silences({C: "127.0.0.1"}, server.getsockname()[1]) == {C: None}
        thread.join()


@pytest.mark.parametrize(
    ("row", "lives"),
    [
        ([("wsrep_evs_evict_list", f"{A},{B.upper()}")], {A, B}),
        ([("wsrep_evs_evict_list", "")], set()),
        ([], set()),
    ],
    ids=["two", "nobody", "a server without a group"],
)
def test_the_server_says_whom_it_keeps_out(
    modules: Any, monkeypatch: pytest.MonkeyPatch, row: list[tuple[str, str]], lives: set[str]
) -> None:
    sql = modules.sql.Sql(Path("socket"))
    monkeypatch.setattr(sql, "run", lambda statement: row if "'wsrep_evs_evict_list'" in statement else [])
    assert sql.kept_out() == lives
