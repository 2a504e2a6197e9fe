"""Whom a node takes out of the group because somebody says that its mariadbd has died, and whom not.

With real servers: tests/images/test_galera_departure.py.
"""

from __future__ import annotations

import threading
import types
from dataclasses import replace
from typing import Any

import pytest

from images.galera.galera_node import neighbours
from images.galera.galera_node.neighbours import Told
from images.galera.galera_node.network import Names
from images.galera.galera_node.settings import Settings

pytestmark = pytest.mark.unit

LIFE, NEXT = "aaaaaaaa-0000-0000-0000-00000000000a", "aaaaaaaa-0000-0000-0000-00000000000b"
NODE, STRANGER = "127.0.0.98", "127.0.0.200"
OUT, IN = f"evs.evict={LIFE}", "evs.evict="


class Group:
    """The own server: its members' lives by name, and what was set. `stays`: the group does not let it go."""

    def __init__(self, stays: bool = False) -> None:
        self.lives, self.set, self.stays = {"b": LIFE}, list[str](), stays
        self.primary, self.size, self.votes, self.listed = True, 3, 3, frozenset[str]()
        self.closed = threading.Event()

    def run(self, statement: str, parameters: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
        assert statement.startswith("SELECT node_uuid")
        which = statement.partition("WHERE")[2]
        if not which:
            return [(life,) for life in self.lives.values()]
        by_name = "node_name" in which
        return [(life,) for name, life in self.lives.items() if (name if by_name else life) in parameters]

    def leave_out(self, life: str) -> None:
        self.set.append(f"evs.evict={life}")
        if not self.stays:
            self.lives = {name: each for name, each in self.lives.items() if each != life}

    def status(self) -> Any:
        return types.SimpleNamespace(primary=self.primary, size=self.size, votes=self.votes)

    def kept_out(self) -> frozenset[str]:
        return self.listed

    def close(self) -> None:
        self.closed.set()


@pytest.fixture
def group(monkeypatch: pytest.MonkeyPatch, modules: Any) -> Group:
    made = Group()
    monkeypatch.setattr(modules.departure, "Sql", lambda *_, **__: made)
    monkeypatch.setattr(modules.departure, "GONE", 0.1)
    return made


def heard(
    modules: Any,
    settings: Settings,
    group: Group,
    told: Told | None,
    monkeypatch: pytest.MonkeyPatch,
    at: str,
) -> list[str]:
    """Whether a look followed, once somebody at that address has told this."""
    asked: list[str] = []

    def ask(address: str) -> Told | None:
        asked.append(address)
        return told

    monkeypatch.setattr(neighbours, "ask", ask)
    names = Names(patience=5, look=lambda _: [NODE])
    looks: list[str] = []
    departures = modules.departure.Departures(settings, names, lambda: looks.append("look"))
    departures.hear(at)
    assert group.closed.wait(10)
    for thread in threading.enumerate():
        if thread.name == "departure":
            thread.join(10)
    assert asked == ([NODE] if at == NODE else [])
    return looks


DEAD = Told("b", state="stopped", departed=LIFE)


def test_a_member_that_has_died_is_left_out_and_kept_out_no_longer(
    modules: Any, settings: Settings, group: Group, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert heard(modules, settings, group, DEAD, monkeypatch, NODE) == ["look"]
    assert group.set == [OUT, IN]


@pytest.mark.parametrize(
    ("size", "votes", "primary"),
    [(2, 2, True), (3, 5, True), (4, 6, True), (3, 3, False), (3, 0, True)],
    ids=["of two", "one may count for three", "half", "outside of a component", "the group is another one"],
)
def test_nobody_is_left_out_where_the_rest_may_be_no_majority(
    modules: Any,
    settings: Settings,
    group: Group,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    size: int,
    votes: int,
    primary: bool,
) -> None:
    """Galera would make it Primary all the same, without what the dead one was the last to commit."""
    group.size, group.votes, group.primary = size, votes, primary
    assert heard(modules, settings, group, DEAD, monkeypatch, NODE) == []
    assert group.set == []
    assert "the rest may be no majority" in capsys.readouterr().err


@pytest.mark.parametrize(("size", "votes"), [(4, 4), (5, 7), (3, 3)])
def test_the_vote_that_counts_for_more_may_be_of_whom_is_left_out(
    modules: Any, settings: Settings, group: Group, monkeypatch: pytest.MonkeyPatch, size: int, votes: int
) -> None:
    group.size, group.votes = size, votes
    assert heard(modules, settings, group, DEAD, monkeypatch, NODE) == ["look"]


def test_whom_others_leave_out_is_no_part_of_the_rest(
    modules: Any, settings: Settings, group: Group, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two of three die at once: with either of them gone alone, there would be a majority."""
    group.lives, group.listed = {"b": LIFE, "c": NEXT}, frozenset({NEXT})
    assert heard(modules, settings, group, DEAD, monkeypatch, NODE) == []
    assert group.set == []
    group.lives, group.closed = {"b": LIFE}, threading.Event()  # it has gone before, and is still in mind
    assert heard(modules, settings, group, DEAD, monkeypatch, NODE) == ["look"]


def test_two_who_are_left_out_side_by_side_are_counted_together(
    modules: Any, settings: Settings, group: Group, monkeypatch: pytest.MonkeyPatch
) -> None:
    group.lives = {"b": LIFE, "c": NEXT}
    departures = modules.departure.Departures(settings, Names(look=lambda _: []), lambda: None)
    plain = group.leave_out

    def leave_out(life: str) -> None:
        group.set.append(f"evs.evict={life}")
        if life == LIFE:
            departures.leave_out({NEXT: "it is dead, too"}, group)
            plain(life)

    monkeypatch.setattr(group, "leave_out", leave_out)
    departures.leave_out({LIFE: "it is dead"}, group)
    assert f"evs.evict={NEXT}" not in group.set


def test_a_group_that_changes_is_waited_for(
    modules: Any, settings: Settings, group: Group, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another node was faster: Galera counts the votes anew before mariadbd hears of it."""
    group.votes = 2

    def sleep(_: float) -> None:
        group.lives, group.size = {}, 2

    monkeypatch.setattr(modules.departure.time, "sleep", sleep)
    looks: list[str] = []
    departures = modules.departure.Departures(
        settings, Names(look=lambda _: []), lambda: looks.append("look")
    )
    departures.leave_out({LIFE: "it is dead"}, group)
    assert (group.set, looks) == ([IN], ["look"])


def test_whoever_is_out_already_is_not_said_to_stay(
    modules: Any,
    settings: Settings,
    group: Group,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """mariadbd says how many there are before it writes down who: of two, the rest would be no majority."""
    group.lives, group.size, group.votes = {"a": NEXT, "b": LIFE, "c": NODE}, 2, 2

    def sleep(_: float) -> None:
        del group.lives["b"]

    monkeypatch.setattr(modules.departure.time, "sleep", sleep)
    departures = modules.departure.Departures(settings, Names(look=lambda _: []), lambda: None)
    departures.leave_out({LIFE: "it is dead"}, group)
    assert group.set == [IN]
    assert capsys.readouterr().err == ""


def test_a_group_that_does_not_let_go_is_not_waited_for_for_ever(
    modules: Any, settings: Settings, group: Group, monkeypatch: pytest.MonkeyPatch
) -> None:
    group.stays = True
    assert heard(modules, settings, group, DEAD, monkeypatch, NODE) == ["look"]
    assert group.set == [OUT, IN]


def test_where_another_node_was_faster_nobody_is_kept_out_any_more(
    modules: Any, settings: Settings, group: Group, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What one node says of whom it leaves out all others keep in mind."""
    assert heard(modules, settings, group, replace(DEAD, departed=NEXT), monkeypatch, NODE) == []
    assert group.set == [IN]


def test_nobody_is_let_in_while_another_is_being_left_out(
    modules: Any, settings: Settings, group: Group, monkeypatch: pytest.MonkeyPatch
) -> None:
    departures = modules.departure.Departures(settings, Names(look=lambda _: []), lambda: None)
    plain = group.leave_out

    def leave_out(life: str) -> None:
        plain(life)
        if life:
            departures.keep_out_nobody(group)

    monkeypatch.setattr(group, "leave_out", leave_out)
    departures.leave_out({LIFE: "it is dead"}, group)
    assert group.set == [OUT, IN]


def test_several_are_left_out_at_once(
    modules: Any, settings: Settings, group: Group, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The group goes on without the first one only once it need not wait for the second one either."""
    group.lives, group.stays, group.size, group.votes = {"b": LIFE, "c": NEXT}, True, 5, 5
    asked = group.run

    def run(*words: Any) -> list[tuple[str, ...]]:
        if group.set:
            group.set.append("look")
        return asked(*words)

    monkeypatch.setattr(group, "run", run)
    departures = modules.departure.Departures(settings, Names(look=lambda _: []), lambda: None)
    departures.leave_out({LIFE: "it is dead", NEXT: "it, too"}, group)
    assert group.set[:3] == [OUT, f"evs.evict={NEXT}", "look"]
    assert group.set[-1] == IN


def test_whoever_tells_of_an_end_waits_for_no_server(
    modules: Any, settings: Settings, group: Group, monkeypatch: pytest.MonkeyPatch
) -> None:
    departures = modules.departure.Departures(settings, Names(look=lambda _: []), lambda: None)
    begun, over = threading.Event(), threading.Event()

    def hang(_: str) -> None:
        begun.set()
        over.wait(10)

    monkeypatch.setattr(group, "leave_out", hang)
    letting_in = threading.Thread(target=departures.keep_out_nobody, args=(group,))
    letting_in.start()
    assert begun.wait(10)
    telling = threading.Thread(target=departures.hear, args=(STRANGER,))
    telling.start()
    telling.join(5)
    waits = telling.is_alive()
    over.set()
    letting_in.join(10)
    telling.join(10)
    assert not waits


@pytest.mark.parametrize(
    ("told", "at"),
    [
        (DEAD, STRANGER),
        (None, NODE),
        (Told("b", state="synced"), NODE),
        (Told("c", departed=LIFE), NODE),
        (Told("", departed=LIFE), NODE),
    ],
    ids=["a stranger", "no answer", "it lives", "another's life", "no name"],
)
def test_nobody_is_left_out_for_less(
    modules: Any,
    settings: Settings,
    group: Group,
    monkeypatch: pytest.MonkeyPatch,
    told: Told | None,
    at: str,
) -> None:
    assert heard(modules, settings, group, told, monkeypatch, at) == []
    assert group.set == []


def test_a_server_that_does_not_answer_leaves_it_to_the_group(
    modules: Any,
    settings: Settings,
    group: Group,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def refuse(*_: object) -> None:
        raise modules.sql.SqlError("Lost connection")

    monkeypatch.setattr(group, "run", refuse)
    assert heard(modules, settings, group, DEAD, monkeypatch, NODE) == []
    assert "until that notices by itself: Lost connection" in capsys.readouterr().err


def test_all_others_are_told(modules: Any, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[set[str]] = []
    monkeypatch.setattr(neighbours, "have_ask", told.append)
    names = Names(patience=5, look=lambda _: ["127.0.0.97", NODE])
    modules.departure.Departures(settings, names, lambda: None).tell("127.0.0.97")
    assert told == [{NODE}]
