"""A restore of the whole cluster: the record, every node's rules by it, and the data put aside and back."""

from __future__ import annotations

import contextlib
import functools
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from images.galera.galera_node import commands, local_state
from images.galera.galera_node.decision.decide import decide
from images.galera.galera_node.decision.outcomes import Bootstrap, Hold, Join, PutBack, Refuse, SetAside, Wait
from images.galera.galera_node.decision.restoring import ends
from images.galera.galera_node.local_state import NO_UUID, TRANSFER_MARK, Kind, Local, Note
from images.galera.galera_node.placement import Placement, by_options
from images.galera.galera_node.restore import aside, record
from images.galera.galera_node.restore.fact import Restore, read
from images.galera.galera_node.restore.record import NotNow, Wanted
from images.galera.galera_node.store import Cluster, Details, Position, Presence, View, dumps
from tests.unit.images.test_galera_node_commands import MemoryStore

pytestmark = pytest.mark.unit

OLD = "aaaaaaaa-0000-0000-0000-000000000001"
NEW = "bbbbbbbb-0000-0000-0000-000000000002"
THIRD = "cccccccc-0000-0000-0000-000000000003"
NOW = datetime(2026, 11, 30, 5, tzinfo=UTC)
WANTED = Wanted(
    "5f1c0e9a", NEW, "b", "2026-11-28 14:32:10", "1-1-95", f"{OLD}.0", "20261128T120000Z-full", "a"
)
FORMED = Cluster(OLD, "formed", "a")


def here(state: str, number: int, uuid: str = OLD, seqno: int = 100) -> Presence:
    return Presence(state, NO_UUID if state == "empty" else uuid, seqno, f"10.20.0.{number}")


def cluster(**others: object) -> MemoryStore:
    """Three nodes that serve."""
    memory = MemoryStore(
        cluster=FORMED,
        view=View(OLD, "", 90, ("a", "b", "c")),
        **{f"nodes__{name}": Position(OLD, 100) for name in "abc"},
        **{f"present__{name}": here("synced", number) for number, name in enumerate("abc", start=1)},
        **{f"details__{name}": Details() for name in "abc"},
    )
    for key, value in others.items():
        memory.put(key.replace("__", "/"), value)
    return memory


def take(memory: MemoryStore, commit: record.Commit | None) -> Restore:
    assert commit is not None
    assert memory.commit(commit.expect, commit.puts, commit.deletes)
    assert memory.facts.restore is not None
    return memory.facts.restore


def begun(memory: MemoryStore, wanted: Wanted = WANTED) -> Restore:
    return take(memory, record.begin(memory.read(), memory.facts, wanted, 3, NOW))


def at_rest(memory: MemoryStore, state: str = "stopped") -> None:
    for number, name in enumerate("abc", start=1):
        memory.put(f"present/{name}", here(state, number))


def joined(memory: MemoryStore) -> Restore:
    begun(memory)
    at_rest(memory)
    take(memory, record.load(memory.facts, "b", NOW))
    memory.put("present/b", here("empty", 2))
    return take(memory, record.join(memory.facts, NOW))


def data(uuid: str, seqno: int = 100, epoch: str = "", kept: str = "") -> Local:
    return Local(Kind.DATA, uuid, seqno, note=Note(epoch), aside=kept)


# ---- the record


def test_a_restore_from_its_begin_to_its_end() -> None:
    memory = cluster()
    first = begun(memory)
    assert (first.phase, first.uuid, first.node, first.position) == ("stop", NEW, "b", "1-1-95")
    assert first.epoch.startswith("1-")
    assert first.former_uuid == OLD
    assert first.former.keys() == {"cluster", "view", "nodes/a", "nodes/b", "nodes/c"}
    with pytest.raises(NotNow, match=r"not yet: a \(synced\), b \(synced\), c \(synced\)"):
        record.load(memory.facts, "b", NOW)
    at_rest(memory)
    with pytest.raises(NotNow, match="loaded on b, not here"):
        record.load(memory.facts, "a", NOW)
    assert take(memory, record.load(memory.facts, "b", NOW)).phase == "load"
    assert record.load(memory.facts, "b", NOW) is None  # one that was killed begins again
    last = take(memory, record.join(memory.facts, NOW))
    assert last.phase == "join"
    assert memory.facts.cluster == Cluster(NEW, "open", "b", first.epoch)
    # Nobody's position of before counts any more.
    assert memory.facts.nodes == {}
    assert memory.facts.view is None
    with pytest.raises(NotNow, match="has not formed yet"):
        record.done(memory.facts, NOW)
    memory.put("cluster", replace(Cluster(NEW, "open", "b", first.epoch), phase="formed"))
    assert take(memory, record.done(memory.facts, NOW)).phase == "done"
    assert read(dumps(memory.facts.restore)) == memory.facts.restore
    # That there was one stays, until there is another.
    memory.put("present/b", here("synced", 2, NEW))
    assert begun(memory, replace(WANTED, id="another", uuid=THIRD)).uuid == THIRD


