"""Every rule about the right to bootstrap, as a table: what a node sees, and what it does."""

from __future__ import annotations

from dataclasses import replace

import pytest

from images.galera.galera_node.decision.decide import decide, wants_told
from images.galera.galera_node.decision.lost_quorum import gives_up
from images.galera.galera_node.decision.others import Site
from images.galera.galera_node.decision.outcomes import (
    Bootstrap,
    Carry,
    Discard,
    Join,
    NewEpoch,
    Refuse,
    Wait,
)
from images.galera.galera_node.decision.without_data import turn
from images.galera.galera_node.local_state import NO_UUID, Kind, Local, Note
from images.galera.galera_node.neighbours import Told
from images.galera.galera_node.store import Cluster, Details, Epoch, Facts, Position, Presence, View

U = "aaaaaaaa-0000-0000-0000-000000000001"
OTHER = "bbbbbbbb-0000-0000-0000-000000000002"
EMPTY = Local(Kind.EMPTY)
PARTIAL = Local(Kind.PARTIAL)


def data(seqno: int, uuid: str = U) -> Local:
    return Local(Kind.DATA, uuid, seqno)


def at(number: int) -> str:
    return f"10.20.0.{number}"


def here(state: str, number: int, seqno: int = -1, uuid: str = U) -> Presence:
    return Presence(state, NO_UUID if state == "empty" else uuid, seqno, at(number))


def members(**seqnos: int) -> dict[str, Position]:
    return {name: Position(U, seqno) for name, seqno in seqnos.items()}


FORMING = Cluster(U, "forming", "a")
OPEN = Cluster(U, "open", "a")
FORMED = Cluster(U, "formed", "a")
ALL = members(a=90, b=90, c=90)
NOBODY = Facts()


GATHERED = Facts(
    present={"b": here("empty", 2), "c": here("empty", 3)}, revisions={"present/b": 5, "present/c": 6}
)


def test_the_first_node_bootstraps_only_where_no_cluster_ever_existed() -> None:
    decision = decide("a", 3, EMPTY, GATHERED, [])
    assert isinstance(decision, Bootstrap)
    assert decision.first
    # It only holds if the store still knows no cluster, nobody else has taken the right, and nobody has
    # changed.
    assert decision.expect == {"cluster": 0, "bootstrap": 0, "present/b": 5, "present/c": 6}


@pytest.mark.parametrize(
    ("size", "facts", "names", "words"),
    [
        pytest.param(3, NOBODY, (), "2 more", id="alone"),
        pytest.param(3, Facts(present={"b": here("empty", 2)}), (), "1 more", id="one is missing"),
        pytest.param(
            3, Facts(present={"b": here("empty", 2)}), "abc", "Waiting for c;", id="and it is known who"
        ),
        pytest.param(3, Facts(forgotten=frozenset("b")), "abc", "Waiting for c;", id="only one is given up"),
        pytest.param(
            3,
            Facts(present={"b": here("empty", 2)}, forgotten=frozenset("z")),
            "abc",
            "Waiting for c;",
            id="a name that nobody expects is given up",
        ),
        pytest.param(
            3,
            Facts(present={"b": here("empty", 2), "c": here("stopped", 3, 7)}),
            (),
            "hold data",
            id="all are here, and one has data",
        ),
    ],
)
def test_a_first_start_needs_all_expected_nodes_present_and_empty(
    size: int, facts: Facts, names: str, words: str
) -> None:
    decision = decide("a", Site(size, tuple(names)), EMPTY, facts, [])
    assert isinstance(decision, Wait)
    assert words in decision.reason
    if "hold data" not in words:
        assert "galera-node forget NAME" in decision.reason


@pytest.mark.parametrize(
    ("size", "facts", "names"),
    [
        pytest.param(1, NOBODY, (), id="a cluster of one"),
        pytest.param(3, GATHERED, "abc", id="all three"),
        pytest.param(3, Facts(forgotten=frozenset("bc")), "abc", id="the others are given up"),
        pytest.param(3, Facts(forgotten=frozenset("bc")), (), id="the same, names are not known"),
        pytest.param(
            3, Facts(present={"b": here("empty", 2)}, forgotten=frozenset("c")), "abc", id="one is given up"
        ),
    ],
)
def test_a_first_start_goes_on_when_nobody_is_missing(size: int, facts: Facts, names: str) -> None:
    decision = decide("a", Site(size, tuple(names)), EMPTY, facts, [])
    assert isinstance(decision, Bootstrap)
    assert decision.first


def test_an_interrupted_first_transfer_counts_as_empty() -> None:
    assert isinstance(decide("a", 3, PARTIAL, GATHERED, []), Bootstrap)
    assert isinstance(decide("b", 3, PARTIAL, Facts(FORMED, nodes=ALL), []), Wait)


