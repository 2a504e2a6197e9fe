"""What an account may do: as it is wanted, as the database has it, and the statements between the two.

All rights of an account are seen, not only those on what is wanted: a right that somebody has granted by
hand, anywhere and of any kind, is one too many. No Pulumi.

Owns: which rights there are, reading and changing them. Leaves to others: the account (statements.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from components.accounts import names
from components.accounts.quoting import account, matched_alone, name, pattern, text

ALL = "*"
READ = ("SELECT", "SHOW VIEW")
"""Rows and views as they are."""
WRITE = (*READ, "CREATE TEMPORARY TABLES", "DELETE", "EXECUTE", "INSERT", "UPDATE")
"""What an application needs day by day."""
OWN = (
    *WRITE, "ALTER", "ALTER ROUTINE", "CREATE", "CREATE ROUTINE", "CREATE VIEW", "DROP", "EVENT", "INDEX",
    "REFERENCES", "TRIGGER",
)  # fmt: skip
"""What migrations need. No LOCK TABLES, which holds up the writes of all nodes; who wants it may name it."""
ON_TABLE = {
    "ALTER", "CREATE", "CREATE VIEW", "DELETE", "DELETE HISTORY", "DROP", "INDEX", "INSERT", "REFERENCES",
    "SELECT", "SHOW VIEW", "TRIGGER", "UPDATE",
}  # fmt: skip
ON_DATABASE = {*OWN, "DELETE HISTORY", "LOCK TABLES"}
ON_SERVER = {"BINLOG MONITOR", "PROCESS", "SHOW DATABASES", "SLAVE MONITOR"}
"""What looks at the server; all else on all databases is root's."""
PASS_ON = "GRANT OPTION"  # noqa: S105 - the right to give rights

Rights = dict[tuple[str, str], frozenset[str]]
"""Privileges by (database, table); `*` for all of either."""


@dataclass(frozen=True, order=True)
class Held:
    """One right as the database has it. kind: server, database, table, column, routine, role or proxy.

    Attributes:
        where: a database, of the kind `database` as the pattern that it is; else a role, or a user.
        what: a table, `PROCEDURE name`, or the user's host. column: of that table.
    """

    kind: str
    where: str
    what: str
    column: str
    privilege: str

    @property
    def scope(self) -> str:
        """Behind `ON`."""
        match self.kind:
            case "server":
                return "*.*"
            case "database":
                return f"{name(self.where)}.*"
            case "routine":
                kind, _, routine = self.what.partition(" ")
                return f"{kind} {name(self.where)}.{name(routine)}"
            case "proxy":
                return account(self.where, self.what)
        return f"{name(self.where)}.{name(self.what)}"

    def taken(self, who: str) -> str:
        """The statement that takes it away."""
        if self.kind == "role":
            return f"REVOKE {name(self.where)} FROM {who};"
        column = f" ({name(self.column)})" if self.column else ""
        return f"REVOKE {self.privilege}{column} ON {self.scope} FROM {who};"

    def __str__(self) -> str:
        """For people."""
        if self.kind == "role":
            return f"role {self.where}"
        column = f" ({self.column})" if self.column else ""
        return f"{self.privilege}{column} ON {self.scope}"


def problems(listed: Iterable[Mapping[str, Any]]) -> Iterable[str]:
    """Why rights can't be given, each with its remedy."""
    for each in listed:
        database, table = each["database"], each["table"]
        if database == ALL:
            allowed, where = ON_SERVER, "all databases"
        else:
            allowed, where = (ON_DATABASE, "a database") if table == ALL else (ON_TABLE, "a table")
            found = names.reason(names.name_of_database, database)
            if found:
                yield found
        found = names.reason(names.table, table)
        if found:
            yield found
        if database == ALL and table != ALL:
            yield f"a table {table} of all databases can't be named. Remedy: name the database, too"
        unknown = sorted({str(each).upper() for each in each["privileges"]} - allowed)
        if unknown or not each["privileges"]:
            yield (
                f"{', '.join(unknown) or 'nothing'} is no right on {where} that an account can have here: "
                f"others are root's. Remedy: use {', '.join(sorted(allowed))}"
            )


