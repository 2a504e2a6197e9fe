"""What the node asks and tells its own mariadbd, over the unix socket as the system user (no password).

Owns the connection, the status query and the initial SQL files. The accounts are in `accounts`.
"""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import pymysql

from .settings import Settings

CLIENT = "/usr/bin/mariadb"
DESYNCED = "Donor/Desynced"
AT_ONCE = (
    "SET SESSION wsrep_sync_wait = 0, wait_timeout = 28800, max_statement_time = 0, "
    "tx_isolation = 'REPEATABLE-READ'"
)
"""What `galera.config` has of these is for clients. They may have to wait until all that was written is
applied on their node: behind one long change, on all nodes at the same time, this program would take that for
a server that does not answer. So it would, where whoever is idle, or a statement, is ended after a second.
And who may read what is not committed sees the table of the component's members half written."""
TOO_MANY = 1040  # connections: mariadbd has no room for one more
STATUS = (
    "wsrep_cluster_size",
    "wsrep_cluster_state_uuid",
    "wsrep_cluster_status",
    "wsrep_cluster_weight",
    "wsrep_connected",
    "wsrep_flow_control_active",
    "wsrep_gcomm_uuid",
    "wsrep_last_committed",
    "wsrep_local_send_queue",
    "wsrep_local_state_comment",
    "wsrep_ready",
)


class SqlError(Exception):
    """mariadbd does not answer or refuses a statement."""


class SqlLateError(SqlError):
    """mariadbd is there, and has not answered in time, or has no connection left."""


@dataclass(frozen=True)
class ServerStatus:
    """The wsrep status of the own mariadbd."""

    state: str
    primary: bool
    connected: bool  # to its group, with or without a majority; one that has left does not come back
    ready: bool
    uuid: str
    committed: int
    size: int
    queued: int = 0  # write-sets that wait to be sent
    paused: bool = False  # flow control holds writes up
    life: str = ""  # this mariadbd's UUID in its group; the next one has another
    votes: int = 0  # of all members of the component together
    quorum: bool = True  # the group has its majority; mariadbd hears of its loss behind all that came before

    @property
    def synced(self) -> bool:
        """Serves clients: a donor does too, mariadb-backup does not block it.

        So does one that is done: it is `Joined` for a moment, and stays ready. A joiner is not ready then.
        """
        return self.primary and self.ready and self.state in ("Synced", DESYNCED, "Joined")


