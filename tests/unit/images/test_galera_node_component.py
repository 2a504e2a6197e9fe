"""The component that mariadbd is in: its members, its epoch, and whether that is the cluster's."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from typing import Any

import pytest

from images.galera.galera_node import local_state, neighbours
from images.galera.galera_node.epochs import RUNNING
from images.galera.galera_node.neighbours import Told
from images.galera.galera_node.network import Names
from images.galera.galera_node.settings import Settings
from images.galera.galera_node.store import Cluster, Epoch, Facts, Position, Presence, View
from images.galera.galera_node.words import Topics

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


def component(modules: Any, settings: Settings, members: Members, keeps: Keeps) -> Any:
    names = Names(patience=0.01, look=lambda _: [])
    made = modules.component.Component(settings, "127.0.0.1", names, keeps, members, Topics())
    made.begin()
    return made


def synced(modules: Any, size: int) -> Any:
    return modules.sql.ServerStatus("Synced", True, True, True, U, 30, size)


def facts(names: str, epoch: str = "", view_epoch: str | None = None, **states: str) -> Facts:
    present = {name: Presence(state, U, 9, f"10.0.0.{ord(name)}") for name, state in states.items()}
    view = View(U, epoch if view_epoch is None else view_epoch, 12, tuple(names))
    return Facts(cluster=Cluster(U, "formed", "a", epoch), view=view, present=present)


@pytest.mark.parametrize(
    ("named", "published", "member"),
    [
        pytest.param("a,b", "ab", False, id="it is the arbitrator"),
        pytest.param("a,b,galera-arbitrator", "ab", True, id="a host with data is called so"),
        pytest.param("", "galera-arbitrator", True, id="one that has data, and is to be none any more"),
    ],
)
def test_the_arbitrator_is_no_member_that_is_waited_for_or_left_out(
    modules: Any, settings: Settings, named: str, published: str, member: bool
) -> None:
    class Database:
        """Tables as MariaDB has them, for the statement itself."""

        def __init__(self) -> None:
            self.made = sqlite3.connect(":memory:")
            self.made.executescript(
                "ATTACH ':memory:' AS mysql;"
                "CREATE TABLE mysql.wsrep_cluster (cluster_uuid TEXT, view_seqno INT);"
                "CREATE TABLE mysql.wsrep_cluster_members (cluster_uuid TEXT, node_name TEXT);"
                f"INSERT INTO mysql.wsrep_cluster VALUES ('{U}', 7);"
                f"INSERT INTO mysql.wsrep_cluster_members VALUES ('{U}', 'b'), ('{U}', 'galera-arbitrator'), "
                f"('{U}', 'a');"
            )

        def run(self, statement: str) -> list[tuple[Any, ...]]:
            return self.made.execute(statement).fetchall()

    keeps = Keeps()
    members = tuple(filter(None, named.split(",")))
    made = component(modules, replace(settings, members=members), Database(), keeps)  # type: ignore[arg-type]
    known = {name: Position(U, 9) for name in ((published,) if len(published) > 2 else published)}
    made.look(synced(modules, 3), replace(facts("ab", a="synced"), nodes=known))
    assert keeps.views[-1].members == ("a", "b", *(["galera-arbitrator"] * member))


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
    modules: Any, settings: Settings, before: Facts | None, now: str, left_out: tuple[str, ...] | None
) -> None:
    keeps = Keeps()
    made = component(modules, settings, Members(now), keeps)
    made.outside(before, answers=True)
    made.look(synced(modules, len(now)), facts("abc") if before is None else before)
    assert [names for _, names in keeps.epochs] == ([] if left_out is None else [left_out])
    # Without having been outside, a component that has become smaller is Galera's own.
    keeps = Keeps()
    component(modules, settings, Members(now), keeps).look(synced(modules, len(now)), facts("abc"))
    assert keeps.epochs == []


def test_a_component_that_has_become_smaller_is_written_at_the_second_look(
    modules: Any, settings: Settings
) -> None:
    keeps, members = Keeps(), Members("abc")
    made = component(modules, settings, members, keeps)
    made.look(synced(modules, 3), facts("ab"))
    assert [view.members for view in keeps.views] == [("a", "b", "c")]  # who comes is listed at once
    members.names, members.seqno = "ab", 25
    made.look(synced(modules, 2), facts("abc"))
    assert len(keeps.views) == 1
    # The node's own note has it before the store does.
    note = local_state.read_note(settings.data_dir)
    assert note is not None
    assert note.component == View(U, "", 25, ("a", "b"))
    made.look(synced(modules, 2), facts("abc"))
    assert keeps.views[-1].members == ("a", "b")


def test_a_full_disk_does_not_end_a_node_that_serves(
    modules: Any, settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    made = component(modules, settings, Members("ab"), Keeps())

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(local_state, "write_note", full)
    made.look(synced(modules, 2), facts("ab"))
    assert "the node's note cannot be written" in capsys.readouterr().err


def test_only_the_clusters_epoch_is_served_and_only_its_component_goes_over(
    modules: Any, settings: Settings
) -> None:
    made = component(modules, settings, Members("ab"), Keeps())
    status = synced(modules, 2)
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
    modules: Any, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = Told("b", U, "1-x", "synced")
    answers = {"10.0.0.2": told}
    made = component(modules, settings, Members("ab"), Keeps())
    monkeypatch.setattr(neighbours, "ask_all", lambda *_: answers)
    made.epoch = "1-x"
    assert made.belongs(synced(modules, 2), None)
    assert made.confirmed
    made.outside(None, answers=True)
    assert not made.confirmed
    for answer in (replace(told, epoch=""), replace(told, uuid="other"), replace(told, state="running")):
        answers["10.0.0.2"] = answer
        made.belongs(synced(modules, 2), None)
        assert not made.confirmed
    # That mariadbd does not answer for a moment says nothing about where it is.
    answers["10.0.0.2"] = told
    made.belongs(synced(modules, 2), None)
    made.outside(None, answers=False)
    assert made.confirmed
    # The first of all has nobody to ask.
    answers.clear()
    made.begin()
    made.belongs(synced(modules, 1), None)
    assert made.confirmed
