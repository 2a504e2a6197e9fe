"""Whether the cluster has what it has promised: pure functions over what clients said and what nodes hold.

Owns: the rules. Leaves to others: how it was asked (`copies.py`), what is made of a verdict (`one_run.py`).

The rules, on every node: each acknowledged write is there, once, as it was written. A write whose answer was
lost is there once or not at all, and the same on all nodes. An account's balance is the sum of what was moved
to it, and each move went on from where the one before ended. All nodes have one UUID and one epoch. What
cannot be judged is a finding, too.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum

from chaos.client import body
from chaos.journal import Key, Said, way

SHOWN = 5
"""Writes that a finding names."""


class Kind(Enum):
    """What a finding is about."""

    LOST = "lost"
    TWICE = "twice"
    DAMAGED = "damaged"
    UNKNOWN = "made up"
    DIFFERENT = "nodes differ"
    BALANCE = "balance"
    SPLIT = "split"
    BROKEN = "not well again"
    PAUSED = "writes stopped"
    UNJUDGED = "cannot be judged"


@dataclass(frozen=True)
class Finding:
    """Something that is wrong. count: writes that it is about."""

    kind: Kind
    text: str
    count: int = 0


@dataclass(frozen=True)
class Move:
    """A row of `chaos_move`: so much was put onto an account, whose balance was `was`."""

    account: int
    was: int
    delta: int


@dataclass(frozen=True)
class Copy:
    """What one node holds.

    Attributes:
        rows: number of rows by what stands in them: checker, number, body.
        moves: the moves of each write. balances: by account.
        uuid: the cluster's, as the node says it. epoch: of its data. wanted: the epoch in the store.
    """

    rows: Counter[tuple[str, int, str]] = field(default_factory=Counter)
    moves: Mapping[Key, Sequence[Move]] = field(default_factory=dict)
    balances: Mapping[int, int] = field(default_factory=dict)
    uuid: str = ""
    epoch: str = ""
    wanted: str = ""


def judge(said: Said, copies: Mapping[str, Copy], hosts: Collection[str], uuid: str) -> list[Finding]:
    """All that is wrong, the worst first.

    Args:
        copies: by host. hosts: those that must have one. uuid: the cluster's before anything happened.
    """
    found = [*_unjudged(said, copies, hosts)]
    for host, copy in sorted(copies.items()):
        found += [*_rows(said, host, copy), *_moves(said, host, copy), *_balances(host, copy)]
    found += [*_same(copies), *_one(copies, uuid)]
    order = list(Kind)
    return sorted(found, key=lambda each: order.index(each.kind))


def lost(said: Said, copies: Mapping[str, Copy]) -> int:
    """Acknowledged writes that a node, or more, does not have."""
    gone: set[Key] = set()
    for copy in copies.values():
        gone |= said.acked.keys() - _held(copy)
    return len(gone)


def _held(copy: Copy) -> set[Key]:
    return {(checker, number) for checker, number, _ in copy.rows} | {*copy.moves}


def _unjudged(said: Said, copies: Mapping[str, Copy], hosts: Collection[str]) -> list[Finding]:
    unread = [host for host in hosts if host not in copies]
    empty = [host for host in sorted(copies) if not copies[host].balances]
    found = [Finding(Kind.UNJUDGED, f"{host}: nobody has read what it holds") for host in unread]
    found += [Finding(Kind.UNJUDGED, f"{host}: the accounts are not there") for host in empty]
    if not said.acked:
        found.append(Finding(Kind.UNJUDGED, "no write was acknowledged"))
    return found


def _rows(said: Said, host: str, copy: Copy) -> list[Finding]:
    """Rows and moves that must be there are, once and whole, and none that nobody has written."""
    found = []
    held = _held(copy)
    if missing := sorted(said.acked.keys() - held):
        found.append(_named(Kind.LOST, host, "acknowledged writes are not there", missing))
    numbers = Counter[Key]()
    for (checker, number, _), count in copy.rows.items():
        numbers[checker, number] += count
    numbers.update({key: len(moves) for key, moves in copy.moves.items()})
    if several := sorted(key for key, count in numbers.items() if count > 1):
        found.append(_named(Kind.TWICE, host, "writes are there more than once", several))
    damaged = sorted((checker, n) for checker, n, text in copy.rows if text != body(checker, n))
    if damaged:
        found.append(_named(Kind.DAMAGED, host, "rows are not as they were written", damaged))
    # A client's last word may not have arrived, and be the first one of its life: so a number that nobody
    # has heard of may be there, and a life; a way that nobody has heard of may not.
    known = {way(checker) for checker, _ in said.tried}
    if strange := sorted(key for key in held if way(key[0]) not in known):
        found.append(_named(Kind.UNKNOWN, host, "rows are there that no client has written", strange))
    return found


def _moves(said: Said, host: str, copy: Copy) -> list[Finding]:
    """An acknowledged move is there as the client was told."""
    other = sorted(
        key
        for key, told in said.acked.items()
        if told and key in copy.moves and Move(*told) not in copy.moves[key]
    )
    return [_named(Kind.DAMAGED, host, "moves are not as they were acknowledged", other)] if other else []


def _balances(host: str, copy: Copy) -> list[Finding]:
    """Each account: every move went on from where the one before ended, and the balance from the last one."""
    found = []
    accounts: dict[int, list[Move]] = {account: [] for account in copy.balances}
    for moves in copy.moves.values():
        for move in moves:
            accounts.setdefault(move.account, []).append(move)
    for account, moves in sorted(accounts.items()):
        reached = 0
        for move in sorted(moves, key=lambda each: each.was):
            if move.was != reached:
                text = f"account {account}: a move went on from {move.was}, where {reached} had been reached"
                found.append(Finding(Kind.BALANCE, f"{host}: {text}: an update was lost", 1))
                break
            reached += move.delta
        if (total := sum(move.delta for move in moves)) != copy.balances.get(account):
            text = f"account {account} has {copy.balances.get(account)}, and {total} was moved to it"
            found.append(Finding(Kind.BALANCE, f"{host}: {text}", 1))
    return found


def _same(copies: Mapping[str, Copy]) -> list[Finding]:
    """All copies are the same, also of what was not acknowledged."""
    if len(copies) < 2:
        return []
    (first, one), *others = sorted(copies.items())
    found = []
    for host, copy in others:
        rows = sorted({(c, n) for c, n, _ in (one.rows - copy.rows) + (copy.rows - one.rows)})
        keys = {*one.moves, *copy.moves}
        moves = sorted(key for key in keys if _of(one, key) != _of(copy, key))
        if rows or moves or one.balances != copy.balances:
            what = f"holds something else than {first}"
            found.append(_named(Kind.DIFFERENT, host, what, [*rows, *moves]))
    return found


def _of(copy: Copy, key: Key) -> list[Move]:
    return sorted(copy.moves.get(key, ()), key=lambda move: (move.account, move.was, move.delta))


def _one(copies: Mapping[str, Copy], uuid: str) -> list[Finding]:
    """One UUID, the one of before, and one epoch."""
    found = []
    uuids = {host: copy.uuid for host, copy in sorted(copies.items())}
    if copies and {*uuids.values()} != {uuid}:
        found.append(Finding(Kind.SPLIT, f"the cluster was {uuid}, and nodes are of {uuids}"))
    epochs = {host: copy.epoch for host, copy in sorted(copies.items())}
    wanted = {copy.wanted for copy in copies.values()}
    if copies and ({*epochs.values()} != wanted or len(wanted) != 1):
        said = ", ".join(f"{host} {epoch or 'the first'}" for host, epoch in epochs.items())
        found.append(Finding(Kind.SPLIT, f"epochs: {said}; the store says {sorted(wanted)}"))
    return found


def _named(kind: Kind, host: str, what: str, keys: Sequence[Key]) -> Finding:
    shown = ", ".join(f"{checker} {number}" for checker, number in keys[:SHOWN])
    more = f" and {len(keys) - SHOWN} more" if len(keys) > SHOWN else ""
    ways = ", ".join(sorted({way(checker) for checker, _ in keys}))
    named = f": {shown}{more} (of {ways})" if keys else ""
    return Finding(kind, f"{host}: {len(keys)} {what}{named}", len(keys))