@pytest.mark.parametrize(
    ("local", "facts", "live"),
    [
        pytest.param(EMPTY, Facts(holder="b"), [], id="another holds the right"),
        pytest.param(EMPTY, Facts(nodes=members(b=5)), [], id="the store has members but no record"),
        pytest.param(EMPTY, Facts(present={"b": here("stopped", 2, 5)}), [], id="somebody has data"),
        pytest.param(EMPTY, Facts(FORMING, holder="b"), [at(2)], id="the seed is at it"),
        pytest.param(EMPTY, Facts(FORMING, holder="a"), [], id="an earlier run of this seed may be at it"),
        pytest.param(EMPTY, NOBODY, [at(9)], id="the store knows nobody, but somebody runs"),
        pytest.param(
            EMPTY, Facts(FORMING, nodes=members(c=1)), [], id="formation ended, yet there is a member"
        ),
        pytest.param(EMPTY, Facts(OPEN), [], id="the seed is away"),
        pytest.param(EMPTY, Facts(FORMED, nodes=ALL), [], id="full outage, no data here"),
        pytest.param(
            EMPTY,
            Facts(FORMED, present={"a": here("running", 1)}),
            [at(1)],
            id="no Primary component to join",
        ),
        pytest.param(
            EMPTY, Facts(FORMED, present={"a": here("synced", 1)}), [], id="stale: nobody answers there"
        ),
        pytest.param(
            EMPTY, Facts(FORMED, present={"a": here("synced", 1)}), [at(9)], id="an unknown address"
        ),
        pytest.param(EMPTY, None, [at(1)], id="no store, empty"),
        pytest.param(data(5), None, [], id="no store, nobody"),
        pytest.param(Local(Kind.DATA, NO_UUID, -1), None, [at(1)], id="no store, data of no cluster"),
        pytest.param(data(5), NOBODY, [], id="data, but the store has never seen a cluster"),
        pytest.param(data(5), Facts(FORMED, nodes=ALL), [], id="full outage, the others are not there"),
        pytest.param(
            data(95), Facts(FORMED, nodes=ALL, present={"b": here("stopped", 2, 95)}), [], id="one is missing"
        ),
        pytest.param(
            data(95),
            Facts(FORMED, nodes=ALL, present={"b": here("stopped", 2, 95), "c": here("synced", 3)}),
            [],
            id="one may still run",
        ),
        pytest.param(
            data(95),
            Facts(FORMED, nodes=ALL, present={"b": here("stopped", 2, 95), "c": here("running", 3)}),
            [at(3)],
            id="one runs without a Primary component, and this one has not the view to restore it",
        ),
        pytest.param(
            replace(data(95), view=True),
            Facts(FORMED, nodes=ALL, present={"b": here("stopped", 2, 95), "c": here("starting", 3)}),
            [at(3)],
            id="one has just started: it may find its component or stop again",
        ),
        pytest.param(
            data(95),
            Facts(FORMED, nodes=ALL, present={"b": here("stopped", 2, 96), "c": here("stopped", 3, 95)}),
            [],
            id="another is more advanced",
        ),
        pytest.param(
            data(95),
            Facts(FORMED, nodes=ALL, present={"b": here("stopped", 2, -1), "c": here("stopped", 3, 95)}),
            [],
            id="a position is not known",
        ),
        pytest.param(
            data(-1),
            Facts(FORMED, nodes=ALL, present={"b": here("stopped", 2, 9), "c": here("stopped", 3, 9)}),
            [],
            id="the own position is not known",
        ),
        pytest.param(
            data(80),
            Facts(FORMED, nodes=ALL, present={"b": here("empty", 2), "c": here("stopped", 3, 80)}),
            [],
            id="the store has seen more than anybody has now",
        ),
        pytest.param(
            data(95),
            Facts(FORMED, "b", ALL, present={"b": here("starting", 2, 95), "c": here("stopped", 3, 95)}),
            [],
            id="another restarts it",
        ),
        pytest.param(
            data(95),
            Facts(FORMED, "a", ALL, present={"b": here("stopped", 2, 95), "c": here("stopped", 3, 95)}),
            [],
            id="an earlier run of this node may be restarting it",
        ),
        pytest.param(
            data(95),
            Facts(FORMED, nodes=members(a=90), present={"b": here("empty", 2)}),
            [],
            id="fewer than expected, and they were together once",
        ),
        pytest.param(
            data(95),
            Facts(
                FORMED,
                nodes=members(a=90, b=90),
                present={"b": here("stopped", 2, 94)},
                forgotten=frozenset({"b"}),
            ),
            [],
            id="a forgotten one that is back counts again",
        ),
        pytest.param(
            data(95),
            Facts(FORMED, nodes=members(a=90, b=90), forgotten=frozenset({"c"})),
            [],
            id="one is forgotten, yet another is missing",
        ),
        pytest.param(
            data(95),
            Facts(
                FORMED, nodes=ALL, present={"b": here("stopped", 2, 1, OTHER), "c": here("stopped", 3, 95)}
            ),
            [],
            id="data of two clusters",
        ),
        pytest.param(data(5), Facts(FORMING, holder="b"), [], id="another forms while this one has data"),
        pytest.param(data(5), Facts(replace(FORMING, seed="b")), [], id="the seed is another"),
    ],
)
def test_a_node_waits_where_starting_would_be_a_guess(
    local: Local, facts: Facts | None, live: list[str]
) -> None:
    decision = decide("a", 3, local, facts, live)
    assert isinstance(decision, Wait)
    assert len(decision.reason) > 20