@pytest.mark.parametrize("phase", ["stop", "load", "join"])
def test_the_way_back_brings_all_records_of_before(phase: str) -> None:
    memory = cluster()
    before = {key: entry.value for key, entry in memory.read().items() if not key.startswith("present/")}
    if phase == "join":
        joined(memory)
        memory.put("nodes/b", Position(NEW, 7))
        memory.put("view", View(NEW, "1-x", 1, ("b",)))
        memory.put("writer", json.dumps({"node": "b"}))
    else:
        begun(memory)
        if phase == "load":
            at_rest(memory)
            take(memory, record.load(memory.facts, "b", NOW))
    assert take(memory, record.undo(memory.facts, NOW)).phase == "undo"
    after = {
        key: entry.value
        for key, entry in memory.read().items()
        if not key.startswith("present/") and key != "restore"
    }
    assert after == before
    with pytest.raises(NotNow, match="being undone already"):
        record.undo(memory.facts, NOW)
    # Over once all run again; one of them says so.
    at_rest(memory, "synced")
    for node, size in (("b", 3), ("a", 4)):
        assert record.ended(memory.facts, node, size, NOW) is None
    assert take(memory, record.ended(memory.facts, "a", 3, NOW)).phase == "undone"
    assert record.ended(memory.facts, "a", 3, NOW) is None
    with pytest.raises(NotNow, match="was undone"):
        record.undo(memory.facts, NOW)


def test_there_is_no_way_back_where_nobody_keeps_the_data_of_before() -> None:
    """Their volumes were made anew since: the restored data is all that there is."""
    memory = cluster()
    restore = joined(memory)
    for number, name in enumerate("abc", start=1):
        memory.put(f"present/{name}", here("synced", number, NEW))
    with pytest.raises(NotNow, match="no node that is here keeps the data of before"):
        record.undo(memory.facts, NOW)
    memory.put("details/c", Details(aside="an elder one"))
    with pytest.raises(NotNow, match="no node that is here keeps"):
        record.undo(memory.facts, NOW)
    memory.put("details/c", Details(aside=restore.id))
    record.undo(memory.facts, NOW)
    # Who has not put it aside yet keeps it, too.
    memory.put("details/c", Details())
    memory.put("present/a", here("stopped", 1))
    assert take(memory, record.undo(memory.facts, NOW)).phase == "undo"


def test_what_has_changed_meanwhile_keeps_a_step_from_being_taken() -> None:
    memory = cluster()
    commit = record.begin(memory.read(), memory.facts, WANTED, 3, NOW)
    memory.put("cluster", replace(FORMED, epoch="1-9f3a02bc"))
    assert not memory.commit(commit.expect, commit.puts, commit.deletes)
    begun(memory)
    at_rest(memory)
    take(memory, record.load(memory.facts, "b", NOW))
    last = record.join(memory.facts, NOW)
    take(memory, record.undo(memory.facts, NOW))
    # Who loads does not hear of it until the end, and then nothing comes of it.
    assert not memory.commit(last.expect, last.puts, last.deletes)
    assert memory.facts.cluster is not None
    assert memory.facts.cluster.uuid == OLD


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        pytest.param({"cluster": Cluster(OLD, "forming", "a")}, "is forming the cluster", id="forming"),
        pytest.param({"nodes__d": Position(OLD, 90)}, "d is not here", id="a member is away"),
        pytest.param(
            {"view": View(OLD, "", 90, ("a", "b", "c", "d"))}, "d is not here", id="the last view's"
        ),
        pytest.param({"present__b": here("stopped", 2, THIRD)}, "data of another cluster", id="foreign data"),
    ],
)
def test_no_restore_begins_where_somebody_could_go_on_unseen(changes: dict[str, object], words: str) -> None:
    memory = cluster(**changes)
    with pytest.raises(NotNow, match=words):
        begun(memory)


