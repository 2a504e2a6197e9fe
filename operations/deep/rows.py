"""The rows of one table, compared piece by piece at a position that is common to all nodes.

Owned here: the pieces, how large they are, and narrowing a difference down. Left to others: the snapshots
(one_position.py), the SQL (sums.py), which tables there are (check.py).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from operations.deep.one_position import OnePosition
from operations.deep.sums import BROKEN, Piece, Table
from operations.errors import OperationsError

ROWS = 1000
"""Rows of a table's first piece."""
MOST_ROWS = 1_000_000
SECONDS = 0.5
"""What the reading of a piece is to take on the slowest node; pieces grow and shrink with it."""

Sum = tuple[int, int]
"""Rows, and the sum of their hashes."""


Groups = tuple[tuple[str, ...], ...]
"""Nodes with the same content together, the largest group first."""


@dataclass
class Difference:
    """Rows that are not the same everywhere.

    Attributes:
        shown: the first of them for people, by their key. sums: of these, by node.
        pieces: how many pieces differ in this way.
    """

    shown: str
    sums: Mapping[str, Sum]
    pieces: int = 1


@dataclass
class Compared:
    """What came of a table.

    Attributes:
        rows: of the first node. pieces: how many were compared.
        different: by which nodes agree with one another: the first difference, narrowed down.
        positions: first and last of those compared at.
    """

    table: Table
    rows: int = 0
    pieces: int = 0
    different: dict[Groups, Difference] = field(default_factory=dict)
    positions: tuple[int, int] = (0, 0)


Progress = Callable[[Compared], None]


async def compare(table: Table, at: OnePosition, progress: Progress) -> Compared:
    """Compare a table. Raises SqlError if its definition changes meanwhile, SessionLost if a node goes."""
    done = Compared(table)
    after: tuple[str, ...] | None = None
    rows = ROWS
    while True:
        await at.calm()
        await at.snapshot()
        begun = time.monotonic()
        upto = await _end(at, table, Piece(after), rows) if table.key else None
        piece = Piece(after, upto)
        sums = await _sums(at, table, piece)
        took = time.monotonic() - begun
        _note(done, sums, at)
        if len(set(sums.values())) > 1:
            apart = groups(sums)
            if apart in done.different:
                done.different[apart].pieces += 1
            else:
                done.different[apart] = await _narrowed(at, table, piece, sums)
        progress(done)
        if upto is None:
            return done
        after = upto
        # By half or double at the most: one slow answer says little.
        rows = max(1, min(MOST_ROWS, int(rows * min(2.0, max(0.5, SECONDS / max(took, 0.001))))))


def _note(done: Compared, sums: Mapping[str, Sum], at: OnePosition) -> None:
    done.rows += next(iter(sums.values()))[0]
    done.pieces += 1
    done.positions = (done.positions[0] or at.position, at.position)


async def _end(at: OnePosition, table: Table, piece: Piece, rows: int) -> tuple[str, ...] | None:
    """Where the first `rows` rows of a piece end on the first node; None where it has less."""
    first = at.nodes[0]
    answer = await at.ask_each({first: [table.end_of(piece, rows)]})
    found = answer[first][0]
    return found[0] if found else None


async def _sums(at: OnePosition, table: Table, piece: Piece) -> dict[str, Sum]:
    answers = await at.ask_all(table.sum_of(piece))
    sums = {node: (int(rows[0][0]), int(rows[0][1])) for node, [rows] in answers.items()}
    if broken := [node for node, (_, value) in sums.items() if value >= BROKEN]:
        raise OperationsError(
            f"{table.title} has a row that MariaDB can't hash on {', '.join(broken)} ({table.shown(piece)}): "
            "it is longer than max_allowed_packet. Remedy: a larger max_allowed_packet in galera.config"
        )
    return sums


async def _narrowed(at: OnePosition, table: Table, piece: Piece, sums: Mapping[str, Sum]) -> Difference:
    """The first rows of a piece that differ, as few as can be told: all of it from the same snapshots."""
    while table.key and (count := max(rows for rows, _ in sums.values())) > 1:
        largest = next(node for node, (rows, _) in sums.items() if rows == count)
        answer = await at.ask_each({largest: [table.end_of(piece, count // 2)]})
        [middle] = answer[largest][0]
        if middle == piece.upto:
            break  # many rows of one key: former ones of a table that keeps them
        lower, upper = Piece(piece.after, middle), Piece(middle, piece.upto)
        halves = await _sums(at, table, lower)
        if len(set(halves.values())) > 1:
            piece, sums = lower, halves
        else:
            piece, sums = upper, await _sums(at, table, upper)
    return Difference(table.shown(piece), dict(sums))


def groups(contents: Mapping[str, object]) -> Groups:
    """Nodes with the same content together, the largest group first."""
    by_content: dict[object, list[str]] = {}
    for node, content in contents.items():
        by_content.setdefault(content, []).append(node)
    return tuple(sorted((tuple(nodes) for nodes in by_content.values()), key=lambda each: (-len(each), each)))
