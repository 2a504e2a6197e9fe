"""What a database consists of besides rows: tables, views, triggers, routines, events, accounts, privileges.

Owned here: the questions to one node, and the answers as objects that can be compared. Left to others: asking
(check.py), rows of tables (rows.py).

What differs between nodes by nature is left out: counters of AUTO_INCREMENT, statistics, an event's last run.
"""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from operations.deep.one_position import PREFIX
from operations.deep.sessions import Answer, Rows, SqlError
from operations.deep.sums import Column, Piece, Table, quoted, text, usable_key

SYSTEM = {
    "accounts and privileges": (
        *("global_priv", "db", "tables_priv", "columns_priv", "procs_priv", "proxies_priv", "roles_mapping"),
    ),
    "functions, plugins and servers": ("func", "plugin", "servers"),
    "time zones": ("time_zone", "time_zone_name", "time_zone_transition", "time_zone_transition_type"),
}
"""Tables of the schema mysql that must be equal, by what they hold. They have no snapshots."""

_SKIPPED = ("information_schema", "performance_schema", "mysql")
_GONE = frozenset({1049, 1051, 1109, 1146, 1305, 1360, 1539, 4091})
"""Errors of a statement that shows a schema, table, view, routine, trigger or event which is not there."""
_ELSEWHERE = frozenset({"MRG_MyISAM", "FEDERATED", "CONNECT", "SPIDER", "BLACKHOLE", "S3"})
"""Engines whose tables hold no rows of their own."""


@dataclass(frozen=True)
class Thing:
    """An object: its kind, its name for people, and a statement that shows all of it."""

    kind: str
    name: str
    show: str


@dataclass(frozen=True)
class Definitions:
    """All objects of one node.

    Attributes:
        shown: what each object's statement shows, made comparable.
        tables: those whose rows can be compared at a position, by title.
        loose: those whose rows are not replicated, by title.
    """

    shown: Mapping[Thing, str] = field(default_factory=dict)
    tables: Mapping[str, Table] = field(default_factory=dict)
    loose: Mapping[str, Table] = field(default_factory=dict)


def _not_in(column: str) -> str:
    names = ", ".join(f"'{name}'" for name in _SKIPPED)
    return f"{column} NOT IN ({names}) AND {column} NOT LIKE '{PREFIX}%'"


LIST = (
    f"SELECT SCHEMA_NAME FROM information_schema.SCHEMATA WHERE {_not_in('SCHEMA_NAME')}",
    "SELECT TABLE_SCHEMA, TABLE_NAME, TABLE_TYPE, IFNULL(ENGINE, ''), IFNULL(TABLE_ROWS, 0) "
    f"FROM information_schema.TABLES WHERE {_not_in('TABLE_SCHEMA')} AND TABLE_TYPE NOT LIKE '%TEMPORARY'",
    "SELECT TABLE_SCHEMA, TABLE_NAME, COLUMN_NAME, DATA_TYPE, IFNULL(CHARACTER_SET_NAME, ''), "
    "IFNULL(CHARACTER_OCTET_LENGTH, 0), EXTRA FROM information_schema.COLUMNS "
    f"WHERE {_not_in('TABLE_SCHEMA')} ORDER BY TABLE_SCHEMA, TABLE_NAME, ORDINAL_POSITION",
    "SELECT TABLE_SCHEMA, TABLE_NAME, INDEX_NAME, IFNULL(COLUMN_NAME, ''), IFNULL(SUB_PART, ''), NULLABLE, "
    "INDEX_TYPE FROM information_schema.STATISTICS "
    f"WHERE NON_UNIQUE = 0 AND {_not_in('TABLE_SCHEMA')} "
    "ORDER BY TABLE_SCHEMA, TABLE_NAME, INDEX_NAME, SEQ_IN_INDEX",
    f"SELECT TRIGGER_SCHEMA, TRIGGER_NAME FROM information_schema.TRIGGERS WHERE {_not_in('TRIGGER_SCHEMA')}",
    "SELECT ROUTINE_SCHEMA, ROUTINE_NAME, ROUTINE_TYPE FROM information_schema.ROUTINES "
    f"WHERE {_not_in('ROUTINE_SCHEMA')}",
    f"SELECT EVENT_SCHEMA, EVENT_NAME FROM information_schema.EVENTS WHERE {_not_in('EVENT_SCHEMA')}",
)
"""What there is on a node."""


@dataclass(frozen=True)
class Listed:
    """What `LIST` told: objects in order, and tables without their definition."""

    things: tuple[Thing, ...]
    tables: tuple[Table, ...]


