"""`galera-node restore scratch`: a container without a network that gets the archive on its standard input.

For the drill (checksums of all tables) and for one database or table beside the running one (SQL on standard
output). Standard input: the private key, an empty line, then what `galera-node restore send` prints.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any, Protocol

from . import sources, streams, tables
from .loading import check
from .scratch import Scratch, ScratchError
from .streams import StreamError

COPIES = 2
"""How often the rows of a dump are on a node's disk once it is loaded: in the table and in the binary log."""
FOLDER, RUN = Path("/var/lib/mysql/scratch"), Path("/dev/shm/scratch")  # noqa: S108 - the container's own
POOL = 256 << 20
DUMP = "/usr/bin/mariadb-dump"
DEFAULTS = "SELECT DEFAULT_CHARACTER_SET_NAME, DEFAULT_COLLATION_NAME FROM information_schema.SCHEMATA"
OPTIONS = (
    "--no-defaults",
    "--single-transaction",
    "--skip-lock-tables",
    "--skip-add-locks",
    "--skip-disable-keys",
    # Tables, rows and views. The text of a trigger or routine may name the schema that it was in, and be made
    # there, in what is running.
    "--skip-triggers",
    "--hex-blob",
    "--default-character-set=utf8mb4",
    "--max-allowed-packet=1G",
)


class Ask(Protocol):
    """A connection to a server (`sql.Sql`)."""

    def run(self, statement: str, parameters: Sequence[str] = ()) -> list[tuple[Any, ...]]:
        """Rows. Raises SqlError."""


def main(words: list[str], stdin: IO[bytes]) -> int:
    """Runs it. Raises StreamError, ScratchError, SqlError, TablesError."""
    match words:
        case ["drill"]:
            what: tuple[str, str, int] | None = None
        case ["dump", source, into, room] if room.isdigit():
            what = (source, into, int(room))
        case _:
            raise ScratchError("usage: galera-node restore scratch drill | dump WHAT INTO ROOM")
    key = streams.identity(_key(stdin))
    plan, more = sources.plan_from(stdin)
    began = time.monotonic()
    told = Telling()
    pool = int(os.environ.get("SCRATCH_POOL", POOL))
    scratch = Scratch(FOLDER, RUN, pool, told.say, told.progress, more or "\n")
    try:
        scratch.make(plan, sources.Framed(stdin), key)
        check(scratch.sql)
        if what is not None:
            _dump(scratch.sql, *what)
        else:
            took = time.monotonic() - began
            sums = tables.of_scratch(scratch.sql, plan.number or 0, told.progress_of_tables)
            print(json.dumps({"restoring": round(took, 1), **sums.as_json()}))
    finally:
        scratch.kill()
    return 0


def _key(stdin: IO[bytes]) -> str:
    """The lines before the empty one."""
    lines = []
    while (line := stdin.readline(streams.LONGEST)).strip():
        lines.append(line.decode(errors="replace"))
    if not line:
        raise StreamError("Standard input ends before the archive begins: what sends it says why.")
    return "".join(lines)


class Telling:
    """Lines of progress on standard error, now and then."""

    def __init__(self) -> None:
        self._at = 0.0

    def say(self, text: str) -> None:
        """At once."""
        print(text, file=sys.stderr, flush=True)

    def progress(self, what: str, now: int, whole: int) -> None:
        """As `streams.Tell`."""
        if time.monotonic() - self._at >= 5.0:
            self._at = time.monotonic()
            self.say(f"  {what}: {now / 1e6:.1f} of {whole / 1e6:.1f} MB" if whole else f"  {what} …")

    def progress_of_tables(self, text: str) -> None:
        """The same of a table that was read."""
        if time.monotonic() - self._at >= 5.0:
            self._at = time.monotonic()
            self.say(f"  {text}")


def _dump(sql: Ask, source: str, into: str, room: int) -> None:
    """SQL for `into` of what `source` has, both a schema, or both `schema.table`. Raises ScratchError.

    Args:
        room: bytes that may be filled by it on every node.
    """
    schema, _, table = source.partition(".")
    known = sql.run(f"{DEFAULTS} WHERE SCHEMA_NAME = %s", (schema,))
    if not known:
        raise ScratchError(f"there is no database {schema} at that position")
    words = _renamed(sql, (schema, table), into) if table else [schema]
    refuse_size(sql, words, room)
    if not table:
        # Tables bring their own, those that are made later take it. By its name: in a binary log there is no
        # `use` before it, so that a replay would change whatever database was used last, or end there.
        ((characters, collation),) = known
        name = _quoted(into)
        print(f"ALTER DATABASE {name} CHARACTER SET {characters} COLLATE {collation};", flush=True)
    said = subprocess.run(
        [DUMP, *OPTIONS, f"--socket={RUN}/mysqld.sock", "--user=mysql", "--", *words],
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        check=False,
    )
    if said.returncode != 0:
        raise ScratchError(
            f"mariadb-dump ended with {said.returncode}: {said.stderr.decode()[-300:].strip()}"
        )


def refuse_size(sql: Ask, words: list[str], room: int) -> None:
    """Raise ScratchError for more than there is room for on every node. `words`: a schema, perhaps a table.

    It is loaded into databases that serve: a disk that is full stops them all.
    """
    of_table = " AND TABLE_NAME = %s" if len(words) > 1 else ""
    size = "SELECT COALESCE(SUM(DATA_LENGTH + INDEX_LENGTH), 0) FROM information_schema.TABLES WHERE "
    ((found,),) = sql.run(f"{size}TABLE_SCHEMA = %s{of_table}", words)
    if (needs := COPIES * int(found)) > room:
        raise ScratchError(
            f"{'.'.join(words)} has {int(found) / 1e6:.0f} MB. Loaded, with the binary log of that, it takes "
            f"{needs / 1e6:.0f} MB on every node, and the fullest one has room for {room / 1e6:.0f} MB. "
            "Nothing was loaded. Remedy: larger disks (servers.disks), or one table, not the database"
        )


def _renamed(sql: Ask, source: tuple[str, str], into: str) -> list[str]:
    """Has the scratch server call the table as it is to be called; what mariadb-dump is given."""
    schema, _, table = into.partition(".")
    known = "SELECT 1 FROM information_schema.TABLES WHERE TABLE_SCHEMA = %s AND TABLE_NAME = %s"
    if not sql.run(known, source):
        raise ScratchError(f"there is no table {source[0]}.{source[1]} at that position")
    if source == (schema, table):
        return [schema, table]  # it was dropped in the cluster, and comes back as what it was
    triggers = "SELECT TRIGGER_NAME FROM information_schema.TRIGGERS WHERE EVENT_OBJECT_SCHEMA = %s AND "
    for (name,) in sql.run(f"{triggers}EVENT_OBJECT_TABLE = %s", source):
        sql.run(f"DROP TRIGGER {_quoted(source[0])}.{_quoted(str(name))}".replace("%", "%%"))
    if sql.run(known, (schema, table)):
        sql.run("SET SESSION foreign_key_checks = 0")  # others may refer to it
        sql.run(f"DROP TABLE {_quoted(schema)}.{_quoted(table)}".replace("%", "%%"))
    sql.run(f"CREATE DATABASE IF NOT EXISTS {_quoted(schema)}".replace("%", "%%"))
    names = f"{_quoted(source[0])}.{_quoted(source[1])} TO {_quoted(schema)}.{_quoted(table)}"
    sql.run(f"RENAME TABLE {names}".replace("%", "%%"))
    return [schema, table]


def _quoted(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"
