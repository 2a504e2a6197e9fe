"""A server of its own on data from the archive: unpacked, prepared, brought to the exact position.

It writes nothing between its start and the replay but what the logs say, replicates nothing and listens on no
network: whatever wrote first would take the numbers of transactions that are then left out in silence. After
each log it is asked for its position, and a number that is missing ends the restore.

Owns: mariadb-backup --prepare, the server's options, mariadb-binlog. Leaves to others: the plan, where the
data goes then (`loading`), what is compared (`tables`).
"""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from .. import server
from ..archive.backup_stream import numbers
from ..backup_programs import BACKUP, tail
from ..sql import CLIENT, Sql, SqlError
from . import streams
from .catalog import Base, Log
from .plan import Plan, gtid
from .streams import Source, Tell

BINLOG = "/usr/bin/mariadb-binlog"
LOG = "replay"
"""The scratch server's own binary logs: by them it knows which numbers it has."""
START = 3600.0
"""Seconds without work after which a start counts as failed: InnoDB may have much to recover."""
STOP = 1800.0
READ = 12 * 3600.0
"""Seconds for one answer: all rows of a large table are read for its checksum."""
MY_CNF = Path("/etc/mysql/my.cnf")
Say = Callable[[str], None]


class ScratchError(Exception):
    """The data can't be brought to the position; the message says why."""


def options(folder: Path, run: Path, pool: int, more: str = "") -> str:
    """The server's option file; what is set last counts.

    Args:
        pool: bytes of the buffer pool, unless the deployment's files say another size.
        more: the stack's own options, where no file of the image has them. The container is then another one
            than the database's, with less memory: `pool` counts, whatever these say.
    """
    return "\n".join(
        [
            "[mysqld]",
            f"innodb_buffer_pool_size = {pool}",
            f"!include {MY_CNF}",
            more,
            "[mysqld]",
            *([f"innodb_buffer_pool_size = {pool}"] if more else []),
            f"datadir = {folder}",
            f"socket = {run}/mysqld.sock",
            f"pid_file = {run}/mysqld.pid",
            f"innodb_undo_directory = {folder}",
            "skip_networking",
            "require_secure_transport = OFF",
            "wsrep_on = OFF",
            "wsrep_provider = none",
            "wsrep_gtid_mode = OFF",
            "event_scheduler = OFF",
            "skip_slave_start",
            f"log_bin = {folder}/{LOG}",
            f"log_bin_index = {folder}/{LOG}.index",
            "server_id = 1",
            "gtid_strict_mode = ON",
            "max_allowed_packet = 1G",
            # It is stopped in order, or all is done again.
            "sync_binlog = 0",
            "innodb_flush_log_at_trx_commit = 0",
            "[mariabackup]",
            "user = mysql",
            "",
        ]
    )