def listed(answers: Sequence[Rows]) -> Listed:
    """Objects from the answers to `LIST`."""
    schemas, tables, columns, indexes, triggers, routines, events = answers
    things = [Thing("schema", name, f"SHOW CREATE DATABASE {quoted(name)}") for (name,) in schemas]
    things += [
        Thing("table" if "VIEW" not in kind else "view", f"{schema}.{name}", _show("TABLE", schema, name))
        for schema, name, kind, _, _ in tables
    ]
    things += [
        Thing("trigger", f"{schema}.{name}", _show("TRIGGER", schema, name)) for schema, name in triggers
    ]
    things += [
        Thing(kind.lower(), f"{schema}.{name}", _show(kind, schema, name))
        for schema, name, kind in routines
        if kind in ("PROCEDURE", "FUNCTION", "PACKAGE", "PACKAGE BODY")
    ]
    things += [Thing("event", f"{schema}.{name}", _show("EVENT", schema, name)) for schema, name in events]
    return Listed(tuple(things), tuple(_tables(tables, columns, indexes)))


def _show(kind: str, schema: str, name: str) -> str:
    return f"SHOW CREATE {kind} {quoted(schema)}.{quoted(name)}"


def _tables(tables: Rows, columns: Rows, indexes: Rows) -> list[Table]:
    by_table: dict[tuple[str, str], dict[str, Column]] = defaultdict(dict)
    virtual: dict[tuple[str, str], set[str]] = defaultdict(set)
    for schema, name, column, kind, charset, octets, extra in columns:
        by_table[schema, name][column] = Column(column, kind, charset, int(octets))
        if "VIRTUAL" in extra.upper():
            virtual[schema, name].add(column)
    unique: dict[tuple[str, str], dict[str, list[Column] | None]] = defaultdict(dict)
    for schema, name, index, column, part, nullable, kind in indexes:
        known = unique[schema, name].setdefault(index, [])
        fits = kind == "BTREE" and not part and nullable != "YES" and column in by_table[schema, name]
        if not fits or column in virtual[schema, name]:
            unique[schema, name][index] = None
        elif known is not None:
            known.append(by_table[schema, name][column])
    found = []
    for schema, name, kind, engine, rows in tables:
        if kind not in ("BASE TABLE", "SYSTEM VERSIONED") or engine in _ELSEWHERE:
            continue
        index, key = usable_key(
            [(each, columns) for each, columns in unique[schema, name].items() if columns is not None]
        )
        stored = tuple(
            column for each, column in by_table[schema, name].items() if each not in virtual[schema, name]
        )
        if stored:
            history = kind == "SYSTEM VERSIONED"
            found.append(Table(schema, name, engine, stored, key, index, history, int(rows)))
    return found


def definitions(told: Listed, answers: Mapping[Thing, Answer]) -> Definitions:
    """All of a node's objects. `answers`: to the objects' own statements; one that is gone is left out."""
    texts = {thing: comparable(thing, answers[thing]) for thing in told.things}
    shown = {thing: text for thing, text in texts.items() if text}
    known = {thing.name: text for thing, text in shown.items() if thing.kind == "table"}
    tables: dict[str, Table] = {}
    loose: dict[str, Table] = {}
    for table in told.tables:
        if table.title not in known:
            continue
        digest = hashlib.sha256(known[table.title].encode(errors="surrogateescape")).hexdigest()
        whole = Table(**{**vars(table), "definition": digest})
        (tables if table.engine == "InnoDB" else loose)[table.title] = whole
    return Definitions(shown, tables, loose)


def comparable(thing: Thing, rows: Sequence[tuple[str, ...]] | SqlError) -> str:
    """What an object's statement shows, without what differs between nodes by nature; empty if it is gone.

    What can't be shown, like a view on a table that is gone, is its error: the same everywhere.
    """
    if isinstance(rows, SqlError):
        return "" if rows.code in _GONE else f"ERROR {rows.code}"
    # A trigger's last column is when this node made it.
    told = "\n".join("\t".join(row[:-1] if thing.kind == "trigger" else row) for row in rows)
    if thing.kind == "table":
        told = re.sub(r" AUTO_INCREMENT=\d+", "", told)
    if (
        thing.kind == "event"
    ):  # only the node that made it has it enabled or disabled, the others off for good
        told = re.sub(r" (ENABLE|DISABLE|DISABLE ON SLAVE)(?= (COMMENT|DO)\b)", "", told)
    return told


def system_sum(name: str, columns: Sequence[str]) -> str:
    """A query for count and sum of one of the tables `SYSTEM`."""
    table = Table("mysql", name, "Aria", tuple(Column(column, "text") for column in columns))
    return table.sum_of(Piece())


SYSTEM_COLUMNS = (
    "SELECT TABLE_NAME, COLUMN_NAME FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = 'mysql' "
    "AND TABLE_NAME IN ("
    + ", ".join(text(name) for names in SYSTEM.values() for name in names)
    + ") AND COLUMN_NAME NOT IN ('Timestamp', 'Grantor') ORDER BY TABLE_NAME, ORDINAL_POSITION"
)
"""Columns of the tables `SYSTEM`; without those that say who granted something where and when."""
