"""Snapshots of all nodes at one position of the cluster's history, while clients write.

Owned here: how the nodes are brought to stand still together for a moment, and what that leaves behind.
Left to others: what is asked of one node meanwhile (standing_still.py), what is read from the snapshots.

Galera runs a change of a table's definition at the same place of the history on every node: what came before
is committed there, nothing that comes after is. So each node locks a table of our own (LOCK TABLES … READ,
which is not replicated, and which no node ends for the sake of others' changes), then one of them changes
that table. While the change waits for our lock, its node stands still at the position before it, and a
snapshot is taken there. Once all nodes have theirs, the locks go, and the cluster goes on: commits have
waited for about as long as the slowest way to a node and back. An orphaned lock ends after `HELD` seconds.

Snapshots are InnoDB's own: reading from them locks nothing. What changes a table's definition ends the
reader, not the other way round.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
from collections.abc import Mapping, Sequence
from typing import TypeVar

from operations.deep.sessions import Answer, Opener, Rows, Session, SessionLost, SqlError, tell, whole
from operations.deep.standing_still import still_standing, take_snapshot
from operations.deep.sums import quoted, text
from operations.errors import OperationsError

PREFIX = "swarm_galera_check_"
"""Of the schema's name that is there during a check."""
HELD = 5
"""Seconds after which a node's server ends a lock that nobody gives up."""
CALM = 50
"""Write-sets that a node may have to apply yet: with more, it is given time first."""
PAUSED = 0.05
"""Part of the time in which flow control may hold the cluster up: with more, it is given time first."""
PATIENCE = 300.0
"""Seconds without one common position until that is an error."""
LONGEST_AGE = 10.0
"""Seconds after which a snapshot is renewed: the server keeps all former rows that it may still see."""
LOCK_WAIT = 30
"""Seconds that a change of a definition must be allowed to wait (`lock_wait_timeout`): a node on which ours
gave up would count as inconsistent."""
ALONE = "swarm-galera deep check"
"""Name of the lock that a check holds on the first node, so that no other one clears its schema away."""

T = TypeVar("T")

_LOAD = (
    "SELECT VARIABLE_NAME, VARIABLE_VALUE FROM information_schema.GLOBAL_STATUS "
    "WHERE VARIABLE_NAME IN ('wsrep_local_recv_queue', 'wsrep_flow_control_paused_ns')"
)