class Scratch:
    """Data in `folder`, a server on it; `run` is in memory, for the socket and files; the rest as `options`.

    Attributes:
        sql: of the server, while it runs.
    """

    def __init__(
        self, folder: Path, run: Path, pool: int, say: Say, tell: Tell = streams.nothing, more: str = ""
    ) -> None:
        self.folder, self._run, self._say, self._tell = folder, run, say, tell
        self._defaults = run / "scratch.cnf"
        self._words = run / "scratch.log"
        self._pool, self._more = pool, more
        self._process: subprocess.Popen[bytes] | None = None
        self.sql = Sql(run / "mysqld.sock", patience=READ)

    def make(self, plan: Plan, source: Source, key: str) -> None:
        """All of it, up to a server that runs at the plan's position. Raises ScratchError, StreamError."""
        if plan.number is None:
            raise ScratchError("the position is not known yet")
        self._run.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._defaults.write_text(options(self.folder, self._run, self._pool, self._more))
        self.unpack(plan.chain, source, key)
        self.start()
        self.begin_at(plan.domain, plan.base.end)
        self.replay(plan, source, key)

    # ---- the base

    def unpack(self, chain: Sequence[Base], source: Source, key: str) -> None:
        """The full base, then each incremental, prepared. Raises ScratchError, StreamError."""
        full, *incrementals = chain
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(mode=0o700, parents=True)
        self._say(f"base {full.name}")
        streams.into_folder(source, full, key, self.folder, self._tell)
        self._prepare()
        for each in incrementals:
            beside = self.folder.with_name(f"{self.folder.name}-incremental")
            shutil.rmtree(beside, ignore_errors=True)
            beside.mkdir(mode=0o700)
            try:
                self._say(f"incremental {each.name}")
                streams.into_folder(source, each, key, beside, self._tell)
                self._prepare(beside)
            finally:
                shutil.rmtree(beside, ignore_errors=True)

    def _prepare(self, incremental: Path | None = None) -> None:
        words = [BACKUP, f"--defaults-file={self._defaults}", "--prepare", f"--target-dir={self.folder}"]
        if incremental is not None:
            words.append(f"--incremental-dir={incremental}")
        log = self._run / "prepare.log"
        with open(log, "wb") as said:
            child = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=said, stderr=said)
            code = self._waited(child, "preparing")
        if code != 0:
            raise ScratchError(f"mariadb-backup --prepare ended with {code}{tail(log, 8)}")

    def _waited(self, child: subprocess.Popen[bytes], what: str) -> int:
        """The exit code of a child; a line now and then while it works."""
        try:
            while True:
                try:
                    return child.wait(timeout=2.0)
                except subprocess.TimeoutExpired:
                    self._tell(what, 0, 0)
        finally:
            if child.poll() is None:
                child.kill()
                child.wait()

    # ---- the server

    def start(self) -> None:
        """Starts it, and waits until it answers. Raises ScratchError."""
        with open(self._words, "wb") as said:
            self._process = subprocess.Popen(
                [server.MARIADBD, f"--defaults-file={self._defaults}"],
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
            )
        work, at = server.work(self._process.pid), time.monotonic()
        while True:
            if self._process.poll() is not None:
                said_by = self._words.read_text(errors="replace")
                raise ScratchError(f"the scratch server did not start: {server.reason(said_by)}")
            with suppress(SqlError):
                self.sql.run("SELECT 1")
                return
            if (now := server.work(self._process.pid)) != work:
                work, at = now, time.monotonic()
            if time.monotonic() - at > START:
                raise ScratchError(f"the scratch server has not come up for {START:.0f} s")
            self._tell("starting", 0, 0)
            time.sleep(0.2)

    def stop(self) -> None:
        """Stops it in order. Raises ScratchError."""
        if self._process is None:
            return
        self.sql.close()
        self._process.terminate()
        try:
            code = self._process.wait(timeout=STOP)
        except subprocess.TimeoutExpired:
            self.kill()
            raise ScratchError(f"the scratch server did not stop within {STOP:.0f} s") from None
        self._process = None
        if code != 0:
            raise ScratchError(f"the scratch server ended with {code}{tail(self._words, 8)}")

    def kill(self) -> None:
        """Ends it now."""
        self.sql.close()
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    # ---- the logs

    def begin_at(self, domain: int, number: int) -> None:
        """Has the server know which number its data has. Raises SqlError."""
        self.sql.run("RESET MASTER")
        if number > 0:
            self.sql.run(f"SET GLOBAL gtid_binlog_state = '{gtid(domain, number)}'")

    def position(self, domain: int) -> int:
        """The last number that the server has. Raises SqlError."""
        ((text,),) = self.sql.run("SELECT @@GLOBAL.gtid_binlog_pos")
        return numbers(str(text)).get(domain, 0)

    def replay(self, plan: Plan, source: Source, key: str) -> None:
        """Brings the data to the plan's position. Raises ScratchError, StreamError, SqlError."""
        last = plan.number
        if last is None:
            raise ScratchError("the position is not known yet")
        file = self.folder.with_name(f"{self.folder.name}-log")
        began, taken = time.monotonic(), plan.base.end
        try:
            for index, log in enumerate(plan.logs, start=1):
                upto = min(log.last, last)
                self._say(f"log {index} of {len(plan.logs)}, to {plan.gtid(upto)}")
                streams.into_file(source, log, key, file, self._tell)
                self._apply(log, file, taken, upto, plan.domain)
                taken = self.position(plan.domain)
                if taken != upto:
                    raise ScratchError(
                        f"after log {log.first} to {log.last} the server is at {plan.gtid(taken)}, and must "
                        f"be at {plan.gtid(upto)}: transactions were left out"
                    )
                self._forget_logs()
        finally:
            file.unlink(missing_ok=True)
        if taken != last:
            raise ScratchError(f"the server came to {plan.gtid(taken)}, not to {plan.gtid(last)}")
        self._say(f"at {plan.gtid(last)}, {time.monotonic() - began:.1f} s for the logs")

    def _apply(self, log: Log, file: Path, taken: int, upto: int, domain: int) -> None:
        words = [
            BINLOG,
            "--no-defaults",
            f"--do-domain-ids={domain}",
            f"--stop-position={gtid(domain, upto)}",
        ]
        if log.first <= taken:
            words.append(f"--start-position={gtid(domain, taken)}")
        said, heard = self._run / "binlog.log", self._run / "client.log"
        with open(said, "wb") as reader_says, open(heard, "wb") as client_says:
            reader = subprocess.Popen(
                [*words, str(file)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=reader_says
            )
            if reader.stdout is None:
                raise AssertionError("it was started with this pipe")
            client = subprocess.Popen(
                [
                    CLIENT,
                    "--no-defaults",
                    "--binary-mode",
                    "--max-allowed-packet=1G",
                    "--default-character-set=utf8mb4",
                    f"--socket={self._run}/mysqld.sock",
                    "--user=mysql",
                ],
                stdin=reader.stdout,
                stdout=subprocess.DEVNULL,
                stderr=client_says,
            )
            reader.stdout.close()
            try:
                code = self._waited(client, "replaying")
                read = self._waited(reader, "replaying")
            finally:
                if reader.poll() is None:
                    reader.kill()
                    reader.wait()
        if code != 0:
            raise ScratchError(f"log {log.first} to {log.last} can't be replayed{_errors(heard)}")
        if read != 0:
            raise ScratchError(f"mariadb-binlog ended with {read}{tail(said, 4)}")

    def _forget_logs(self) -> None:
        """What was replayed is in the tables: its copy would take as much room as all logs."""
        self.sql.run("FLUSH LOCAL BINARY LOGS")
        names = [str(row[0]) for row in self.sql.run("SHOW BINARY LOGS")]
        self.sql.run(f"PURGE BINARY LOGS TO '{names[-1]}'")


def _errors(path: Path) -> str:
    """The client's errors: it repeats the statement, which may hold what belongs in no log."""
    lines = path.read_text(errors="replace").splitlines()
    return "".join(f"\n  {line[:300]}" for line in lines if line.startswith("ERROR"))
