"""Whatever the cluster has not kept is found by the judgement; what it may do is not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import pytest

from chaos import judge
from chaos.client import body
from chaos.journal import Said
from chaos.judge import Copy, Kind, Move

pytestmark = pytest.mark.unit

HOSTS = ("galera-1", "galera-2", "galera-3")
WRITER, ACCOUNT = "writer@galera-2/1", "account@galera-1/1"
MOVES = {1: Move(0, 0, 5), 2: Move(0, 5, 3), 3: Move(1, 0, 9)}


def said() -> Said:
    """Five rows and three moves acknowledged; the answer to a sixth row was lost."""
    told = Said()
    for number in range(1, 7):
        told.take(float(number), ["try", WRITER, number])
        if number < 6:
            told.take(number + 0.1, ["ack", WRITER, number])
    for number, move in MOVES.items():
        told.take(float(number), ["try", ACCOUNT, number])
        told.take(number + 0.1, ["ack", ACCOUNT, number, move.account, move.was, move.delta])
    return told


def row(number: int, checker: str = WRITER, text: str | None = None) -> tuple[str, int, str]:
    return checker, number, text if text is not None else body(checker, number)


def copy(rows: int = 5) -> Copy:
    return Copy(
        Counter({row(number): 1 for number in range(1, rows + 1)}),
        {(ACCOUNT, number): [move] for number, move in MOVES.items()},
        {0: 8, 1: 9},
        uuid="u",
        epoch="",
        wanted="",
    )


def kinds(copies: dict[str, Copy], told: Said | None = None) -> set[Kind]:
    return {finding.kind for finding in judge.judge(told or said(), copies, HOSTS, "u")}


@pytest.mark.parametrize("rows", [5, 6], ids=["it is not there", "it is there"])
def test_a_write_whose_answer_was_lost_may_be_there_or_not(rows: int) -> None:
    copies = {host: copy(rows) for host in HOSTS}
    assert judge.judge(said(), copies, HOSTS, "u") == []
    assert judge.lost(said(), copies) == 0


def test_a_client_that_died_may_have_written_more_than_it_could_say() -> None:
    extra = replace(copy(), rows=copy().rows + Counter({row(7): 1}))
    assert kinds(dict.fromkeys(HOSTS, extra)) == set()


def without(number: int) -> Callable[[Copy], Copy]:
    return lambda one: replace(one, rows=one.rows - Counter({row(number): 1}))


def with_rows(*more: tuple[str, int, str]) -> Callable[[Copy], Copy]:
    return lambda one: replace(one, rows=one.rows + Counter(more))


def changed(number: int) -> Callable[[Copy], Copy]:
    return lambda one: with_rows(row(number, text="x"))(without(number)(one))


def with_move(number: int, *moves: Move) -> Callable[[Copy], Copy]:
    return lambda one: replace(one, moves={**one.moves, (ACCOUNT, number): list(moves)})


def without_move(one: Copy) -> Copy:
    return replace(one, moves={key: moves for key, moves in one.moves.items() if key[1] != 3})


def balance(account: int, value: int) -> Callable[[Copy], Copy]:
    return lambda one: replace(one, balances={**one.balances, account: value})


def lost_update(one: Copy) -> Copy:
    """Two moves that began from the same balance; the second has overwritten what the first had made."""
    moves = {(ACCOUNT, 1): [Move(0, 0, 5)], (ACCOUNT, 2): [Move(0, 0, 3)], (ACCOUNT, 3): [Move(1, 0, 9)]}
    return replace(one, moves=moves, balances={0: 3, 1: 9})


def hidden_update(one: Copy) -> Copy:
    """The same, with a balance that fits the sum: only the chain of moves shows it."""
    return replace(lost_update(one), balances={0: 8, 1: 9})


BROKEN: list[tuple[str, Callable[[Copy], Copy], tuple[str, ...], set[Kind]]] = [
    ("an acknowledged row lost on one node", without(3), HOSTS[:1], {Kind.LOST, Kind.DIFFERENT}),
    ("an acknowledged row lost on all nodes", without(3), HOSTS, {Kind.LOST}),
    ("a row twice on all nodes", with_rows(row(2)), HOSTS, {Kind.TWICE}),
    ("a row twice on one node", with_rows(row(2)), HOSTS[2:], {Kind.TWICE, Kind.DIFFERENT}),
    ("a write without an answer twice", with_rows(row(6), row(6)), HOSTS, {Kind.TWICE}),
    ("a write without an answer on one node", with_rows(row(6)), HOSTS[1:2], {Kind.DIFFERENT}),
    (
        "a row that was changed",
        lambda one: with_rows(row(4, text="x"))(without(4)(one)),
        HOSTS,
        {Kind.DAMAGED},
    ),
    ("a row of nobody", with_rows(row(1, "writer@galera-9/1")), HOSTS, {Kind.UNKNOWN}),
    ("a move lost on all nodes", without_move, HOSTS, {Kind.LOST, Kind.BALANCE}),
    ("a move twice", with_move(3, MOVES[3], MOVES[3]), HOSTS, {Kind.TWICE, Kind.BALANCE}),
    ("a move of another amount", with_move(2, Move(0, 5, 2)), HOSTS, {Kind.DAMAGED, Kind.BALANCE}),
    ("a changed balance", balance(0, 7), HOSTS, {Kind.BALANCE}),
    ("a changed balance on one node", balance(1, 10), HOSTS[:1], {Kind.BALANCE, Kind.DIFFERENT}),
    ("a lost update", lost_update, HOSTS, {Kind.DAMAGED, Kind.BALANCE}),
    ("a lost update with a fitting sum", hidden_update, HOSTS, {Kind.DAMAGED, Kind.BALANCE}),
    ("another UUID on one node", lambda one: replace(one, uuid="v"), HOSTS[:1], {Kind.SPLIT}),
    ("another UUID on all nodes", lambda one: replace(one, uuid="v"), HOSTS, {Kind.SPLIT}),
    ("another epoch on one node", lambda one: replace(one, epoch="1-a"), HOSTS[1:2], {Kind.SPLIT}),
    ("nodes behind the epoch", lambda one: replace(one, wanted="1-a"), HOSTS, {Kind.SPLIT}),
    ("no accounts", lambda one: replace(one, balances={}), HOSTS, {Kind.UNJUDGED, Kind.BALANCE}),
]


@pytest.mark.parametrize(("how", "hosts", "found"), [case[1:] for case in BROKEN], ids=[c[0] for c in BROKEN])
def test_each_broken_promise_is_found(
    how: Callable[[Copy], Copy], hosts: tuple[str, ...], found: set[Kind]
) -> None:
    copies = {host: how(copy()) if host in hosts else copy() for host in HOSTS}
    assert kinds(copies) == found


def test_the_new_epoch_of_a_recovery_is_one_epoch() -> None:
    assert kinds(dict.fromkeys(HOSTS, replace(copy(), epoch="1-a", wanted="1-a"))) == set()


def test_a_node_that_nobody_could_read_is_a_failure() -> None:
    assert kinds({host: copy() for host in HOSTS[:2]}) == {Kind.UNJUDGED}
    assert kinds({}) == {Kind.UNJUDGED}


def test_a_run_without_acknowledged_writes_is_a_failure() -> None:
    empty = Copy(Counter(), {}, {0: 0}, "u", "", "")
    assert kinds(dict.fromkeys(HOSTS, empty), Said()) == {Kind.UNJUDGED}


def test_what_is_lost_is_counted_once_and_named_with_its_way() -> None:
    copies = {HOSTS[0]: without(3)(copy()), HOSTS[1]: without(3)(without(4)(copy())), HOSTS[2]: copy()}
    assert judge.lost(said(), copies) == 2
    worst = judge.judge(said(), copies, HOSTS, "u")[0]
    assert worst.kind is Kind.LOST
    assert worst.text == (
        "galera-1: 1 acknowledged writes are not there: writer@galera-2/1 3 (of writer@galera-2)"
    )


def test_of_many_lost_writes_some_are_named() -> None:
    none = replace(copy(), rows=Counter())
    worst = judge.judge(said(), {**{host: copy() for host in HOSTS}, HOSTS[0]: none}, HOSTS, "u")[0]
    assert worst.count == 5
    bare = replace(none, moves={})
    worst = judge.judge(said(), {**{host: copy() for host in HOSTS}, HOSTS[0]: bare}, HOSTS, "u")[0]
    assert "8 acknowledged writes are not there" in worst.text
    assert "and 3 more" in worst.text


def test_a_client_that_died_as_it_began_may_have_written_without_a_word() -> None:
    """What it said of its first write was on its way when its host lost its power."""
    extra = replace(copy(), rows=copy().rows + Counter({row(1, "writer@galera-2/2"): 1}))
    assert kinds(dict.fromkeys(HOSTS, extra)) == set()