def test_a_member_that_a_person_has_given_up_is_not_waited_for() -> None:
    memory = cluster(nodes__d=Position(OLD, 90), forgotten__d="")
    begun(memory)
    at_rest(memory)
    take(memory, record.load(memory.facts, "b", NOW))


def test_a_node_that_goes_away_meanwhile_is_waited_for() -> None:
    memory = cluster()
    begun(memory)
    at_rest(memory)
    memory.commit({}, {}, ("present/c",))
    with pytest.raises(NotNow, match=r"c \(not here\)"):
        record.load(memory.facts, "b", NOW)


def test_only_one_restore_at_a_time() -> None:
    memory = cluster()
    begun(memory)
    with pytest.raises(NotNow, match=r"waits until nobody runs\. Go on with that one, or undo it, first"):
        begun(memory, replace(WANTED, id="another"))


def test_an_empty_stack_can_be_restored_into_once_all_its_nodes_are_there() -> None:
    memory = MemoryStore(present__a=here("empty", 1), present__b=here("empty", 2))
    with pytest.raises(NotNow, match="only 2 of 3 nodes are here"):
        begun(memory)
    memory.put("present/c", here("empty", 3))
    restore = begun(memory)
    assert restore.former_uuid == ""
    take(memory, record.load(memory.facts, "b", NOW))
    # There is nothing to go back to: it is over at once, or never.
    assert take(memory, record.undo(memory.facts, NOW)).phase == "undone"
    restore = begun(memory, replace(WANTED, id="another"))
    take(memory, record.load(memory.facts, "b", NOW))
    take(memory, record.join(memory.facts, NOW))
    assert memory.facts.cluster == Cluster(NEW, "open", "b", restore.epoch)
    with pytest.raises(NotNow, match="nothing to go back to"):
        record.undo(memory.facts, NOW)
    # Nor is there anything to keep: it is over by itself.
    at_rest(memory, "synced")
    assert record.ended(memory.facts, "a", 3, NOW) is None
    memory.put("cluster", Cluster(NEW, "formed", "b", restore.epoch))
    assert take(memory, record.ended(memory.facts, "a", 3, NOW)).phase == "done"
    lost = MemoryStore(
        present__a=here("stopped", 1), present__b=here("empty", 2), present__c=here("empty", 3)
    )
    with pytest.raises(NotNow, match="no record of a cluster, but a hold data"):
        begun(lost)


# ---- what each node does


def test_nobody_runs_while_the_archive_is_loaded() -> None:
    memory = cluster()
    restore = begun(memory)
    assert "being restored" in ends(OLD, memory.facts)
    at_rest(memory)
    for phase in ("stop", "load"):
        memory.put("restore", replace(restore, phase=phase))
        for local in (data(OLD), Local(Kind.EMPTY), Local(Kind.PARTIAL), data(NEW, 0, restore.epoch)):
            assert isinstance(decide("a", 3, local, memory.facts, []), Hold)
    # Its data goes aside on the node that loads, and nowhere else; a third one's is nobody's to touch.
    assert isinstance(decide("b", 3, data(OLD), memory.facts, []), SetAside)
    assert isinstance(decide("b", 3, data(THIRD), memory.facts, []), Hold)
    assert isinstance(decide("b", 3, Local(Kind.PARTIAL, aside=restore.id), memory.facts, []), Hold)


def test_a_live_cluster_that_nobody_sees_is_not_joined_meanwhile() -> None:
    memory = cluster()
    begun(memory)
    assert isinstance(decide("a", 3, data(OLD), memory.facts, ["10.20.0.2"]), Hold)