@pytest.mark.parametrize(
    ("local", "facts", "live", "addresses"),
    [
        pytest.param(
            EMPTY,
            Facts(OPEN, present={"b": here("synced", 2), "c": here("starting", 3, uuid=NO_UUID)}),
            [at(2), at(3)],
            (at(2),),
            id="an empty node joins members in the Primary component",
        ),
        pytest.param(
            data(5),
            Facts(FORMED, nodes=ALL, present={"b": here("synced", 2), "c": here("primary", 3)}),
            [at(2), at(3)],
            (at(2), at(3)),
            id="a restarted node joins",
        ),
        pytest.param(
            data(5),
            Facts(FORMED, nodes=ALL, present={"b": here("synced", 2), "c": here("synced", 3)}),
            [at(3)],
            (at(3),),
            id="only live addresses count",
        ),
        pytest.param(
            data(99),
            Facts(FORMED, nodes=ALL, present={"b": here("synced", 2, 90)}),
            [at(2)],
            (at(2),),
            id="even one that looks more advanced joins",
        ),
        pytest.param(
            replace(data(5), view=True),
            Facts(FORMED, nodes=ALL, present={"b": here("running", 2, 5), "c": here("starting", 3, 5)}),
            [at(2), at(3)],
            (at(2),),
            id="members without a Primary component can restore it together",
        ),
        pytest.param(
            data(5),
            Facts(present={"b": here("synced", 2)}),
            [at(2)],
            (at(2),),
            id="the store has lost its data but the cluster lives",
        ),
    ],
)
def test_a_node_joins_live_members(
    local: Local, facts: Facts | None, live: list[str], addresses: tuple[str, ...]
) -> None:
    decision = decide("a", 3, local, facts, live)
    assert isinstance(decision, Join)
    assert decision.addresses == addresses


def outage(local_seqno: int, **others: int) -> Facts:
    present = {name: here("stopped", ord(name) - 96, seqno) for name, seqno in others.items()}
    revisions = {"cluster": 4, **{f"present/{name}": 10 + index for index, name in enumerate(sorted(others))}}
    return Facts(FORMED, nodes=ALL, present=present, revisions=revisions)


def test_the_most_advanced_node_restarts_the_cluster_when_all_have_published() -> None:
    decision = decide("a", 3, data(97), outage(97, b=95, c=96), [])
    assert isinstance(decision, Bootstrap)
    assert not decision.first
    # The decision falls if any of the others has changed since.
    assert decision.expect == {
        "present/b": 10,
        "present/c": 11,
        "bootstrap": 0,
        "cluster": 4,
        "view": 0,
        "chosen": 0,
    }
    assert decision.epoch is None


def test_exactly_one_of_equally_advanced_nodes_restarts_the_cluster() -> None:
    views = {"a": {"b": 95, "c": 95}, "b": {"a": 95, "c": 95}, "c": {"a": 95, "b": 95}}
    decisions = {name: decide(name, 3, data(95), outage(95, **others), []) for name, others in views.items()}
    assert [name for name, decision in decisions.items() if isinstance(decision, Bootstrap)] == ["c"]


def test_a_lost_volume_does_not_hold_up_recovery_when_nothing_published_is_missing() -> None:
    facts = Facts(FORMED, nodes=ALL, present={"b": here("empty", 2), "c": here("stopped", 3, 93)})
    assert isinstance(decide("a", 3, data(95), facts, []), Bootstrap)


def test_a_forgotten_node_is_not_waited_for() -> None:
    facts = Facts(
        FORMED,
        nodes=members(a=90, b=90),
        present={"b": here("stopped", 2, 93)},
        forgotten=frozenset({"c"}),
    )
    decision = decide("a", 3, data(95), facts, [])
    assert isinstance(decision, Bootstrap)
    assert not decision.first
    without = decide("a", 3, data(95), replace(facts, forgotten=frozenset()), [])
    assert isinstance(without, Wait)
    assert "only 2 of 3 nodes" in without.reason
    # It is the more advanced one and comes back after all: its data is not passed over.
    back = {**facts.present, "c": here("stopped", 3, 97)}
    assert isinstance(decide("a", 3, data(95), replace(facts, present=back), []), Wait)
    assert isinstance(
        decide(
            "c",
            3,
            data(97),
            replace(facts, present={"a": here("stopped", 1, 95), "b": here("stopped", 2, 93)}),
            [],
        ),
        Bootstrap,
    )


