"""Every rule about the right to bootstrap, as a table: what a node sees, and what it does."""

from __future__ import annotations

from dataclasses import replace

import pytest

from images.galera.galera_node.decision import Bootstrap, Discard, Join, Refuse, Wait, decide, gives_up, turn
from images.galera.galera_node.local_state import NO_UUID, Kind, Local
from images.galera.galera_node.store import Cluster, Facts, Position, Presence

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


def test_the_first_node_bootstraps_only_where_no_cluster_ever_existed() -> None:
    decision = decide("a", 3, EMPTY, NOBODY, [])
    assert isinstance(decision, Bootstrap)
    assert decision.first
    # It only holds if the store still knows no cluster and nobody else has taken the right.
    assert decision.expect == {"cluster": 0, "bootstrap": 0}


def test_an_interrupted_first_transfer_counts_as_empty() -> None:
    assert isinstance(decide("a", 3, PARTIAL, NOBODY, []), Bootstrap)
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
            Facts(FORMED, "b", ALL, {"b": here("starting", 2, 95), "c": here("stopped", 3, 95)}),
            [],
            id="another restarts it",
        ),
        pytest.param(
            data(95),
            Facts(FORMED, "a", ALL, {"b": here("stopped", 2, 95), "c": here("stopped", 3, 95)}),
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
        pytest.param(data(5), None, [at(2)], (at(2),), id="a node with data needs no store to return"),
        pytest.param(
            data(5),
            Facts(present={"b": here("synced", 2)}),
            [at(2)],
            (at(2),),
            id="the store has lost its data but the cluster lives",
        ),
        pytest.param(data(5), NOBODY, [at(9)], (at(9),), id="the store knows nobody, but somebody runs"),
        pytest.param(
            data(97),
            Facts(FORMED, nodes=ALL, present={"b": here("stopped", 2, 95), "c": here("stopped", 3, 95)}),
            [at(9)],
            (at(9),),
            id="all have published, but somebody else runs",
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
    assert decision.expect == {"present/b": 10, "present/c": 11, "bootstrap": 0, "cluster": 4}


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
    assert decision.expect == {"present/b": 10, "present/c": 11, "bootstrap": 9, "cluster": 4}


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
                    facts = Facts(cluster, holder, {}, present)
                    decision = decide("a", 3, data(1), facts, live)
                    assert not (isinstance(decision, Bootstrap) and decision.first), (facts, live)