def test_the_node_that_was_loaded_starts_the_new_cluster_and_nobody_else() -> None:
    memory = cluster()
    restore = joined(memory)
    memory.put("present/b", here("stopped", 2, NEW, 0))
    decision = decide("b", 3, data(NEW, 0, restore.epoch, restore.id), memory.facts, [])
    assert isinstance(decision, Bootstrap)
    assert not decision.first
    assert decision.epoch is None
    # Without the right epoch in its note it is not what was loaded.
    assert isinstance(decide("b", 3, data(NEW, 0, "", restore.id), memory.facts, []), Wait)
    # Loaded since it looked at its directory, it must look again.
    for kind in (Kind.EMPTY, Kind.PARTIAL):
        assert isinstance(decide("b", 3, Local(kind, aside=restore.id), memory.facts, []), Hold)
    assert isinstance(decide("a", 3, data(OLD), memory.facts, []), Hold)
    assert isinstance(decide("a", 3, Local(Kind.EMPTY), memory.facts, []), Wait)
    assert "another one's" in ends(OLD, memory.facts)
    assert ends(NEW, memory.facts) == ""


def test_the_others_put_their_data_aside_once_there_is_somebody_to_join() -> None:
    memory = cluster()
    restore = joined(memory)
    memory.put("present/b", here("synced", 2, NEW))
    memory.put("details/b", Details(epoch=restore.epoch))
    decision = decide("a", 3, data(OLD), memory.facts, ["10.20.0.2"])
    assert decision == SetAside(restore.id, "the cluster has been restored to 2026-11-28 14:32:10")
    assert isinstance(decide("a", 3, Local(Kind.EMPTY, aside=restore.id), memory.facts, ["10.20.0.2"]), Join)
    assert isinstance(decide("a", 3, data(THIRD), memory.facts, ["10.20.0.2"]), Refuse)
    # One that comes back with that data after all.
    assert isinstance(
        decide("a", 3, data(NEW, 9, restore.epoch, restore.id), memory.facts, ["10.20.0.2"]), Join
    )


def test_after_the_end_the_former_data_is_only_that_of_another_cluster() -> None:
    memory = cluster()
    restore = joined(memory)
    memory.put("restore", replace(restore, phase="done"))
    decision = decide("c", 3, data(OLD), memory.facts, ["10.20.0.2"])
    assert isinstance(decision, Refuse)
    assert ends(OLD, memory.facts) == ""


def test_on_the_way_back_everybody_takes_what_was_before() -> None:
    memory = cluster()
    restore = joined(memory)
    take(memory, record.undo(memory.facts, NOW))
    at_rest(memory)
    assert "undone" in ends(NEW, memory.facts)
    assert ends(OLD, memory.facts) == ""
    for local in (data(NEW, 9, restore.epoch, restore.id), Local(Kind.PARTIAL, aside=restore.id)):
        assert isinstance(decide("a", 3, local, memory.facts, []), PutBack)
    # One that was empty before it has nothing to put back, and must not keep the restored data either.
    assert isinstance(decide("a", 3, data(NEW, 9, restore.epoch), memory.facts, []), PutBack)
    # Who has the data of before goes by the rules of a full outage: the most advanced restarts the cluster.
    assert isinstance(decide("c", 3, data(OLD), memory.facts, []), Bootstrap)
    memory.put("present/b", here("empty", 2))
    memory.commit({}, {}, ("present/a",))
    waits = decide("c", 3, data(OLD), memory.facts, [])
    assert isinstance(waits, Wait)
    assert "position of a is not known" in waits.reason


def test_on_the_way_back_who_needs_nobody_else_waits_for_those_that_put_their_data_back() -> None:
    """Or they would be left out, and take full copies of what they have."""
    memory = cluster(view=View(OLD, "", 100, ("c",)))
    joined(memory)
    take(memory, record.undo(memory.facts, NOW))
    at_rest(memory)
    for number, name in enumerate("ab", start=1):
        memory.put(f"present/{name}", here("stopped", number, NEW, 9))
    waits = decide("c", 3, data(OLD), memory.facts, [])
    assert isinstance(waits, Hold)
    assert waits.reason == "a, b is to put the data of before back, too"
    memory.put("present/a", here("stopped", 1))
    memory.commit({}, {}, ("present/b",))  # one that dies is waited for no more
    begins = decide("c", 3, data(OLD), memory.facts, [])
    assert isinstance(begins, Bootstrap)
    assert begins.epoch is not None
    assert begins.epoch.left_out == ("b",)
    memory.put("present/b", here("stopped", 2))
    begins = decide("c", 3, data(OLD), memory.facts, [])
    assert isinstance(begins, Bootstrap)
    assert begins.epoch is None
    # One that comes late joins those that serve, whoever else is on the way back.
    memory.put("present/a", here("stopped", 1, NEW, 9))
    memory.put("present/b", here("synced", 2))
    assert isinstance(decide("c", 3, data(OLD), memory.facts, ["10.20.0.2"]), Join)