@pytest.mark.parametrize(
    ("outside", "facts", "expected"),
    [
        pytest.param(61.0, Facts(FORMED, present={"b": here("running", 2)}), True, id="both are outside"),
        pytest.param(61.0, Facts(FORMED, present={"b": here("stopped", 2)}), True, id="the other is stopped"),
        pytest.param(61.0, Facts(FORMED), True, id="alone"),
        pytest.param(61.0, Facts(FORMED, present={"a": here("primary", 1)}), True, id="its own older word"),
        pytest.param(59.0, Facts(FORMED), False, id="the component may still be restored"),
        pytest.param(
            61.0, Facts(FORMED, present={"b": here("synced", 2)}), False, id="the component is there"
        ),
        pytest.param(61.0, None, False, id="nobody knows"),
    ],
)
def test_who_stays_outside_a_component_that_nobody_is_in_makes_way(
    outside: float, facts: Facts | None, expected: bool
) -> None:
    assert gives_up("a", outside, facts) is expected


def test_joiners_come_one_after_the_other() -> None:
    present = {
        "a": here("synced", 1),
        "b": here("empty", 2),
        "c": here("stopped", 3, 5),
        "d": here("starting", 4, uuid=NO_UUID),
        "e": here("empty", 5),
    }
    facts = Facts(OPEN, present=present)
    assert [turn(name, facts) for name in ("b", "d", "e")] == [0, 1, 2]


def test_the_lone_first_node_restarts_an_unfinished_formation() -> None:
    joiner = {"b": here("starting", 2, uuid=NO_UUID)}
    facts = Facts(OPEN, nodes=members(a=12), present=joiner)
    assert isinstance(decide("a", 3, data(12), facts, [at(2)]), Bootstrap)


def test_an_unfinished_formation_waits_for_every_node_that_was_synced() -> None:
    facts = Facts(OPEN, nodes=members(a=12, b=12))
    decision = decide("a", 3, data(12), facts, [])
    assert isinstance(decision, Wait)
    assert "b" in decision.reason


def test_a_store_that_lost_its_data_is_filled_again_by_a_full_set_of_nodes() -> None:
    present = {"b": here("stopped", 2, 95), "c": here("stopped", 3, 94)}
    assert isinstance(decide("a", 3, data(96), Facts(present=present), []), Bootstrap)
    assert isinstance(decide("a", 5, data(96), Facts(present=present), []), Wait)


def test_an_ended_formation_is_taken_over_and_marked() -> None:
    facts = Facts(FORMING, revisions={"cluster": 7})
    decision = decide("b", 3, EMPTY, facts, [])
    assert isinstance(decision, Bootstrap)
    assert decision.abort == U
    assert decision.expect == {"cluster": 7, "bootstrap": 0}


def test_a_right_of_this_process_is_its_own_to_use() -> None:
    # mariadbd died while forming, or the answer to the commit was lost.
    facts = Facts(FORMING, "a", revisions={"cluster": 7, "bootstrap": 9}, mine=True)
    decision = decide("a", 3, EMPTY, facts, [])
    assert isinstance(decision, Bootstrap)
    assert (decision.abort, decision.expect) == (U, {"cluster": 7, "bootstrap": 9})
    # The same in a full outage: the commit insists on the right as it is now.
    outage_facts = outage(97, b=95, c=96)
    mine = replace(outage_facts, holder="a", mine=True, revisions={**outage_facts.revisions, "bootstrap": 9})
    decision = decide("a", 3, data(97), mine, [])
    assert isinstance(decision, Bootstrap)
    assert decision.expect == {
        "present/b": 10,
        "present/c": 11,
        "bootstrap": 9,
        "cluster": 4,
        "view": 0,
        "chosen": 0,
    }


def test_a_right_of_an_earlier_container_of_this_name_is_named_as_such() -> None:
    decision = decide("a", 3, EMPTY, Facts(FORMING, "a", revisions={"bootstrap": 9}), [])
    assert isinstance(decision, Wait)
    assert decision.reason == "an earlier run of a is forming the cluster"


def test_the_first_node_discards_its_own_unfinished_formation() -> None:
    decision = decide("a", 3, data(3), Facts(FORMING, revisions={"cluster": 7}), [])
    assert isinstance(decision, Discard)
    assert decision.expect == {"cluster": 7}


def test_data_of_a_formation_that_another_took_over_is_discarded() -> None:
    facts = Facts(replace(OPEN, uuid=OTHER, seed="b"), aborted=frozenset({U}))
    assert isinstance(decide("a", 3, data(3), facts, [at(2)]), Discard)