class Sql:
    """A connection to the own mariadbd, made when needed and anew after an error.

    Seconds: `timeout` to connect, `patience` for the answer to a statement.
    """

    def __init__(
        self, socket: Path, user: str = "mysql", timeout: float = 10.0, patience: float = 600.0
    ) -> None:
        self._socket, self._user, self._timeout, self._patience = socket, user, timeout, patience
        self._connection: Any = None

    def close(self) -> None:
        if self._connection is not None:
            connection, self._connection = self._connection, None
            with suppress(pymysql.Error, OSError):  # the server has gone first
                connection.close()

    def run(self, statement: str, parameters: Sequence[str] = ()) -> list[tuple[Any, ...]]:
        """Runs one statement. Raises SqlError, with the server's words but not the statement's.

        SqlLateError is one: the server is there all the same.
        """
        try:
            if self._connection is None:
                self._connection = pymysql.connect(
                    unix_socket=str(self._socket),
                    user=self._user,
                    connect_timeout=self._timeout,
                    read_timeout=self._patience,
                    autocommit=True,
                )
                with self._connection.cursor() as cursor:
                    cursor.execute(AT_ONCE, ())
            with self._connection.cursor() as cursor:
                # Parameters are always given, so that %% means the same in every statement.
                cursor.execute(statement, tuple(parameters))
                return list(cursor.fetchall())
        except (pymysql.Error, OSError) as error:
            self.close()
            raise (SqlLateError if _is_late(error) else SqlError)(str(error)) from error

    def status(self) -> ServerStatus:
        """The wsrep status now. Raises SqlError while mariadbd does not accept connections."""
        names = ",".join(f"'{name}'" for name in STATUS)
        found = {
            name.lower(): value
            for name, value in self._asked_anew(f"SHOW GLOBAL STATUS WHERE Variable_name IN ({names})")
        }
        return ServerStatus(
            state=found.get("wsrep_local_state_comment", ""),
            primary=found.get("wsrep_cluster_status") == "Primary",
            connected=found.get("wsrep_connected") == "ON",
            ready=found.get("wsrep_ready") == "ON",
            uuid=found.get("wsrep_cluster_state_uuid", ""),
            committed=int(found.get("wsrep_last_committed", -1)),
            size=int(found.get("wsrep_cluster_size", 0)),
            queued=int(found.get("wsrep_local_send_queue", 0)),
            paused=found.get("wsrep_flow_control_active", "").lower() in ("true", "on"),
            life=found.get("wsrep_gcomm_uuid", ""),
            votes=int(found.get("wsrep_cluster_weight", 0)),
            quorum=found.get("wsrep_cluster_weight") != "0",
        )

    def _asked_anew(self, question: str) -> list[tuple[Any, ...]]:
        """As `run`; over a new connection if the one that was there has ended.

        Somebody may have ended it (KILL, a tool that looks for idle ones), and mariadbd is well.
        """
        kept = self._connection is not None
        try:
            return self.run(question)
        except SqlLateError:
            raise
        except SqlError:
            if not kept:
                raise
            return self.run(question)

    def desync_is_set(self) -> bool:
        """Whether somebody has set wsrep_desync. Raises SqlError."""
        return self.run("SELECT @@GLOBAL.wsrep_desync") == [(1,)]

    def nothing_held(self, seconds: float) -> bool:
        """Whether nobody locks all tables, makes a backup, or runs a statement since `seconds` or longer.

        By trying what each forbids, for no time: a change of no row, and to begin a backup. Raises SqlError.
        """
        statements = (
            "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE COMMAND IN ('Query', 'Execute') "
            "AND ID <> CONNECTION_ID() AND TIME_MS >= %s"
        )
        if self.run(statements, (str(seconds * 1000),)) != [(0,)]:
            return False
        try:
            self.run("SET STATEMENT lock_wait_timeout=0 FOR DELETE FROM mysql.gtid_slave_pos WHERE FALSE")
            self.run("SET STATEMENT lock_wait_timeout=0 FOR BACKUP STAGE START")
        except SqlError:
            return False
        self.run("BACKUP STAGE END")
        return True

    def set_weight(self, weight: int) -> None:
        """This node's vote in the Primary component. Raises SqlError."""
        self.run(f"SET GLOBAL wsrep_provider_options='pc.weight={weight}'")

    def kept_out(self) -> frozenset[str]:
        """The lives that this node lets into no group, by its own word or by others'. Raises SqlError."""
        found = self.run("SHOW GLOBAL STATUS LIKE 'wsrep_evs_evict_list'")
        return frozenset(life for _, lives in found for life in lives.lower().split(",") if life)

    def leave_out(self, life: str) -> None:
        """Has the group go on without a member. Raises SqlError.

        Args:
            life: its UUID; empty: nobody is kept out any more.
        """
        self.run(f"SET GLOBAL wsrep_provider_options='evs.evict={life}'")


def _is_late(error: BaseException | None) -> bool:
    """The client's library wraps what the socket said, as often as not without naming it the cause."""
    while error is not None:
        # BlockingIOError: so many wait for a connection that the socket takes nobody else.
        if isinstance(error, TimeoutError | BlockingIOError) or error.args[:1] == (TOO_MANY,):
            return True
        error = error.__context__
    return False


def load_file(settings: Settings, script: IO[bytes], words: Path) -> subprocess.Popen[bytes]:
    """Starts the client, which knows DELIMITER, on an open SQL file; what it says goes to the file `words`.

    The text is UTF-8 unless the file itself says otherwise (`SET NAMES`): the container has no locale that
    the client could take it from.
    """
    with open(words, "wb") as output:
        return subprocess.Popen(
            [
                CLIENT,
                "--no-defaults",
                "--default-character-set=utf8mb4",
                f"--socket={settings.socket}",
                "--user=mysql",
                settings.database,
            ],
            stdin=script,
            stdout=subprocess.DEVNULL,
            stderr=output,
        )