def parsed(listed: Iterable[Mapping[str, Any]]) -> Rights:
    """From the form that Pulumi keeps: several entries on one thing are one."""
    found: Rights = {}
    for each in listed:
        key = (str(each["database"]), str(each["table"]))
        found[key] = found.get(key, frozenset()) | {str(word).upper() for word in each["privileges"]}
    return found


def listed(rights: Rights) -> list[dict[str, Any]]:
    """In the form that Pulumi keeps, always in the same order."""
    return [
        {"database": database, "table": table, "privileges": sorted(privileges)}
        for (database, table), privileges in sorted(rights.items())
    ]


def question(user: str, host: str) -> str:
    """Asks for all that an account may do; `seen` reads the answer."""
    grantee = f"WHERE GRANTEE = {text(account(user, host))}"
    where = f"WHERE User = {text(user)} AND Host = {text(host)}"
    ours = "PRIVILEGE_TYPE, IS_GRANTABLE FROM information_schema"
    return f"""
SELECT 'server', '', '', '', {ours}.USER_PRIVILEGES {grantee};
SELECT 'database', TABLE_SCHEMA, '', '', {ours}.SCHEMA_PRIVILEGES {grantee};
SELECT 'table', TABLE_SCHEMA, TABLE_NAME, '', {ours}.TABLE_PRIVILEGES {grantee};
SELECT 'column', TABLE_SCHEMA, TABLE_NAME, COLUMN_NAME, {ours}.COLUMN_PRIVILEGES {grantee};
SELECT 'routine', Db, CONCAT(Routine_type, ' ', Routine_name), '', UPPER(Proc_priv), 'NO'
  FROM mysql.procs_priv {where};
SELECT 'role', Role, '', '', 'ROLE', 'NO' FROM mysql.roles_mapping {where};
SELECT 'proxy', Proxied_user, Proxied_host, '', 'PROXY', 'NO' FROM mysql.proxies_priv {where};
"""


def seen(answer: Iterable[tuple[str, ...]]) -> set[Held]:
    """All rights of an account, from the answer to `question`."""
    found = set()
    for kind, where, what, column, privileges, grantable in answer:
        # A routine's are a list, in which to pass them on is one of them.
        for privilege in privileges.split(",") if kind == "routine" else [privileges]:
            if privilege != "USAGE":
                known = PASS_ON if privilege == "GRANT" else privilege
                found.add(Held(kind, where, what, column, known))
        if grantable == "YES":
            # Columns have none of their own: the table's counts.
            found.add(Held("table" if kind == "column" else kind, where, what, "", PASS_ON))
    return found


def told(held: Iterable[Held]) -> tuple[Rights, list[str]]:
    """Rights in the form in which they are wanted, and in words all that has no such form."""
    rights: Rights = {}
    beyond = []
    for each in sorted(held):
        key = _key(each)
        if key is None or each.privilege == PASS_ON:
            beyond.append(str(each))
        else:
            rights[key] = rights.get(key, frozenset()) | {each.privilege}
    return rights, beyond


def _key(held: Held) -> tuple[str, str] | None:
    match held.kind:
        case "server":
            return (ALL, ALL)
        case "database":
            alone = matched_alone(held.where)
            return None if alone is None else (alone, ALL)
        case "table":
            return (held.where, held.what)
    return None


def changes(wanted: Rights, held: Iterable[Held], who: str) -> list[str]:
    """Statements after which an account may do what is wanted, and nothing else.

    What is missing is given before anything is taken: nobody is without a right that he keeps.
    """
    given, taken = [], []
    has, _ = told(held)
    for (database, table), privileges in sorted(wanted.items()):
        missing = sorted(privileges - has.get((database, table), frozenset()))
        if missing:
            given.append(f"GRANT {', '.join(missing)} ON {_scope(database, table)} TO {who};")
    for each in sorted(held):
        key = _key(each)
        if key is None or each.privilege not in wanted.get(key, frozenset()):
            taken.append(each.taken(who))
    return given + taken


def _scope(database: str, table: str) -> str:
    if database == ALL:
        return "*.*"
    return f"{name(pattern(database))}.*" if table == ALL else f"{name(database)}.{name(table)}"
