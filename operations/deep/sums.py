"""Sums over the rows of a table: which columns, in which pieces, as SQL text.

Owned here: pure text. A piece is a range of the table's key, open at an end that is None; its sum is the
number of its rows and the sum of a 64-bit hash of each, so that it depends neither on the rows' order nor on
how often one is there by chance only. Left to others: asking for them (rows.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

BROKEN = 1 << 127
"""Added for a row that has no hash: more than all the hashes of a table come to."""

_NUMBERS = frozenset({"tinyint", "smallint", "mediumint", "int", "bigint", "decimal", "year"})
_TIMES = frozenset({"date", "datetime", "timestamp", "time"})
_ADDRESSES = frozenset({"uuid", "inet4", "inet6"})
_TEXTS = frozenset({"char", "varchar"})
_BYTES = frozenset({"binary", "varbinary"})
_BY_NUMBER = frozenset({"enum", "set", "bit"})
_LONG = 1024  # bytes of a column's value from which on its own hash stands for it


@dataclass(frozen=True)
class Column:
    """A column: its name, type (`DATA_TYPE`), character set, and how many bytes a value may have."""

    name: str
    kind: str
    charset: str = ""
    octets: int = 0

    @property
    def orders(self) -> bool:
        """Whether a literal of one of its values compares with it as its index is sorted."""
        return self.kind in _NUMBERS | _TIMES | _ADDRESSES | _TEXTS | _BYTES

    def hashed(self) -> str:
        """An expression that is another text for every other value, NULL included."""
        name = quoted(self.name)
        if self.kind in _BY_NUMBER:
            return f"IFNULL({name} + 0, 'N')"
        if self.kind == "float":  # as text it loses digits
            return f"IFNULL(CAST({name} AS DOUBLE), 'N')"
        if self.kind in _NUMBERS | _TIMES | {"double"}:
            return f"IFNULL({name}, 'N')"
        if self.kind in _ADDRESSES:
            return f"IFNULL(CAST({name} AS CHAR), 'N')"
        if self.kind in _TEXTS | _BYTES and self.octets <= _LONG:
            return f"QUOTE(CAST({name} AS BINARY))"
        return f"IFNULL(MD5({name}), 'N')"

    def told(self) -> str:
        """An expression whose value `literal` takes."""
        name = quoted(self.name)
        if self.kind in _TEXTS | _BYTES:
            return f"HEX({name})"
        return f"CAST({name} AS CHAR)"

    def literal(self, told: str) -> str:
        """SQL for a value that `told` has told."""
        if self.kind in _TEXTS:
            return f"_{self.charset} X'{told}'"
        if self.kind in _BYTES:
            return f"X'{told}'"
        return told if self.kind in _NUMBERS else f"'{told}'"

    def shown(self, told: str) -> str:
        """The value for people."""
        if self.kind in _TEXTS:
            text = bytes.fromhex(told).decode("utf-8", errors="replace")
            return "'" + text.replace("'", "''") + "'"
        return self.literal(told)


@dataclass(frozen=True)
class Table:
    """A table as it is compared.

    Attributes:
        schema, name, engine: of the table.
        columns: those that are stored.
        key: columns of the index by which it is read piece by piece; empty if none will do.
        index: that index's name.
        history: whether it keeps its former rows (system versioning), which are compared, too.
        estimate: roughly how many rows it has.
        definition: all of its definition, or a hash of it: another one after every change.
    """

    schema: str
    name: str
    engine: str
    columns: tuple[Column, ...]
    key: tuple[Column, ...] = ()
    index: str = ""
    history: bool = False
    estimate: int = 0
    definition: str = ""

    @property
    def title(self) -> str:
        """For people, and for telling tables apart."""
        return f"{self.schema}.{self.name}"

    @property
    def source(self) -> str:
        """What a query reads from."""
        text = f"{quoted(self.schema)}.{quoted(self.name)}"
        if self.history:
            text += " FOR SYSTEM_TIME ALL"
        return f"{text} FORCE INDEX ({quoted(self.index)})" if self.key else text

    def sum_of(self, piece: Piece) -> str:
        """A query for count and sum of a piece."""
        row = ", ".join(column.hashed() for column in self.columns)
        # MD5 as 64 bits: added up as decimals, so that nothing overflows and nothing is rounded.
        value = f"CAST(CONV(LEFT(MD5(CONCAT_WS(',', {row})), 16), 16, 10) AS UNSIGNED)"
        total = f"IFNULL(SUM(IFNULL({value}, {BROKEN})), 0)"
        return f"SELECT COUNT(*), {total} FROM {self.source}{self._where(piece)}"

    def end_of(self, piece: Piece, rows: int) -> str:
        """A query for the key of the last of the first `rows` rows of a piece; no row if it has less."""
        told = ", ".join(column.told() for column in self.key)
        order = ", ".join(quoted(column.name) for column in self.key)
        return f"SELECT {told} FROM {self.source}{self._where(piece)} ORDER BY {order} LIMIT {rows - 1}, 1"

    def _where(self, piece: Piece) -> str:
        parts = []
        if piece.after is not None:
            parts.append(self._beyond(piece.after, ">"))
        if piece.upto is not None:
            parts.append(self._beyond(piece.upto, "<="))
        return f" WHERE {' AND '.join(parts)}" if parts else ""

    def _beyond(self, values: Sequence[str], operator: str) -> str:
        """The key compared with values, column by column: `>`, or `<=`.

        The condition on the first column alone stands in front, for the optimizer.
        """
        strict = operator[0]
        names = [quoted(column.name) for column in self.key]
        literals = [column.literal(value) for column, value in zip(self.key, values, strict=True)]
        text = f"{names[-1]} {operator} {literals[-1]}"
        for name, literal in zip(names[-2::-1], literals[-2::-1], strict=True):
            text = f"({name} {strict} {literal} OR ({name} = {literal} AND {text}))"
        return text if len(names) == 1 else f"({names[0]} {strict}= {literals[0]} AND {text})"

    def shown(self, piece: Piece) -> str:
        """A piece for people, e.g. `id > 4 and id <= 7`."""
        parts = []
        for values, operator in ((piece.after, ">"), (piece.upto, "<=")):
            if values is None:
                continue
            names = ", ".join(column.name for column in self.key)
            told = ", ".join(column.shown(value) for column, value in zip(self.key, values, strict=True))
            parts.append(
                f"{names} {operator} {told}" if len(self.key) == 1 else f"({names}) {operator} ({told})"
            )
        return " and ".join(parts) or "the whole table"


@dataclass(frozen=True)
class Piece:
    """Rows after one key and up to another one (as `Column.told` tells them); None is no limit."""

    after: tuple[str, ...] | None = None
    upto: tuple[str, ...] | None = None


def usable_key(indexes: Sequence[tuple[str, Sequence[Column]]]) -> tuple[str, tuple[Column, ...]]:
    """The index to read by: the primary key if its columns will do, else the narrowest unique one.

    Args:
        indexes: name and columns of each unique index none of whose columns may be NULL.
    """
    good = [(name, tuple(columns)) for name, columns in indexes if all(each.orders for each in columns)]
    good.sort(key=lambda each: (each[0] != "PRIMARY", len(each[1]), each[0]))
    return good[0] if good else ("", ())


def quoted(name: str) -> str:
    """A name in SQL."""
    return "`" + name.replace("`", "``") + "`"


def text(value: str) -> str:
    """A text in SQL, whatever is in it."""
    return f"_utf8mb4 X'{value.encode().hex()}'" if value else "''"
