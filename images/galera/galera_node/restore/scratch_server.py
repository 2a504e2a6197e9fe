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
from pathlib import Path
from typing import IO

from ..sql import Sql
from . import sources, streams, tables
from .loading import check
from .scratch import Scratch, ScratchError
from .streams import StreamError

FOLDER, RUN = Path("/var/lib/mysql/scratch"), Path("/dev/shm/scratch")  # noqa: S108 - the container's own
POOL = 256 << 20
DUMP = "/usr/bin/mariadb-dump"
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


def main(words: list[str], stdin: IO[bytes]) -> int:
    """Runs it. Raises StreamError, ScratchError, SqlError, TablesError."""
    match words:
        case ["drill"]:
            what: tuple[str, str] | None = None
        case ["dump", source, into]:
            what = (source, into)
        case _:
            raise ScratchError("usage: galera-node restore scratch drill | dump WHAT INTO")
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


def _dump(sql: Sql, source: str, into: str) -> None:
    """SQL for `into` of what `source` has, both a schema, or both `schema.table`. Raises ScratchError."""
    schema, _, table = source.partition(".")
    if not sql.run("SELECT 1 FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = %s", (schema,)):
        raise ScratchError(f"there is no database {schema} at that position")
    words = _renamed(sql, (schema, table), into) if table else [schema]
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


def _renamed(sql: Sql, source: tuple[str, str], into: str) -> list[str]:
    """Has the scratch server call the table as it is to be called; what mariadb-dump is given."""
    schema, _, table = into.partition(".")
    known = "SELECT 1 FROM information_schema.TABLES WHERE TABLE_SCHEMA = %s AND TABLE_NAME = %s"
    if not sql.run(known, source):
        raise ScratchError(f"there is no table {source[0]}.{source[1]} at that position")
    triggers = "SELECT TRIGGER_NAME FROM information_schema.TRIGGERS WHERE EVENT_OBJECT_SCHEMA = %s AND "
    for (name,) in sql.run(f"{triggers}EVENT_OBJECT_TABLE = %s", source):
        sql.run(f"DROP TRIGGER {_quoted(source[0])}.{_quoted(str(name))}".replace("%", "%%"))
    if sql.run(known, (schema, table)):
        sql.run(f"DROP TABLE {_quoted(schema)}.{_quoted(table)}".replace("%", "%%"))
    sql.run(f"CREATE DATABASE IF NOT EXISTS {_quoted(schema)}".replace("%", "%%"))
    names = f"{_quoted(source[0])}.{_quoted(source[1])} TO {_quoted(schema)}.{_quoted(table)}"
    sql.run(f"RENAME TABLE {names}".replace("%", "%%"))
    return [schema, table]


def _quoted(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"