@pytest.mark.parametrize("cluster", [FORMED, OPEN, FORMING], ids=lambda cluster: cluster.phase)
def test_data_of_another_cluster_is_never_touched(cluster: Cluster) -> None:
    facts = Facts(cluster, present={"b": here("synced", 2)})
    for live in ([], [at(2)]):
        decision = decide("a", 3, data(3, OTHER), facts, live)
        assert isinstance(decision, Refuse)
        assert OTHER in decision.reason


def test_tables_of_no_cluster_are_never_touched() -> None:
    assert isinstance(decide("a", 3, Local(Kind.DATA), Facts(FORMED), [at(2)]), Refuse)
    assert isinstance(decide("a", 3, Local(Kind.DATA), NOBODY, []), Refuse)


def test_foreign_files_are_never_touched() -> None:
    for facts in (None, NOBODY, Facts(OPEN, present={"b": here("synced", 2)})):
        assert isinstance(decide("a", 3, Local(Kind.FOREIGN), facts, [at(2)]), Refuse)


def test_no_node_with_data_ever_makes_a_first_bootstrap() -> None:
    phases = [None, FORMING, OPEN, FORMED]
    holders = [None, "a", "b"]
    states = [{}, {"b": here("stopped", 2, 1)}, {"b": here("synced", 2, 1)}, {"b": here("empty", 2)}]
    for cluster in phases:
        for holder in holders:
            for present in states:
                for live in ([], [at(2)]):
                    facts = Facts(cluster, holder, {}, present=present)
                    decision = decide("a", 3, data(1), facts, live)
                    assert not (isinstance(decision, Bootstrap) and decision.first), (facts, live)


# ---- epochs: which of the cluster's histories the data belongs to

E1, E2 = "1-aaaa", "2-bbbb"
IN_E1 = replace(FORMED, epoch=E1)


def of(epoch: str, local: Local, begins: str = "") -> Local:
    return replace(local, note=Note(epoch, begins))


def details(**epochs: str) -> dict[str, Details]:
    return {name: Details(epoch) for name, epoch in epochs.items()}


def test_data_of_an_older_epoch_joins_by_a_full_copy_only() -> None:
    facts = Facts(IN_E1, nodes=members(b=100), present={"b": here("synced", 2)}, details=details(b=E1))
    for old in (data(103), data(5), replace(data(103), view=True), data(-1)):
        decision = decide("a", 3, old, facts, [at(2)])
        assert isinstance(decision, Join)
        assert (decision.addresses, decision.full) == ((at(2),), True)
    # Of the same epoch: what it lacks will do.
    decision = decide("a", 3, of(E1, data(5)), facts, [at(2)])
    assert decision == Join((at(2),), "a restarted node joins")


def test_clusters_and_data_of_the_version_without_epochs_go_on() -> None:
    facts = Facts(FORMED, nodes=ALL, present={"b": here("synced", 2), "c": here("synced", 3)})
    decision = decide("a", 3, data(5), facts, [at(2), at(3)])
    assert isinstance(decision, Join)
    assert not decision.full


@pytest.mark.parametrize(
    ("local", "facts"),
    [
        pytest.param(data(103), Facts(IN_E1, nodes=members(b=100)), id="nobody is there"),
        pytest.param(
            data(103),
            Facts(IN_E1, nodes=members(b=100), present={"b": here("running", 2)}, details=details(b=E1)),
            id="one runs outside a component",
        ),
        pytest.param(
            data(103),
            Facts(IN_E1, present={"b": here("stopped", 2, 90), "c": here("stopped", 3, 90)}),
            id="all are of the older epoch, and it is the most advanced",
        ),
        pytest.param(
            data(103),
            Facts(IN_E1, nodes=members(a=103), forgotten=frozenset("bc")),
            id="the others are forgotten",
        ),
        pytest.param(
            replace(of(E1, data(103)), trusted=False),
            Facts(IN_E1, nodes=members(a=103), forgotten=frozenset("bc")),
            id="Galera has marked it as unusable",
        ),
    ],
)
def test_data_that_was_left_behind_restarts_nothing(local: Local, facts: Facts) -> None:
    decision = decide("a", 3, local, facts, [at(2)] if "b" in facts.present else [])
    assert isinstance(decision, Wait)
    assert "galera-node recover-from NAME" in decision.reason


def test_data_that_was_left_behind_is_no_candidate_for_others() -> None:
    present = {"b": here("stopped", 2, 103), "c": here("stopped", 3, 95)}
    facts = Facts(IN_E1, nodes=members(a=90, c=90), present=present, details=details(b="", c=E1))
    decision = decide("a", 3, of(E1, data(97)), facts, [])
    assert isinstance(decision, Bootstrap)
    assert decision.epoch is None  # it was left out before
    # The same for data that Galera has marked, though of this epoch.
    marked = replace(facts, details={"b": Details(E1, trusted=False), "c": Details(E1)})
    assert isinstance(decide("a", 3, of(E1, data(97)), marked, []), Bootstrap)
    # It would be, if it were of this epoch.
    same = replace(facts, details=details(b=E1, c=E1))
    assert isinstance(decide("a", 3, of(E1, data(97)), same, []), Wait)


