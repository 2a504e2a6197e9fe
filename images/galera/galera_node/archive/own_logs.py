"""The binary logs of this node: which are closed, where they begin, how far the node is, what may go.

Owns: the questions to the own mariadbd, and reading the files' heads. Leaves to others: what is archived
(`logs`), the rules (`chain`), the files' form (`binlog`).
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Protocol

from . import backup_stream, binlog
from .binlog import BinlogError, Extent
from .chain import Piece
from .plan import DOMAIN

LEAP = 1_000_000
"""Numbers that are left out at the least when all nodes are brought to one; see `OwnLogs.align`."""
TABLE = "mysql.galera_node_archive"
"""There for a moment, so that a row can bring a number along: of a statement like DROP TABLE, which each node
runs by itself, those who apply it take no number over.
"""


TIMEOUT = "(1205,"
"""How the server's word begins that it has waited in vain, here for what others have committed."""


class Behind(BinlogError):
    """This node has not applied yet what others have committed."""


class Ask(Protocol):
    """A connection to the own mariadbd (`sql.Sql`)."""

    def run(self, statement: str) -> list[tuple[object, ...]]:
        """Rows. Raises SqlError."""


class OwnLogs:
    """The logs below `folder`, which is the data directory."""

    def __init__(self, sql: Ask, folder: Path) -> None:
        self._sql, self._folder = sql, folder

    def position(self) -> int:
        """The last number of the cluster's that is in the logs here, once all is there that was committed
        anywhere before the question. Raises SqlError; Behind if that takes too long.
        """
        self._sql.run("SET SESSION wsrep_sync_wait = 1")
        try:
            reached = self.here()
        except Exception as error:  # SqlError, and with it goes the connection
            if TIMEOUT not in str(error):
                raise
            raise Behind("this node is behind the others, as one that makes a backup may be") from error
        # Whatever else is asked on this connection need not wait.
        self._sql.run("SET SESSION wsrep_sync_wait = 0")
        return reached

    def here(self) -> int:
        """The same, as it is. Raises SqlError."""
        ((gtids,),) = self._sql.run("SELECT @@GLOBAL.gtid_binlog_pos")
        return backup_stream.numbers(str(gtids)).get(DOMAIN, 0)

    def close(self) -> None:
        """Begins a new file; the one before is closed. Only here: it is not replicated. Raises SqlError."""
        self._sql.run("FLUSH LOCAL BINARY LOGS")

    def align(self, committed: int) -> int:
        """Brings all nodes to one number, by a transaction that bears it; returns it.

        A node numbers what it logs from where it was itself. Nodes that have come to binary logs one after
        the other therefore count from different beginnings, until a transaction brings its number along.
        It is above what any node can have counted to: Galera's own count (`committed`), what is in the logs
        here, and a number of before, should this have been done before; that one was an earlier clock's.
        Raises SqlError; and BinlogError if the server did not do it.
        """
        self._sql.run(
            f"CREATE TABLE IF NOT EXISTS {TABLE} (number BIGINT UNSIGNED PRIMARY KEY) ENGINE=InnoDB"
        )
        self.close()
        number = max(self.here() + LEAP, committed + LEAP, int(time.time() * 1000))
        # The server itself forgets it with the next commit.
        self._sql.run(f"SET SESSION wsrep_gtid_seq_no = {number}")
        self._sql.run(f"INSERT INTO {TABLE} VALUES ({number})")  # noqa: S608 - a number
        self._sql.run(f"DROP TABLE {TABLE}")
        if (reached := self.here()) < number:
            raise BinlogError(f"the server's logs are at number {reached}, and should be at {number}")
        return number

    def names(self) -> list[str]:
        """All files, the oldest first; the last one is being written. Raises SqlError."""
        return [str(row[0]) for row in self._sql.run("SHOW BINARY LOGS")]

    def closed(self) -> list[Piece]:
        """Those that are closed. Raises SqlError, OSError, BinlogError."""
        names = self.names()
        return [Piece(name, self._before(following) or 0) for name, following in pairwise(names)]

    def begins(self) -> int:
        """The number after which the logs here have everything. Raises SqlError, OSError, BinlogError."""
        names = self.names()
        if names and (before := self._before(names[0])) is not None:
            return before
        return next((first - 1 for name in names for first in self._first(name)), self.here())

    def extent(self, name: str) -> Extent:
        """What a file has. Raises OSError, BinlogError."""
        with self.path(name).open("rb") as file:
            return binlog.extent(file, DOMAIN)

    def follows(self, name: str, last: int) -> bool:
        """Whether a file goes on where `last` was, though its first number is a later one.

        A statement that fails takes its number along (`CREATE TABLE` of one that is there), and is in no log.
        That it was so is known where the server itself went on from the file before: what it has logged
        since `last` is in this one. After a start of the server it is not: what it did without binary logs
        has numbers, too. Raises SqlError, OSError, BinlogError.
        """
        names = self.names()
        at = names.index(name) if name in names else 0
        before = self._before(name)
        return at > 0 and before is not None and before <= last and self.extent(names[at - 1]).goes_on

    def remove(self, until: str) -> None:
        """Removes the files before this one. Raises SqlError."""
        self._sql.run(f"PURGE BINARY LOGS TO '{until}'")

    def path(self, name: str) -> Path:
        """Where a file is. Raises BinlogError for a name that is no file's."""
        if "/" in name:
            raise BinlogError(f"{name!r} is not in the data directory")
        return self._folder / name

    def _before(self, name: str) -> int | None:
        with self.path(name).open("rb") as file:
            return binlog.state_before(file, DOMAIN)

    def _first(self, name: str) -> Iterator[int]:
        with self.path(name).open("rb") as file:
            for event in binlog.events(file):
                if event.type == binlog.GTID:
                    number, domain, _ = binlog.GTID_HEAD.unpack_from(event.body)
                    if domain == DOMAIN:
                        yield number
                        return
