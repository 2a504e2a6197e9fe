"""The logs of one timeline as a chain: how far it goes without a gap, and what comes next. Pure functions.

Leaves to others: where the spans come from, the bucket (`logs`) or a node's own files (`own_logs`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from .layout import Span


@dataclass(frozen=True)
class Chain:
    """Logs in their order. `first` and `last` are None without any; `gaps`: what is in none of them."""

    first: int | None = None
    last: int | None = None
    gaps: tuple[Span, ...] = ()


def chain(spans: Iterable[Span]) -> Chain:
    """Of logs in any order, which may overlap."""
    first = last = None
    gaps: list[Span] = []
    for span in sorted(spans):
        if last is None:
            first, last = span.first, span.last
            continue
        if span.first > last + 1:
            gaps.append(Span(last + 1, span.first - 1))
        last = max(last, span.last)
    return Chain(first, last, tuple(gaps))


def missing(first: int | None, gaps: Iterable[Span]) -> int:
    """The last number that is in no log: a base must have come so far for logs to go on from it.

    `first`: of the oldest log; what was before it is in none.
    """
    return max([first - 1 if first else 0, *(gap.last for gap in gaps)])


@dataclass(frozen=True)
class Piece:
    """A closed binary log of the node: its file, and the domain's last number at its end; 0 for none yet."""

    file: str
    until: int


def wanted(pieces: Iterable[Piece], last: int | None) -> list[Piece]:
    """Those of a node's closed logs, in their order, that have something which is not archived."""
    return [piece for piece in pieces if piece.until > (last or 0)]


def covers(oldest: int | None, last: int | None) -> bool:
    """Whether a node can go on with the archive without a gap.

    Args:
        oldest: the last number before the oldest log that the node has; None: it has all from the beginning,
            as far as it knows.
        last: archived last; None: nothing is.
    """
    return last is None or oldest is None or oldest <= last


def removable(pieces: Iterable[Piece], last: int | None) -> str | None:
    """The first closed log, in their order, that must stay; None if none may go, or nothing is archived.

    `PURGE BINARY LOGS TO` it removes those before. A log may go once all in it is archived; the newest closed
    one stays.
    """
    if last is None:
        return None
    kept = before = None
    for piece in pieces:
        before, kept = kept, piece.file
        if piece.until > last:
            break
    return kept if before is not None else None