def test_without_a_restore_nothing_is_different() -> None:
    memory = cluster()
    assert ends(OLD, memory.facts) == ""
    at_rest(memory)
    assert isinstance(decide("c", 3, data(OLD), memory.facts, []), Bootstrap)


def test_a_record_that_is_damaged_is_no_record() -> None:
    restore = begun(cluster())
    assert read(json.dumps({**json.loads(dumps(restore)), "later": 1})) == restore
    for broken in ({"id": 1}, {"id": "x"}, {**json.loads(dumps(restore)), "former": {"cluster": 1}}):
        with pytest.raises((ValueError, TypeError)):
            read(json.dumps(broken))


# ---- the data aside


@pytest.fixture
def place(tmp_path: Path) -> Placement:
    folder = tmp_path / "data"
    folder.mkdir()
    return Placement(folder, folder)


def fill(folder: Path, what: str) -> None:
    (folder / "app").mkdir()
    (folder / "app" / "word.ibd").write_text(what)
    (folder / "ibdata1").write_text(what)
    local_state.write_grastate(folder, OLD, 100, safe_to_bootstrap=False)
    local_state.write_note(folder, Note("1-x"))


def content(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): path.read_text()
        for path in folder.rglob("*")
        if path.is_file() and local_state.ASIDE not in path.parts
    }


def test_data_goes_aside_and_comes_back_as_it_was(place: Placement) -> None:
    fill(place.data, "old")
    (place.data / local_state.COPIES).write_text("2 0\n")
    before = content(place.data)
    aside.keep(place, "one")
    local = local_state.read(place.data)
    assert (local.kind, local.aside) == (Kind.EMPTY, "one")
    aside.keep(place, "one")  # nothing is left to do
    (place.data / "ibdata1").write_text("new")
    (place.data / local_state.UNPACKED).mkdir()
    local_state.clear(place.data)  # whatever empties the directory leaves it there
    assert local_state.read(place.data).aside == "one"
    (place.data / "ibdata1").write_text("new")
    aside.put_back(place, "one")
    assert content(place.data) == before
    assert local_state.read(place.data).aside == ""
    assert not (place.data / local_state.UNPACKED).exists()


def test_what_lies_outside_goes_along(tmp_path: Path) -> None:
    place = by_options(
        tmp_path / "data",
        {"innodb_undo_directory": str(tmp_path / "undo"), "log_bin": str(tmp_path / "log/bin")},
    )
    place.make_folders()
    fill(place.data, "old")
    (place.undo / "undo001").write_text("old")
    (tmp_path / "log" / "bin.000001").write_text("old")
    (tmp_path / "log" / "bin.index").write_text("old")
    (tmp_path / "log" / "other").write_text("other")
    aside.keep(place, "one")
    assert not list(place.undo.iterdir())
    assert [path.name for path in (tmp_path / "log").iterdir()] == ["other"]
    (place.undo / "undo001").write_text("new")
    aside.put_back(place, "one")
    assert (place.undo / "undo001").read_text() == "old"
    assert (tmp_path / "log" / "bin.000001").read_text() == "old"