@pytest.mark.parametrize("state", ["starting", "running", "primary", "synced"])
@pytest.mark.parametrize("chosen", [None, "a"])
def test_nobody_restarts_the_cluster_beside_one_that_runs_whatever_its_epoch(
    state: str, chosen: str | None
) -> None:
    facts = Facts(
        IN_E1,
        nodes=members(a=90, b=90),
        present={"b": here(state, 2, 95), "c": here("stopped", 3, 95)},
        details=details(b="", c=E1),
        chosen=chosen,
    )
    decision = decide("a", 3, of(E1, data(97)), facts, [])
    assert isinstance(decision, Wait)
    assert decision.reason.startswith(("b has started", "chosen to restart the cluster, but b still runs"))


def test_a_recovery_that_leaves_somebody_out_begins_an_epoch_with_those_that_were_heard() -> None:
    facts = Facts(
        FORMED, nodes=members(a=90, b=90), present={"b": here("stopped", 2, 93)}, forgotten=frozenset("c")
    )
    decision = decide("a", 3, data(95), facts, [])
    assert isinstance(decision, Bootstrap)
    assert decision.epoch == NewEpoch("", {"b": 93}, ("c",))
    # One whose volume is empty now may have its old disk back one day.
    facts = Facts(FORMED, nodes=ALL, present={"b": here("empty", 2), "c": here("stopped", 3, 93)})
    decision = decide("a", 3, data(95), facts, [])
    assert isinstance(decision, Bootstrap)
    assert decision.epoch == NewEpoch("", {"c": 93}, ("b",))


BEGUN = Epoch(E1, "", {"b": 93}, ("c",), "a")


@pytest.mark.parametrize(
    ("node", "local", "carried"),
    [
        pytest.param("b", data(93), True, id="it was heard at this position"),
        pytest.param("b", data(90), True, id="a part of what was heard"),
        pytest.param("b", data(94), False, id="it has more than was heard"),
        pytest.param("b", data(-1), False, id="its position is not known"),
        pytest.param("b", replace(data(93), trusted=False), False, id="Galera has marked it"),
        pytest.param("b", of("0-x", data(93)), False, id="of an epoch before the one before"),
        pytest.param("c", data(93), False, id="it was left out"),
        pytest.param("a", of("", data(95), begins=E1), True, id="it has begun the epoch itself"),
        pytest.param("a", of("", data(95), begins=E2), False, id="it has begun another one, in vain"),
    ],
)
def test_data_goes_over_to_an_epoch_only_if_it_was_heard_of(node: str, local: Local, carried: bool) -> None:
    decision = decide(node, 3, local, Facts(IN_E1, epoch=BEGUN), [])
    assert isinstance(decision, Carry) is carried
    if isinstance(decision, Carry):
        assert decision.epoch == E1


def test_an_older_epochs_words_carry_nobody_into_a_later_one() -> None:
    assert not isinstance(decide("b", 3, data(93), Facts(replace(FORMED, epoch=E2), epoch=BEGUN), []), Carry)


TELLS = Told("b", U, "", "synced")


@pytest.mark.parametrize(
    ("local", "told", "joins"),
    [
        pytest.param(data(5), TELLS, True, id="the same epoch: no store is needed"),
        pytest.param(data(5), replace(TELLS, epoch=E1), False, id="another epoch"),
        pytest.param(of(E1, data(5)), TELLS, False, id="this node's is the later one"),
        pytest.param(of("", data(5), begins=E1), replace(TELLS, epoch=E1), True, id="the one it has begun"),
        pytest.param(data(5), replace(TELLS, uuid=OTHER), False, id="another cluster"),
        pytest.param(data(5), None, False, id="it does not say, as in the version before"),
        pytest.param(data(5), replace(TELLS, state="running"), False, id="it is in no component"),
        pytest.param(
            replace(data(5), view=True), replace(TELLS, state="running"), True, id="both may restore it"
        ),
        pytest.param(replace(data(5), trusted=False), TELLS, False, id="Galera has marked the data"),
    ],
)
def test_without_the_store_a_node_joins_whom_it_knows_to_have_its_history(
    local: Local, told: Told | None, joins: bool
) -> None:
    tell = {} if told is None else {at(2): told}
    decision = decide("a", 3, local, None, [at(2)], tell)
    assert decision == (
        Join((at(2),), "the store does not answer, but live nodes of the same epoch do")
        if joins
        else decision
    )
    assert isinstance(decision, Join if joins else Wait)
    # The same for nodes that the store does not know.
    facts = Facts(FORMED, nodes=ALL, present={"b": here("stopped", 2, 95), "c": here("stopped", 3, 95)})
    tell = {} if told is None else {at(9): told}
    if local.epoch == "" and not local.note.begins and local.trusted:
        assert isinstance(decide("a", 3, local, facts, [at(9)], tell), Join if joins else Wait)


