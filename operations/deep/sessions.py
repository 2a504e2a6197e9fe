"""Sessions with the databases of several nodes, side by side.

Owned here: what is said to a `mariadb` client over its standard input, and how its answers and errors read.
Left to others: how a client is started on a node (`Opener`), the SQL.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from operations.messages import say

CLIENT = ("mariadb", "-NB", "--unbuffered", "--force", "--skip-reconnect", "--default-character-set=utf8mb4")
"""The client's command line; its standard error must come over its standard output."""
DELIMITER = "$over$"
LONGEST_LINE = 64 << 20
"""Bytes of one row of an answer, e.g. the definition of a view."""
OPENING = 60.0
"""Seconds for a client to start on a host that is short of CPU."""
QUIET = 30.0
"""Seconds without the answer to what was asked together, after which it is said, again and again."""
SHOWN = 100
"""Letters of the statement that are shown then."""

_ERROR = re.compile(r"ERROR (\d+) \((\w+)\)(?: at line \d+)?: (.*)")
_LOST = frozenset({1047, 1053, 1152, 1927, 2006, 2013, 2055, 4031})
"""Errors after which a session is of no use any more; 1047 is a node that has left its group."""
_ESCAPES = {"n": "\n", "t": "\t", "0": "\0", "\\": "\\"}
# Of a session that only reads: limits and habits of the server's settings must not change what it sees.
_MANNERS = (
    "SET SESSION wsrep_sync_wait = 0",
    "SET SESSION sql_mode = ''",
    "SET SESSION time_zone = '+00:00'",
    "SET SESSION max_statement_time = 0",
    "SET SESSION wait_timeout = 3600",
    "SET SESSION idle_transaction_timeout = 0",
    "SET SESSION idle_readonly_transaction_timeout = 0",
    "SET SESSION idle_write_transaction_timeout = 0",
    "SET SESSION lock_wait_timeout = 20",
    "SET SESSION sql_select_limit = DEFAULT",
    "SET SESSION group_concat_max_len = 1048576",
    "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ",
)

DEADLOCK = 1213
"""MariaDB's number for a session that a change from another node broke into, too."""

Rows = list[tuple[str, ...]]


def tell(text: str) -> None:
    """A line of the check's for the user, who may wait long for it."""
    say(f"deep check: {text}")


class SqlError(Exception):
    """A statement that failed on a node. `code`: MariaDB's number."""

    def __init__(self, node: str, code: int, words: str) -> None:
        super().__init__(f"{node}: ERROR {code}: {words}")
        self.node, self.code = node, code


class SessionLost(Exception):
    """A session that is over: its node, its host or the way to it is gone, or somebody ended it."""

    def __init__(self, node: str, why: str) -> None:
        super().__init__(f"{node}: the session with its database is lost: {why}")
        self.node = node


Answer = Rows | SqlError


def whole(answers: Sequence[Answer]) -> list[Rows]:
    """The answers, if none is an error; else the first error is raised."""
    for answer in answers:
        if isinstance(answer, SqlError):
            raise answer
    return [answer for answer in answers if not isinstance(answer, SqlError)]


class Input(Protocol):
    """Standard input of a client."""

    def write(self, data: bytes, /) -> None:
        """Take data."""

    async def drain(self) -> None:
        """Wait until there is room for more."""


class Output(Protocol):
    """Standard output of a client, its standard error in it."""

    async def readline(self) -> bytes:
        """The next line, empty at the end."""


@dataclass(frozen=True)
class Client:
    """A running client. `end`: ends it at once."""

    stdin: Input
    stdout: Output
    end: Callable[[], None]


Opener = Callable[[str], Awaitable[Client]]
"""Starts `CLIENT` on a node, by the node's name. Raises OSError or SessionLost."""