class Crash:
    """What a crash interrupts: before the step of that number. A deletion may be half done by then."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, at: int) -> None:
        self._patch, self._at, self._left = monkeypatch, at, 0
        steps = {aside: ("_replace", "clear", "flush", "remove_mark"), shutil: ("move", "rmtree")}
        self._real = [(where, name, getattr(where, name)) for where, names in steps.items() for name in names]

    def during(self, step: Callable[[], None]) -> None:
        self._left = self._at
        for where, name, real in self._real:
            self._patch.setattr(where, name, functools.partial(self._call, name, real))
        with contextlib.suppress(KeyboardInterrupt):
            step()
        for where, name, real in self._real:
            self._patch.setattr(where, name, real)

    def _call(self, name: str, real: Callable[..., object], *words: object, **more: object) -> object:
        self._left -= 1
        if self._left >= 0:
            return real(*words, **more)
        if name == "rmtree":
            (Path(str(words[0])) / aside.STEP).unlink(missing_ok=True)
        raise KeyboardInterrupt


@pytest.mark.parametrize("at", range(14))
def test_a_crash_while_data_goes_aside_or_comes_back_is_gone_on_from(
    place: Placement, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    """Before each of its steps: what is half-way never counts as data, and nothing of it is lost."""
    fill(place.data, "old")
    before, crash = content(place.data), Crash(monkeypatch, at)

    def now() -> str | None:
        """The data that counts; None for none."""
        local = local_state.read(place.data)
        return (place.data / "ibdata1").read_text() if local.kind is Kind.DATA else None

    crash.during(lambda: aside.keep(place, "one"))
    assert now() in ("old", None)
    aside.go_on(place)
    aside.keep(place, "one")
    # With the mark, too, it counts as nothing.
    assert local_state.read(place.data).kind in (Kind.EMPTY, Kind.PARTIAL)
    fill(place.data, "new")
    crash.during(lambda: aside.put_back(place, "one"))
    assert now() in ("old", "new", None)
    aside.go_on(place)
    if local_state.read(place.data).aside:
        aside.put_back(place, "one")
    assert content(place.data) == before
    assert now() == "old"
    assert not (place.data / TRANSFER_MARK).exists()


def test_a_crash_never_takes_the_mark_from_what_is_half_loaded(place: Placement) -> None:
    fill(place.data, "old")
    aside.keep(place, "one")
    (place.data / TRANSFER_MARK).touch()
    (place.data / "ibdata1").write_text("half")
    aside.go_on(place)
    assert local_state.read(place.data).kind is Kind.PARTIAL


def test_what_is_aside_is_removed_for_good_once_a_person_has_said_so(place: Placement) -> None:
    fill(place.data, "old")
    aside.keep(place, "one")
    fill(place.data, "new")
    aside.remove(place)
    assert local_state.read(place.data).aside == ""
    assert (place.data / "ibdata1").read_text() == "new"
    aside.remove(place)


def test_a_removal_that_a_crash_cuts_in_half_leaves_the_present_data_alone(
    place: Placement, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(place.data, "old")
    aside.keep(place, "one")
    fill(place.data, "new")
    real: Callable[..., None] = shutil.rmtree

    def half(folder: Path, ignore_errors: bool = False) -> None:
        if (folder / aside.STEP).exists():
            (folder / aside.STEP).unlink()
            raise KeyboardInterrupt
        real(folder, ignore_errors)

    monkeypatch.setattr(shutil, "rmtree", half)
    with pytest.raises(KeyboardInterrupt):
        aside.remove(place)
    monkeypatch.setattr(shutil, "rmtree", real)
    aside.go_on(place)
    local = local_state.read(place.data)
    assert (local.kind, local.aside) == (Kind.DATA, "")
    assert (place.data / "ibdata1").read_text() == "new"


def test_data_of_a_restore_that_is_over_makes_room_for_the_next(place: Placement) -> None:
    fill(place.data, "old")
    aside.keep(place, "one")
    fill(place.data, "newer")
    aside.keep(place, "two")
    assert local_state.read(place.data).aside == "two"
    aside.put_back(place, "two")
    assert (place.data / "ibdata1").read_text() == "newer"


def test_data_of_before_an_elder_restore_is_not_put_back_for_this_one(place: Placement) -> None:
    fill(place.data, "old")
    aside.keep(place, "one")
    fill(place.data, "new")
    aside.put_back(place, "two")  # this node had nothing when the second one began
    local = local_state.read(place.data)
    assert (local.kind, local.aside) == (Kind.EMPTY, "")


def test_a_directory_without_anything_aside_is_emptied_on_the_way_back(place: Placement) -> None:
    fill(place.data, "new")
    aside.put_back(place, "one")
    assert local_state.read(place.data).kind is Kind.EMPTY


def test_who_asks_for_the_clusters_state_hears_of_a_restore_until_it_is_over() -> None:
    memory = cluster()
    own: dict[str, object] = {}
    assert "restore" not in commands.report(memory.facts, own)
    restore = begun(memory)
    assert "waits until nobody runs" in commands.report(memory.facts, own)["restore"]
    assert commands.report(memory.facts, own)["restorePhase"] == "stop"
    assert any("waits until nobody runs" in line for line in commands.describe(memory.facts, 3))
    memory.put("restore", replace(restore, phase="done"))
    assert "restore" not in commands.report(memory.facts, own)
    assert any("is done since" in line for line in commands.describe(memory.facts, 3))