def test_live_nodes_are_asked_only_where_the_store_does_not_know() -> None:
    facts = Facts(FORMED, present={"b": here("synced", 2)})
    assert not wants_told(facts, [at(2)])
    assert not wants_told(None, [])
    assert wants_told(None, [at(2)])
    assert wants_told(facts, [at(2), at(9)])
    assert wants_told(replace(facts, cluster=None), [at(2)])


def test_a_lost_record_is_not_written_anew_from_data_of_an_earlier_epoch() -> None:
    present = {"b": here("stopped", 2, 95), "c": here("stopped", 3, 203)}
    facts = Facts(present=present, details=details(b=E1, c=""))
    # The later epoch restarts, though the left-out one has the higher position.
    assert isinstance(decide("a", 3, of(E1, data(96)), facts, []), Bootstrap)
    decision = decide(
        "c",
        3,
        data(203),
        Facts(present={"a": here("stopped", 1, 96), "b": present["b"]}, details=details(a=E1, b=E1)),
        [],
    )
    assert isinstance(decision, Wait)
    assert "later epoch" in decision.reason
    # Two epochs of one number: a person decides.
    other = replace(facts, details=details(b=E1, c="1-cccc"))
    decision = decide("a", 3, of(E1, data(96)), other, [])
    assert isinstance(decision, Wait)
    assert "galera-node recover-from NAME" in decision.reason


# ---- who must be heard: the members of the last Primary component


def view(names: str, seqno: int = 90, epoch: str = "") -> View:
    return View(U, epoch, seqno, tuple(names))


def test_a_member_that_died_before_the_last_component_is_not_waited_for() -> None:
    facts = Facts(FORMED, nodes=members(a=9000, b=9000, c=10), present={"b": here("stopped", 2, 9004)})
    assert isinstance(decide("a", 3, data(9005), facts, []), Wait)
    decision = decide("a", 3, data(9005), replace(facts, view=view("ab", 12)), [])
    assert isinstance(decision, Bootstrap)
    # It is left out, but what it had when it fell out of the component is a part of the others' data.
    assert decision.epoch == NewEpoch("", {"b": 9004, "c": 12}, ("c",))


def test_hosts_that_never_had_anything_are_not_waited_for_after_a_growth() -> None:
    present = {"b": here("stopped", 2, 95), "c": here("stopped", 3, 95)}
    facts = Facts(FORMED, nodes=ALL, present=present)
    decision = decide("a", 5, data(96), facts, [])
    assert isinstance(decision, Wait)
    assert "galera-node forget NAME" in decision.reason
    assert isinstance(decide("a", 5, data(96), replace(facts, forgotten=frozenset("de")), []), Bootstrap)
    decision = decide("a", 5, data(96), replace(facts, view=view("abc")), [])
    assert isinstance(decision, Bootstrap)
    assert decision.epoch is None


@pytest.mark.parametrize(
    ("stored", "noted", "shown", "waits_for"),
    [
        pytest.param(view("ab"), None, None, "", id="the store's word"),
        pytest.param(view("ab"), view("abc", 95), None, "c", id="this node has seen a later one"),
        pytest.param(view("ab"), None, view("abc", 95), "c", id="another has"),
        pytest.param(view("ab"), view("abc", 80), view("abc", 85), "", id="theirs are older"),
        pytest.param(view("ab", epoch=E1), None, None, "c", id="one of another epoch says nothing"),
        pytest.param(None, None, None, "c", id="nobody knows: all members"),
    ],
)
def test_the_last_component_is_the_latest_that_anybody_knows(
    stored: View | None, noted: View | None, shown: View | None, waits_for: str
) -> None:
    facts = Facts(
        FORMED,
        nodes=ALL,
        present={"b": here("stopped", 2, 95)},
        details={"b": Details(view=shown)},
        view=stored,
    )
    decision = decide("a", 3, replace(data(96), note=Note(component=noted)), facts, [])
    assert isinstance(decision, Wait if waits_for else Bootstrap)
    if isinstance(decision, Wait):
        assert f"position of {waits_for} is not known" in decision.reason


def test_without_a_record_every_expected_node_is_waited_for_whatever_the_component_was() -> None:
    local = replace(data(96), note=Note(component=view("a", 95)))
    decision = decide("a", 3, local, Facts(), [])
    assert isinstance(decision, Wait)
    assert "1 of 3 nodes" in decision.reason