class Session:
    """One session with one node. Statements are asked one after the other."""

    def __init__(self, node: str, client: Client) -> None:
        self.node = node
        self._client = client
        self._asked = 0
        self._busy = asyncio.Lock()
        self._over = self._asking = ""

    @classmethod
    async def opened(cls, node: str, opener: Opener) -> Session:
        """A session that is ready. Raises SessionLost."""
        try:
            session = cls(node, await opener(node))
            async with asyncio.timeout(OPENING):
                session._client.stdin.write(f"DELIMITER {DELIMITER}\n".encode())
                await session.ask(*_MANNERS)
        except TimeoutError:
            raise SessionLost(node, f"no answer within {OPENING:.0f} s") from None
        except OSError as error:
            raise SessionLost(node, str(error)) from error
        return session

    @property
    def alive(self) -> bool:
        """Whether it may be asked; one that ended unnoticed still counts."""
        return not self._over

    async def ask(self, *statements: str) -> list[Rows]:
        """The rows of each statement, in order. Raises SqlError of the first that failed, and SessionLost.

        All of them are sent at once, and run also after one that failed.
        """
        return whole(await self.answers(*statements))

    async def answers(self, *statements: str) -> list[Answer]:
        """As `ask`, with the error of each statement that failed in its place.

        Says every `QUIET` seconds which statement has no answer yet.
        """
        async with self._busy:
            if self._over:
                raise SessionLost(self.node, self._over)
            work = asyncio.ensure_future(self._answers(statements))
            begun = time.monotonic()
            try:
                while not (await asyncio.wait([work], timeout=QUIET))[0]:
                    since = time.monotonic() - begun
                    tell(f"waiting for {self.node}, for {since:.0f} s: {self._asking[:SHOWN]}")
                return work.result()
            except BaseException as error:
                work.cancel()
                # What was not read to its end would be taken for the next answer.
                self.end(str(error) or "interrupted")
                raise

    async def _answers(self, statements: Sequence[str]) -> list[Answer]:
        marks = []
        for statement in statements:
            self._asked += 1
            marks.append(mark := f"answered-{self._asked}")
            for text in (statement, f"SELECT '{mark}'", f"SELECT '{mark}, over'"):
                self._client.stdin.write(f"{text}\n{DELIMITER}\n".encode())
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # the last words say why
            await self._client.stdin.drain()
        answers = []
        for statement, mark in zip(statements, marks, strict=True):
            self._asking = statement
            answers.append(await self._answer(mark))
        return answers

    async def _answer(self, mark: str) -> Answer:
        """What comes before `mark, over`.

        A change from another node can end a transaction between two statements: the server then says so in
        place of the next one's answer. That may be the mark's, so there are two of them. What is ended once
        has no transaction any more, so that not both fail before either has come.
        """
        rows: Rows = []
        failed: SqlError | None = None
        marked = False
        while (line := await self._line()) != f"{mark}, over":
            if line == mark:
                marked = True
            elif found := _ERROR.fullmatch(line):
                code, words = int(found[1]), found[3]
                if code in _LOST:
                    raise SessionLost(self.node, words)
                failed = failed or SqlError(self.node, code, words)
                if marked:  # it came in place of the last word
                    break
            else:
                rows.append(tuple(_plain(field) for field in line.split("\t")))
        return failed or rows

    async def _line(self) -> str:
        try:
            line = await self._client.stdout.readline()
        except (OSError, ValueError) as error:
            raise SessionLost(self.node, str(error)) from error
        if not line.endswith(b"\n"):
            raise SessionLost(self.node, line.decode(errors="replace").strip() or "its client has ended")
        return line[:-1].decode(errors="surrogateescape")

    def end(self, why: str = "closed") -> None:
        """End it now; what it holds (locks, a snapshot) the server gives up by itself."""
        self._over = self._over or why
        self._client.end()


def _plain(field: str) -> str:
    """A value as it is: the client escapes what would break its lines."""
    if "\\" not in field:
        return field
    return re.sub(r"\\(.)", lambda found: _ESCAPES.get(found[1], found[0]), field)
