"""What a person asks and tells a node, against a store in memory: what is written, refused and said."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from images.galera.galera_node import accounts, commands, health, local_state, membership, own_report, store
from images.galera.galera_node.cli import USAGE, main, said
from images.galera.galera_node.decision.outcomes import Bootstrap, NewEpoch
from images.galera.galera_node.for_people import Published
from images.galera.galera_node.local_state import NO_UUID, Note
from images.galera.galera_node.store import (
    Cluster,
    Details,
    Entry,
    Epoch,
    Facts,
    Position,
    Presence,
    Put,
    StoreError,
    View,
    dumps,
    parse,
)
from images.galera.galera_node.words import Topics

U = "aaaaaaaa-0000-0000-0000-000000000001"
OTHER = "bbbbbbbb-0000-0000-0000-000000000002"


class MemoryStore:
    """A store.Store in memory; `away`: it does not answer."""

    def __init__(self, **records: object) -> None:
        self.away = False
        self._revision = 0
        self._entries: dict[str, Entry] = {}
        for key, record in records.items():
            self.put(key.replace("__", "/"), record)

    def put(self, key: str, record: object) -> None:
        self.commit({}, {key: Put(record if isinstance(record, str) else dumps(record))})

    def read(self) -> dict[str, Entry]:
        if self.away:
            raise StoreError("etcd at etcd:2379 does not answer")
        return dict(self._entries)

    def open_session(self, ttl: int) -> None:
        self.read()

    def renew(self) -> None:
        self.read()

    def close_session(self) -> None:
        self.read()

    def commit(
        self, expect: Mapping[str, int], puts: Mapping[str, Put], deletes: tuple[str, ...] = ()
    ) -> bool:
        self.read()
        nobody = Entry("", store.ABSENT)
        if any(self._entries.get(key, nobody).revision != revision for key, revision in expect.items()):
            return False
        self._revision += 1
        for key, put in puts.items():
            self._entries[key] = Entry(put.value, self._revision)
        for key in deletes:
            self._entries.pop(key, None)
        return True

    @property
    def facts(self) -> Facts:
        return parse(self._entries)


def here(state: str, seqno: int = -1, uuid: str = U, address: str = "10.20.0.2") -> Presence:
    return Presence(state, NO_UUID if state == "empty" else uuid, seqno, address)


FORMED = Cluster(U, "formed", "a")


def test_forget_says_what_becomes_of_the_data_and_takes_any_name(capsys: pytest.CaptureFixture[str]) -> None:
    memory = MemoryStore(cluster=FORMED, nodes__a=Position(U, 90), nodes__c=Position(U, 90))
    assert commands.forget(memory, "c") == 0
    said = capsys.readouterr().out
    assert "If it comes back, its data is replaced by a full copy; transactions only it had are lost." in said
    assert memory.facts.nodes.keys() == {"a"}
    assert memory.facts.forgotten == {"c"}
    assert commands.forget(memory, "c") == 0
    assert "already" in capsys.readouterr().out
    # One that never came is waited for as well; so it can be given up, and that taken back.
    assert commands.forget(memory, "d") == 0
    assert "never been heard of" in capsys.readouterr().out
    assert memory.facts.forgotten == {"c", "d"}
    assert commands.remember(memory, "d") == 0
    assert memory.facts.forgotten == {"c"}
    assert commands.remember(memory, "d") == 1
    assert commands.forget(memory, "no name") == 1


@pytest.mark.parametrize("state", ["starting", "running", "primary", "synced"])
def test_a_node_that_runs_is_not_forgotten(state: str, capsys: pytest.CaptureFixture[str]) -> None:
    memory = MemoryStore(cluster=FORMED, nodes__b=Position(U, 90), present__b=here(state))
    assert commands.forget(memory, "b") == 1
    assert "stop it first" in capsys.readouterr().err
    assert memory.facts.forgotten == set()


def test_a_broken_or_empty_node_that_is_here_can_be_forgotten() -> None:
    for presence in (here("stopped"), here("empty")):
        memory = MemoryStore(cluster=FORMED, nodes__b=Position(U, 90), present__b=presence)
        assert commands.forget(memory, "b") == 0
        assert memory.facts.forgotten == {"b"}


def test_a_node_is_taken_out_of_the_load_balancers_choice_and_put_back(
    capsys: pytest.CaptureFixture[str],
) -> None:
    kept = MemoryStore(cluster=Cluster(U, "formed", "a"), nodes__a=Position(U, 5), nodes__b=Position(U, 5))
    for node in "ab":
        kept.put(f"present/{node}", Presence("synced", U, 5, "10.0.0.1"))
    kept.put("writer", '{"node": "a"}')
    assert commands.maintain(kept, "a", on=True) == 0
    assert kept.facts.maintenance == {"a"}
    described = "\n".join(commands.describe(kept.facts, 2))
    assert "load balancers send writes to a" in described
    assert "a: synced at 10.0.0.1, published 5, in maintenance: load balancers send nobody there" in described
    assert commands.report(kept.facts, {})["members"]["a"]["maintenance"] is True
    assert commands.report(kept.facts, {})["writer"] == "a"
    assert commands.maintain(kept, "b", on=True) == 1
    assert "without b nobody could be served" in capsys.readouterr().err
    assert commands.maintain(kept, "z", on=True) == 1
    assert "z is no node of this cluster. Known: a, b" in capsys.readouterr().err
    assert commands.maintain(kept, "../x", on=False) == 1
    assert commands.maintain(kept, "a", on=False) == 0
    assert kept.facts.maintenance == frozenset()


class Hurried(MemoryStore):
    """One in which somebody else takes b out right after it was read."""

    def read(self) -> dict[str, Entry]:
        found = super().read()
        self._entries["maintenance/b"] = Entry("", 99)
        return found


def test_two_people_do_not_take_out_the_last_two_nodes_at_the_same_time(
    capsys: pytest.CaptureFixture[str],
) -> None:
    kept = Hurried(cluster=FORMED, nodes__a=Position(U, 5), nodes__b=Position(U, 5))
    for node in "ab":
        kept.put(f"present/{node}", Presence("synced", U, 5, "10.0.0.1"))
    del kept._entries["maintenance/b"]
    assert commands.maintain(kept, "a", on=True) == 1
    assert "another node is just being taken out" in capsys.readouterr().err
    assert kept.facts.maintenance == {"b"}


def test_a_person_chooses_whose_data_the_cluster_restarts_from(capsys: pytest.CaptureFixture[str]) -> None:
    memory = MemoryStore(cluster=FORMED, present__a=here("running", 95), present__b=here("stopped", 99))
    assert commands.recover_from(memory, "a") == 0
    assert memory.facts.chosen == "a"
    assert commands.recover_from(memory, "b") == 0
    assert memory.facts.chosen == "b"
    capsys.readouterr()
    for kept, name, words in (
        (memory, "c", "c is not here with data; nodes that are: a, b"),
        (MemoryStore(cluster=FORMED, present__a=here("empty")), "a", "not here with data"),
        (MemoryStore(cluster=FORMED, present__a=here("stopped", 9, OTHER)), "a", "of another cluster"),
        (
            MemoryStore(cluster=FORMED, present__a=here("stopped", 9), present__b=here("synced")),
            "a",
            "b serves in a Primary component",
        ),
        (MemoryStore(cluster=Cluster(U, "forming", "a"), present__a=here("starting")), "a", "forming"),
    ):
        before = kept.facts
        assert commands.recover_from(kept, name) == 1
        assert words in capsys.readouterr().err
        assert kept.facts == before


def running(epoch: str = "", members: tuple[str, ...] = ("a", "b")) -> MemoryStore:
    view = View(U, epoch, 40, members)
    return MemoryStore(
        cluster=Cluster(U, "formed", "a", epoch),
        view=view,
        nodes__a=Position(U, 90),
        nodes__c=Position(U, 80),
        present__a=here("synced"),
        details__a=Details(epoch, view=view),
    )


def test_an_epoch_begins_by_a_persons_word_with_those_that_run(capsys: pytest.CaptureFixture[str]) -> None:
    memory = running("1-ab")
    assert commands.new_epoch(memory, "a") == 0
    facts = memory.facts
    assert facts.cluster is not None
    assert facts.epoch is not None
    assert facts.cluster.epoch.startswith("2-")
    assert (facts.epoch.name, facts.epoch.before) == (facts.cluster.epoch, "1-ab")
    assert facts.epoch.carried.keys() == {"a", "b"}
    assert facts.epoch.left_out == ("c",)
    assert facts.nodes.keys() == {"a"}
    assert facts.cluster.epoch in capsys.readouterr().out
    # Not by one that is not in the component.
    assert commands.new_epoch(running(members=("b",)), "a") == 1
    assert commands.new_epoch(MemoryStore(), "a") == 1


def test_status_is_for_machines_too_also_while_the_store_is_away(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    memory = running("1-ab")
    memory.put("forgotten/d", "")
    memory.put("details/b", Details("", problem="broken"))
    memory.put("present/b", here("stopped", -1))
    data, run = tmp_path / "data", tmp_path / "run"
    data.mkdir()
    run.mkdir()
    health.write(run, True, "Synced, Primary, 2 nodes")
    (run / health.SELF).write_text(json.dumps({"node": "a", "epoch": "1-ab", "uuid": U, "seqno": 95}))
    assert commands.status(memory, run, data, 3, machine=True) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["cluster"] == {"uuid": U, "phase": "formed", "seed": "a", "epoch": "1-ab"}
    own = {
        "node": "a",
        "epoch": "1-ab",
        "uuid": U,
        "seqno": 95,
        "health": "Synced, Primary, 2 nodes",
        "healthy": True,
        "tls": None,
    }
    assert told["self"] == own
    assert told["view"] == ["a", "b"]
    assert told["members"].keys() == {"a", "b", "c", "d"}
    assert {key: told["members"]["b"][key] for key in ("state", "published", "forgotten", "problem")} == {
        "state": "stopped",
        "published": None,
        "forgotten": False,
        "problem": "broken",
    }
    assert told["members"]["d"]["forgotten"]
    assert told["members"]["c"]["published"] == 80
    memory.away = True
    assert commands.status(memory, run, data, 3, machine=True) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["cluster"], told["members"], told["self"]) == (None, {}, own)
    assert "does not answer" in told["store"]
    assert commands.status(memory, run, data, 3, machine=False) == 1
    assert "data of epoch 1-ab" in capsys.readouterr().out


def test_a_node_whose_program_does_not_run_says_what_its_volume_holds(tmp_path: Path) -> None:
    assert own_report.own_state(tmp_path, tmp_path)["epoch"] is None
    (tmp_path / "ibdata1").touch()
    local_state.write_grastate(tmp_path, U, 7, safe_to_bootstrap=False)
    own = own_report.own_state(tmp_path, tmp_path)
    assert (own["epoch"], own["uuid"], own["seqno"], own["healthy"]) == ("", U, 7, False)
    local_state.write_note(tmp_path, Note("1-ab"))
    assert own_report.own_state(tmp_path, tmp_path)["epoch"] == "1-ab"


def test_status_says_in_words_who_was_left_out_and_whose_vote_counts_for_all() -> None:
    memory = running("1-ab")
    memory.put("epoch", Epoch("1-ab", "", {}, ("c",), "a"))
    memory.put("details/a", Details("1-ab", votes=3))
    memory.put("present/c", here("stopped", 103))
    lines = commands.describe(memory.facts, 3)
    assert lines[0] == f"cluster {U}, formed, seed a, epoch 1-ab"
    assert "epoch 1-ab was begun by a and left out: c" in lines
    assert "last Primary component: a, b" in lines
    (line,) = [line for line in lines if line.startswith("a: ")]
    assert "counts 3 votes until 3 nodes are Synced: its loss stops the others" in line
    (line,) = [line for line in lines if line.startswith("c: ")]
    assert "data of epoch the first: takes a full copy" in line
    assert commands.describe(MemoryStore().facts, 3) == ["no cluster has ever existed here"]


def member(memory: MemoryStore, monkeypatch: pytest.MonkeyPatch) -> membership.Membership:
    monkeypatch.setattr(accounts, "fingerprint", lambda settings: "same")

    class Named:
        node = "a"

    made = membership.Membership(Named(), memory, Topics())  # type: ignore[arg-type]
    assert made.look(here("stopped", 95), Details()) is not None
    return made


def test_a_claim_writes_the_epoch_whole_or_not_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    memory = MemoryStore(
        cluster=FORMED,
        chosen="a",
        nodes__a=Position(U, 90),
        nodes__b=Position(U, 90),
        nodes__c=Position(U, 100),
        present__b=here("stopped", 93),
    )
    own = member(memory, monkeypatch)
    facts = memory.facts
    decision = Bootstrap(
        False, "", {"cluster": facts.revision("cluster")}, epoch=NewEpoch("", {"b": 93}, ("c",))
    )
    memory.put("cluster", FORMED)  # somebody has been faster
    assert not own.claim(decision, here("starting", 95), facts, "1-ab", Details("1-ab"))
    assert memory.facts.epoch is None
    facts = memory.facts
    decision = Bootstrap(
        False, "", {"cluster": facts.revision("cluster")}, epoch=NewEpoch("", {"b": 93}, ("c",))
    )
    assert own.claim(decision, here("starting", 95), facts, "1-ab", Details("1-ab"))
    after = memory.facts
    assert after.cluster == Cluster(U, "formed", "a", "1-ab")
    assert after.epoch == Epoch("1-ab", "", {"b": 93}, ("c",), "a")
    assert after.view == View(U, "1-ab", 95, ("a", "b"))
    # What the one that was left out has published is no part of this history.
    assert after.nodes.keys() == {"a", "b"}
    assert (after.chosen, after.holder) == (None, "a")


def test_the_component_in_the_store_never_goes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    memory = MemoryStore(cluster=FORMED)
    own = member(memory, monkeypatch)
    for view, expected in (
        (View(U, "", 12, ("a", "b", "c")), 12),
        (View(U, "", 15, ("a", "b")), 15),
        (View(U, "", 12, ("a", "b", "c")), 15),  # one that looks late
        (View(U, "1-ab", 9, ("a",)), 9),  # an epoch counts anew
    ):
        own.show_view(view, memory.facts)
        known = memory.facts.view
        assert known is not None
        assert known.seqno == expected


def test_a_member_is_listed_once_a_recovery_would_wait_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    memory = MemoryStore(cluster=FORMED, view=View(U, "", 12, ("b",)))
    own = member(memory, monkeypatch)
    own.begin(Position(U, 9), recorded=False)
    own.publish(Position(U, 9), memory.facts)
    assert not own.recorded
    own.show_view(View(U, "", 13, ("a", "b")), memory.facts)
    own.publish(Position(U, 9), memory.facts)
    assert own.recorded


def test_help_lists_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    assert main(["forget", "--help"]) == 0
    said = capsys.readouterr().out
    for command in ("forget NAME", "remember NAME", "recover-from NAME", "new-epoch", "status [--json]"):
        assert command in said
    assert said == f"{USAGE}\n" * 2
    assert main(["forget"]) == 2


def test_a_note_says_why_a_node_is_in_maintenance_and_is_kept_until_it_ends() -> None:
    kept = MemoryStore(cluster=FORMED, nodes__a=Position(U, 5), present__a=here("synced", 5))
    kept.put("present/b", here("synced", 5))
    assert commands.maintain(kept, "b", on=True) == 1, "b has never been a member, and nobody says why"
    assert commands.maintain(kept, "b", on=True, note='{"why": "replaced"}') == 0
    assert commands.maintain(kept, "b", on=True, note=None) == 1
    assert commands.report(kept.facts, {})["members"]["b"]["note"] == '{"why": "replaced"}'
    assert 'in maintenance ({"why": "replaced"}): load' in "\n".join(commands.describe(kept.facts, 2))
    kept.put("nodes/b", Position(U, 5))
    assert commands.maintain(kept, "b", on=True) == 0
    assert kept.facts.notes["b"] == '{"why": "replaced"}'
    # A node that was forgotten meanwhile is still shown with it.
    kept.commit({}, {}, ("nodes/b", "present/b"))
    assert commands.report(kept.facts, {})["members"]["b"]["maintenance"] is True
    assert commands.maintain(kept, "b", on=False) == 0
    assert kept.facts.notes == {}


def test_who_decided_what_is_kept_with_what_it_left_behind() -> None:
    memory = MemoryStore(
        cluster=FORMED,
        nodes__a=Position(U, 90),
        nodes__b=Position(U, 97),
        present__a=here("stopped", 90),
        present__b=here("stopped", 99),
    )
    assert commands.forget(memory, "c") == 0
    assert not memory.facts.decided, "a host that leaves in order is nobody's decision"
    assert commands.forget(memory, "c", by="ann@desk") == 0
    assert commands.forget(memory, "d", by="ann@desk") == 0
    assert commands.remember(memory, "d", by="ben@desk") == 0
    assert commands.recover_from(memory, "a", by="ben@desk") == 0
    told = [(each.what, each.by, each.lost) for _, each in sorted(memory.facts.decided.items())]
    assert told == [
        ("forget d", "ann@desk", "what only d has committed"),
        ("remember d", "ben@desk", ""),
        ("recover-from a", "ben@desk", "b was at 99, a at 90"),
    ]
    shown = commands.report(memory.facts, {})
    assert [each["what"] for each in shown["decided"]] == [what for what, *_ in told]
    assert shown["chosen"] == "a"
    assert any(
        "by ben@desk: recover-from a; left behind" in line for line in commands.describe(memory.facts, 2)
    )


def test_only_the_last_decisions_are_kept() -> None:
    memory = MemoryStore(cluster=FORMED)
    for number in range(commands.DECISIONS + 5):
        assert commands.forget(memory, f"n{number}", by="ann") == 0
    kept = [each.what for _, each in sorted(memory.facts.decided.items())]
    assert kept == [f"forget n{number}" for number in range(5, commands.DECISIONS + 5)]


@pytest.mark.parametrize(
    ("argv", "words", "value"),
    [
        (["forget", "b"], ["forget", "b"], None),
        (["forget", "b", "--by", "ann"], ["forget", "b"], "ann"),
        (["forget", "--by", "ann", "b"], ["forget", "b"], "ann"),
        (["forget", "b", "--by"], ["forget", "b", "--by"], None),
    ],
)
def test_an_option_is_taken_out_of_the_words(argv: list[str], words: list[str], value: str | None) -> None:
    assert said(argv, "--by") == (words, value)


def test_when_a_position_was_published_is_shown() -> None:
    told = Published(97, "2026-11-30 04:00:00 UTC")
    memory = MemoryStore(
        cluster=FORMED,
        nodes__a=Position(U, 97),
        published__a=told,
        nodes__b=Position(U, 90),
        nodes__c=Position(U, 98),
        published__c=told,
    )
    members = commands.report(memory.facts, {})["members"]
    assert members["a"]["publishedAt"] == told.at
    assert members["b"]["publishedAt"] is None
    assert members["c"]["publishedAt"] is None, "a node of before has published since, without the time"


def test_a_node_publishes_with_the_time() -> None:
    memory = MemoryStore(cluster=FORMED)
    made = membership.Membership.__new__(membership.Membership)
    made.store, made._node, made._topics = memory, "a", Topics()
    made._sample, made._published, made.recorded = Position(U, 5), 0.0, True
    made.publish(Position(U, 7), memory.facts)
    assert memory.facts.nodes["a"] == Position(U, 5)
    assert (memory.facts.published_at("a") or "").endswith(" UTC")
