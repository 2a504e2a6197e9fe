"""The draw is a function of its seed and nothing else."""

from __future__ import annotations

import random

import pytest

from chaos import plan
from chaos.fault import Facts, Fault, Whom, strike
from chaos.faults import FAULTS
from chaos.faults.ups import NAME
from chaos.plan import Run
from harness.lab_cluster import HOSTS

pytestmark = pytest.mark.unit

ALL = list(FAULTS.values())


def test_each_fault_comes_once_before_any_comes_again() -> None:
    runs = plan.singles(ALL, 2, 1)
    first, second = runs[: len(ALL)], runs[len(ALL) :]
    assert {run.faults for run in first} == {run.faults for run in second} == {(name,) for name in FAULTS}
    assert {run.number for run in first} == {1}
    assert [run.faults for run in first] != [run.faults for run in second]


def test_pairs_are_different_and_of_two_faults() -> None:
    runs = plan.pairs(ALL, 200, 1)
    assert len({frozenset(run.faults) for run in runs}) == 200
    assert all(len({*run.faults}) == 2 for run in runs)


def test_crashes_with_partitions_are_always_among_the_pairs() -> None:
    assert all(name in FAULTS for pair in plan.ALWAYS for name in pair)
    for seed in (1, 2):
        assert [run.faults for run in plan.pairs(ALL, 10, seed)][: len(plan.ALWAYS)] == [*plan.ALWAYS]
    assert not any(frozenset(run.faults) == frozenset(plan.ALWAYS[0]) for run in plan.pairs(ALL, 900, 1)[4:])


def test_no_more_pairs_than_there_are() -> None:
    assert len(plan.pairs(ALL[:4], 100, 1)) == 6


def test_the_same_seed_draws_the_same_and_another_one_other_runs() -> None:
    for draw in (plan.singles, plan.pairs):
        assert draw(ALL, 20, 7) == draw(ALL, 20, 7)
        assert draw(ALL, 20, 7) != draw(ALL, 20, 8)
    run = Run(("disk slow", "host killed"), 1)
    assert run.draw(7).random() == run.draw(7).random()
    assert run.draw(7).random() != run.draw(8).random()
    assert run.draw(7).random() != Run(("disk slow", "host killed"), 2).draw(7).random()


def test_a_run_of_up_is_killed_in_the_middle_of_each_other_fault() -> None:
    runs = plan.in_the_middle(ALL, NAME)
    assert {run.faults for run in runs} == {(name, NAME) for name in FAULTS if name != NAME}


def test_the_share_for_ordinary_tests_is_a_tenth_of_brief_faults_alone() -> None:
    runs = plan.share(ALL, 10, 14)
    assert len(runs) == min(-(-len(ALL) // 10), sum(fault.brief for fault in ALL))
    assert all(FAULTS[name].brief for run in runs for name in run.faults)
    assert runs == plan.share(ALL, 10, 14)
    assert all(len(run.faults) == 1 for run in runs)


def test_what_has_a_result_is_not_run_again() -> None:
    runs = plan.singles(ALL, 1, 1)
    assert plan.remaining(runs, {runs[0].id, "something else"}) == runs[1:]


@pytest.mark.parametrize("fault", ALL, ids=list(FAULTS))
def test_whom_a_fault_strikes_is_drawn_and_fits_it(fault: Fault) -> None:
    facts = Facts(writer="galera-2", leader="galera-3")
    seen = {strike(fault, facts, random.Random(seed)).hosts for seed in range(60)}
    single = {(host,) for host in HOSTS}
    assert (
        seen
        == {
            Whom.ANY: single,
            Whom.READER: single - {("galera-2",)},
            Whom.TWO: {HOSTS[:2], HOSTS[1:], (HOSTS[0], HOSTS[2])},
            Whom.NOBODY: {()},
            Whom.WRITER: {("galera-2",)},
            Whom.LEADER: {("galera-3",)},
            Whom.ALL: {HOSTS},
        }[fault.whom]
    )
    struck = strike(fault, facts, random.Random(1))
    assert {*struck.hosts, *struck.others} == {*HOSTS}
