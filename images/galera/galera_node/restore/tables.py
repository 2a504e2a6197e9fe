"""Checksums of all tables at one position: of a node while clients write, and of what was restored.

The snapshot's own place in the binary log says which position it is, so nobody is held up. Owns: the
questions, and the comparison (pure). Leaves to others: bringing a server to that position (`scratch`), the
report (`report`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from ..archive.backup_stream import numbers

SYSTEM = "('mysql', 'sys', 'information_schema', 'performance_schema')"
TABLES = (
    "SELECT TABLE_SCHEMA, TABLE_NAME FROM information_schema.TABLES WHERE TABLE_TYPE IN ('BASE TABLE', "  # noqa: S608 - of constants alone
    f"'SYSTEM VERSIONED', 'SEQUENCE') AND TABLE_SCHEMA NOT IN {SYSTEM} ORDER BY 1, 2"
)
SCRATCH = "swarm_galera_check_"
"""Begins the schemas of a deep check that is under way: they come and go."""


class Ask(Protocol):
    """A connection to a server (`sql.Sql`)."""

    def run(self, statement: str) -> list[tuple[Any, ...]]:
        """Rows. Raises SqlError."""


class TablesError(Exception):
    """The tables have no common position, or one can't be read; the message says why."""


@dataclass(frozen=True)
class Sums:
    """Tables at a position.

    Attributes:
        number: of the last transaction that the snapshot has.
        tables: by name, `schema.table`: rows and checksum.
    """

    number: int
    tables: Mapping[str, tuple[int, int]] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        """Of all tables."""
        return sum(rows for rows, _ in self.tables.values())

    def as_json(self) -> dict[str, Any]:
        """For another process; `sums_from` reads it."""
        return {"number": self.number, "tables": {name: list(sums) for name, sums in self.tables.items()}}


def sums_from(values: Any) -> Sums:
    """Raises TablesError for what is no such record."""
    try:
        tables = {str(name): (int(rows), int(sums)) for name, (rows, sums) in values["tables"].items()}
        return Sums(int(values["number"]), tables)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise TablesError(f"these are no checksums: {error!r}") from None


def of_cluster(sql: Ask, domain: int, tell: Callable[[str], None]) -> Sums:
    """Of a node that serves, at a position of its own choice. Raises TablesError, SqlError."""
    sql.run("SET SESSION wsrep_sync_wait = 0")
    sql.run("START TRANSACTION WITH CONSISTENT SNAPSHOT")
    try:
        found = {str(name).lower(): str(value) for name, value in sql.run(_PLACE)}
        file, at = found.get("binlog_snapshot_file", ""), found.get("binlog_snapshot_position", "")
        if not file or not at.isdigit():
            raise TablesError("the node writes no binary logs, so that a snapshot has no position")
        ((gtids,),) = sql.run(f"SELECT BINLOG_GTID_POS('{file}', {at})")
        return Sums(numbers(str(gtids)).get(domain, 0), _all(sql, tell))
    finally:
        sql.run("ROLLBACK")


_PLACE = "SHOW STATUS LIKE 'binlog_snapshot_%%'"


def of_scratch(sql: Ask, number: int, tell: Callable[[str], None]) -> Sums:
    """Of a server that nobody else uses. Raises TablesError, SqlError."""
    return Sums(number, _all(sql, tell))


def _all(sql: Ask, tell: Callable[[str], None]) -> dict[str, tuple[int, int]]:
    found = {}
    for schema, table in sql.run(TABLES):
        if str(schema).startswith(SCRATCH):
            continue
        name = f"{_quoted(str(schema))}.{_quoted(str(table))}"
        ((_, value),) = sql.run(f"CHECKSUM TABLE {name} EXTENDED".replace("%", "%%"))
        if value is None:
            raise TablesError(
                f"{schema}.{table} can't be read: it was changed or dropped meanwhile, or is broken"
            )
        count = f"SELECT COUNT(*) FROM {name}"  # noqa: S608 - quoted
        ((rows,),) = sql.run(count.replace("%", "%%"))
        found[f"{schema}.{table}"] = int(rows), int(value)
        tell(f"{schema}.{table}: {rows} rows")
    return found


def _quoted(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"


def differences(cluster: Sums, restored: Sums) -> list[str]:
    """What is not the same, a line each; empty where all is."""
    if cluster.number != restored.number:
        return [f"compared at two positions, {cluster.number} and {restored.number}"]
    found = []
    for name in sorted({*cluster.tables, *restored.tables}):
        here, there = cluster.tables.get(name), restored.tables.get(name)
        if here is None:
            found.append(f"{name}: only in the restored data")
        elif there is None:
            found.append(f"{name}: not in the restored data ({here[0]} rows in the cluster)")
        elif here != there:
            rows = (
                f"{here[0]} rows in the cluster, {there[0]} restored"
                if here[0] != there[0]
                else "rows differ"
            )
            found.append(f"{name}: {rows}")
    return found