def test_a_node_that_was_not_in_the_last_component_waits_for_those_that_were() -> None:
    decision = decide("c", 3, data(10), Facts(FORMED, nodes=ALL, view=view("ab")), [])
    assert isinstance(decision, Wait)
    assert (
        "position of a, b is not known in this outage. It was in the last Primary component"
        in decision.reason
    )


# ---- what is broken, foreign or chosen


def test_a_broken_member_is_named_and_can_be_forgotten() -> None:
    present = {"b": here("stopped", 2, 95), "c": here("stopped", 3, -1)}
    facts = Facts(FORMED, nodes=ALL, present=present)
    decision = decide("a", 3, data(96), facts, [])
    assert isinstance(decision, Wait)
    assert "the position of c could not be recovered" in decision.reason
    assert "galera-node forget NAME" in decision.reason
    forgotten = replace(facts, nodes=members(a=90, b=90), forgotten=frozenset("c"))
    decision = decide("a", 3, data(96), forgotten, [])
    assert isinstance(decision, Bootstrap)
    assert decision.epoch == NewEpoch("", {"b": 95}, ("c",))
    # The broken one itself says what it is, and restarts nothing.
    own = decide(
        "c",
        3,
        data(-1),
        Facts(FORMED, nodes=ALL, present={"a": here("stopped", 1, 96), "b": present["b"]}),
        [],
    )
    assert isinstance(own, Wait)
    assert "galera-node forget c" in own.reason


def test_a_node_with_data_of_another_cluster_blocks_nobody_of_the_stores() -> None:
    stray = here("stopped", 3, 5, OTHER)
    facts = Facts(FORMED, nodes=ALL, present={"b": here("synced", 2), "c": stray})
    assert isinstance(decide("a", 3, data(95), facts, [at(2)]), Join)
    outage_facts = Facts(FORMED, nodes=members(a=90, b=90), present={"b": here("stopped", 2, 95), "c": stray})
    assert isinstance(decide("a", 3, data(96), outage_facts, []), Bootstrap)
    # Without a record, nobody knows whose is the store's.
    assert isinstance(decide("a", 3, data(96), replace(outage_facts, cluster=None), []), Wait)


def test_the_node_that_a_person_has_chosen_restarts_the_cluster_and_nobody_else_does() -> None:
    facts = Facts(FORMED, nodes=ALL, present={"b": here("stopped", 2, 99)}, chosen="a", view=view("abc"))
    decision = decide("a", 3, data(95), facts, [])
    assert isinstance(decision, Bootstrap)
    assert decision.epoch == NewEpoch("", {}, ("b", "c"))
    assert "chosen" in decision.expect
    other = replace(facts, present={"a": here("stopped", 1, 95)})
    decision = decide("b", 3, data(99), other, [])
    assert isinstance(decision, Wait)
    assert "restarts from the data of a" in decision.reason
    # Older data, or data that Galera has marked, serves if a person says so; what others have is then no part
    # of it.
    for local in (data(95), replace(of(E1, data(95)), trusted=False)):
        older = replace(facts, cluster=IN_E1, details=details(b=E1), view=None)
        decision = decide("a", 3, local, older, [])
        assert isinstance(decision, Bootstrap)
        assert decision.epoch == NewEpoch(E1, {}, ("b", "c"))
    # Not without a position, and not while somebody still runs.
    assert isinstance(decide("a", 3, data(-1), facts, []), Wait)
    running = replace(facts, present={"b": here("running", 2, 99)})
    assert isinstance(decide("a", 3, data(95), running, [at(2)]), Wait)


def test_once_a_person_has_chosen_nobody_stays_outside_for_long() -> None:
    assert not gives_up("a", 3.0, Facts(FORMED))
    assert gives_up("a", 3.0, Facts(FORMED, chosen="a"))
    assert not gives_up("a", 3.0, Facts(FORMED, chosen="a", present={"b": here("synced", 2)}))


def test_data_whose_recovery_has_failed_is_not_called_data_of_no_cluster() -> None:
    broken = Local(
        Kind.DATA, NO_UUID, -1, unrecovered="mariadbd ended with 1: InnoDB: Cannot allocate memory"
    )
    others = {"b": here("synced", 2)}
    for facts in (NOBODY, Facts(FORMED, nodes=ALL, present=others)):
        decision = decide("a", 3, broken, facts, [at(2)])
        assert isinstance(decision, Refuse)
        assert "mariadbd ended with 1: InnoDB: Cannot allocate memory. Nothing is touched" in decision.reason
        assert "if memory or disk is short, mend that" in decision.reason
        assert "empty its volume" in decision.reason
        assert "no Galera cluster" not in decision.reason
    # InnoDB was asked, and knows of no cluster.
    decision = decide("a", 3, replace(broken, unrecovered=""), NOBODY, [])
    assert isinstance(decision, Refuse)
    assert "no Galera cluster" in decision.reason
