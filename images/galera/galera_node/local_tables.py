"""Tables whose rows stay on the node that wrote them: other engines than InnoDB.

The server refuses to make most of them (wsrep_mode=STRICT_REPLICATION), but not those that were there before,
nor `CREATE TABLE … SELECT` and `… LIKE`; and for rows written into them it gives only a warning that no
client shows. So the node looks for them and names them.
"""

from __future__ import annotations

from collections.abc import Sequence

EVERY = 600.0  # seconds between looks
MOST = 10  # named in one line
SECONDS = 5  # for the look: it must not hold up the node's own work
QUERY = (
    f"SET STATEMENT max_statement_time={SECONDS} FOR "  # noqa: S608 - of constants alone
    "SELECT TABLE_SCHEMA, TABLE_NAME, ENGINE FROM information_schema.TABLES "
    "WHERE TABLE_TYPE = 'BASE TABLE' AND ENGINE <> 'InnoDB' "
    "AND TABLE_SCHEMA NOT IN ('mysql', 'sys', 'information_schema', 'performance_schema') "
    f"ORDER BY 1, 2 LIMIT {MOST + 1}"
)


def words(rows: Sequence[tuple[str, ...]]) -> str:
    """The line for the log. `rows`: of `QUERY`, at least one."""
    named = ", ".join(f"{schema}.{table} ({engine})" for schema, table, engine in rows[:MOST])
    more = " and more" if len(rows) > MOST else ""
    return (
        f"not replicated, the rows stay on this node and are lost with the next full copy: {named}{more}. "
        "Copy them into InnoDB as docs/how-to/moving-in.md says, not by ALTER TABLE: it leaves each node its "
        "own"
    )