class OnePosition:
    """The nodes' readers, and the way to a common snapshot of them.

    Use as an asynchronous context: it clears what a former check left, and leaves nothing itself.
    """

    def __init__(self, nodes: Sequence[str], opener: Opener) -> None:
        """`nodes`: at least two, all Synced."""
        self.nodes = tuple(nodes)
        self.position = 0
        self.pauses: list[float] = []  # seconds for which commits waited at the most
        self._opener = opener
        self._schema = PREFIX + secrets.token_hex(4)
        self._sessions: dict[tuple[str, str], Session] = {}
        self._taken = 0.0  # when the present snapshots were
        self._turn = 0
        self._told = self._looked = 0.0
        self._flow: dict[str, tuple[float, int]] = {}  # when a node was asked last, and its nanoseconds then

    async def __aenter__(self) -> OnePosition:
        try:
            await asyncio.gather(
                *(self._opened(node, use) for node in self.nodes for use in ("read", "lock"))
            )
            await self._opened(self.nodes[0], "change")
            await self._begin()
        except BaseException:
            self._end_all()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        # Whatever a session is in the middle of ends with it; the last word needs a new one.
        self._end_all()
        last: Exception | None = None
        for node in self.nodes:
            try:
                session = await Session.opened(node, self._opener)
            except SessionLost as error:
                last = error
                continue
            try:
                await session.ask(f"DROP DATABASE IF EXISTS {quoted(self._schema)}")
            except (SqlError, SessionLost) as error:
                last = error
            else:
                return
            finally:
                session.end()
        tell(f"The schema {self._schema} may be left: {last}. The next deep check removes it.")

    async def _begin(self) -> None:
        first = self._sessions[self.nodes[0], "change"]
        limits = await self.ask_all("SELECT @@GLOBAL.lock_wait_timeout")
        for node, answer in limits.items():
            if int(answer[0][0][0]) < LOCK_WAIT:
                raise OperationsError(
                    f"lock_wait_timeout is {answer[0][0][0]} s on {node}: a deep check has definitions wait "
                    f"for a moment, so it needs at least {LOCK_WAIT}. Remedy: SET GLOBAL lock_wait_timeout = "
                    f"{LOCK_WAIT} on every node, and galera.config for good"
                )
        [[(alone,)], left] = await first.ask(
            f"SELECT IFNULL(IS_USED_LOCK({text(ALONE)}) = CONNECTION_ID(), 0)",
            f"SELECT SCHEMA_NAME FROM information_schema.SCHEMATA WHERE SCHEMA_NAME LIKE '{PREFIX}%'",
        )
        if alone != "1":
            raise OperationsError(
                f"Another deep check is going on (a session with {self.nodes[0]} holds its lock): wait for "
                "its end."
            )
        for (name,) in left:
            await first.ask(f"DROP DATABASE IF EXISTS {quoted(name)}")
            tell(f"Removed what an interrupted deep check left: the schema {name}.")
        await first.ask(
            f"CREATE DATABASE {quoted(self._schema)}",
            f"CREATE TABLE {self._table} (id INT PRIMARY KEY) ENGINE=InnoDB",
        )

    @property
    def _table(self) -> str:
        return f"{quoted(self._schema)}.`here`"

    async def _opened(self, node: str, use: str) -> Session:
        session = self._sessions.get((node, use))
        if session is None or not session.alive:
            session = self._sessions[node, use] = await Session.opened(node, self._opener)
            if use == "change":
                # Given up on its own node alone, a change would make that node inconsistent.
                await session.ask(
                    "SET SESSION lock_wait_timeout = 86400", f"SELECT GET_LOCK({text(ALONE)}, 0)"
                )
        return session

    def _end_all(self) -> None:
        for session in self._sessions.values():
            session.end()

    # -- asking ----------------------------------------------------------------------------------------------

    async def ask_all(self, *statements: str) -> dict[str, list[Rows]]:
        """The same of all nodes at a time. Raises a SqlError or SessionLost once all have answered."""
        return await self.ask_each(dict.fromkeys(self.nodes, statements))

    async def ask_each(self, statements: Mapping[str, Sequence[str]]) -> dict[str, list[Rows]]:
        """Statements by node, in the nodes' reading sessions."""
        answers = await asyncio.gather(
            *(self._read(node, asked) for node, asked in statements.items()), return_exceptions=True
        )
        return dict(zip(statements, _all(answers), strict=True))

    async def answers(self, node: str, statements: Sequence[str]) -> list[Answer]:
        """Of one node's reading session; a statement that failed has its error for an answer."""
        session = await self._opened(node, "read")
        return await session.answers(*statements)

    async def _read(self, node: str, statements: Sequence[str]) -> list[Rows]:
        session = await self._opened(node, "read")
        return await session.ask(*statements)

    async def calm(self) -> None:
        """Wait while a node has much to apply, or flow control holds the cluster up. Looks twice a second."""
        if time.monotonic() - self._looked < 0.5:
            return
        while busy := self._busy(await self.ask_all(_LOAD)):
            now = time.monotonic()
            if now - self._told >= 5:
                tell(f"waiting: {busy}")
                self._told = now
            if self.age > LONGEST_AGE:
                await self.release()
            await asyncio.sleep(0.5)

    def _busy(self, answers: dict[str, list[Rows]]) -> str:
        """What is to be waited for; empty if nothing is."""
        now, busy = time.monotonic(), []
        self._looked = now
        for node, [rows] in answers.items():
            told = {name.lower(): int(value) for name, value in rows}
            queue, paused = told["wsrep_local_recv_queue"], told["wsrep_flow_control_paused_ns"]
            when, before = self._flow.get(node, (now, paused))
            if queue > CALM:
                busy.append(f"{node} has {queue} write-sets to apply")
            elif now > when and (paused - before) / 1e9 > PAUSED * (now - when):
                busy.append(f"flow control holds writes up, says {node}")
            self._flow[node] = (now, paused)
        return ", ".join(busy)

    # -- one position ----------------------------------------------------------------------------------------

    @property
    def age(self) -> float:
        """Seconds since the present snapshots were taken; very many if there are none."""
        return time.monotonic() - self._taken if self._taken else float("inf")

    async def snapshot(self) -> None:
        """Have snapshots at one position in the reading sessions, not older than `LONGEST_AGE`."""
        if self.age > LONGEST_AGE:
            await self.stand_still()

    async def release(self) -> None:
        """Give the snapshots up; a session that a change of a definition has ended can be asked again."""
        self._taken = 0.0
        await asyncio.gather(
            *(
                session.ask("ROLLBACK")
                for (_, use), session in self._sessions.items()
                if use == "read" and session.alive
            ),
            return_exceptions=True,
        )

    async def stand_still(self, *meanwhile: str) -> dict[str, list[Answer]]:
        """Take new snapshots; the answers to `meanwhile`, asked of each node while all stand still.

        Meant for a few short statements on what has no snapshots. Raises OperationsError if the nodes can't
        be brought to one position.
        """
        deadline, wait = time.monotonic() + PATIENCE, 1.0
        while True:
            await self.release()
            try:
                await self.calm()
                answers = await self._try(meanwhile)
            except (SessionLost, SqlError) as error:
                answers, why = None, str(error)
                # A node that can't be talked to at all ends the check.
                await asyncio.gather(*(self._opened(node, "read") for node in self.nodes))
            else:
                why = "a change of a definition, or the load, holds one of the nodes up"
            if answers is not None:
                return answers
            await self.release()
            if time.monotonic() > deadline:
                raise OperationsError(
                    f"The nodes could not be brought to one position within {PATIENCE:.0f} s: {why}. Remedy: "
                    "see SHOW PROCESSLIST on the nodes, and repeat when there is less to do"
                )
            tell(f"waiting for one position of all nodes: {why}")
            await asyncio.sleep(wait)
            wait = min(wait * 2, 30)

    async def _try(self, meanwhile: Sequence[str]) -> dict[str, list[Answer]] | None:
        """One try; None if not all nodes stood still in time."""
        self._turn += 1
        marker = f"{self._schema}-{self._turn}"
        locks = await asyncio.gather(*(self._opened(node, "lock") for node in self.nodes))
        readers = await asyncio.gather(*(self._opened(node, "read") for node in self.nodes))
        changer = await self._opened(self.nodes[0], "change")
        change: asyncio.Task[list[Rows]] | None = None
        try:
            _all(
                await asyncio.gather(
                    *(
                        lock.ask(f"SET SESSION wait_timeout = {HELD}", f"LOCK TABLES {self._table} READ")
                        for lock in locks
                    ),
                    return_exceptions=True,
                )
            )
            change = asyncio.create_task(changer.ask(f"ALTER TABLE {self._table} COMMENT = '{marker}'"))
            begun = time.monotonic()
            answers = _all(
                await asyncio.gather(
                    *(
                        reader.answers(*take_snapshot(marker), *meanwhile, still_standing(marker))
                        for reader in readers
                    ),
                    return_exceptions=True,
                )
            )
        finally:
            # A lock whose session is lost is given up by the server.
            await asyncio.gather(
                *(
                    lock.ask("UNLOCK TABLES", "SET SESSION wait_timeout = 3600")
                    for lock in locks
                    if lock.alive
                ),
                return_exceptions=True,
            )
            if change is not None:
                await self._over(change)
        self.pauses.append(time.monotonic() - begun)
        seen = set()
        for answer in answers:
            _, _, [before], [after] = whole([*answer[:3], answer[-1]])
            seen |= {before, after}
        [(standing, position), *others] = seen
        if others or standing != "1":
            return None
        self.position, self._taken = int(position), time.monotonic()
        return {reader.node: answer[3:-1] for reader, answer in zip(readers, answers, strict=True)}

    async def _over(self, change: asyncio.Task[list[Rows]]) -> None:
        """Wait for the end of our change: it may stand behind somebody's long one."""
        told = time.monotonic()
        while not change.done():
            await asyncio.wait([change], timeout=1)
            if not change.done() and time.monotonic() - told >= 5:
                tell("waiting for the end of a change of a definition that all nodes wait for")
                told = time.monotonic()
        with contextlib.suppress(SqlError, SessionLost):
            change.result()


def _all(answers: Sequence[T | BaseException]) -> list[T]:
    """The answers, if all are; else the first error is raised, a lost session before a failed statement."""
    errors = [answer for answer in answers if isinstance(answer, BaseException)]
    errors.sort(key=lambda error: not isinstance(error, SessionLost))
    if errors:
        raise errors[0]
    return [answer for answer in answers if not isinstance(answer, BaseException)]
