"""The deep check: whether all nodes hold the same, compared at one position while clients write.

Owned here: what is compared, in which order, what is tried again, what is said meanwhile, and the findings.
Left to others: how nodes come to one position (one_position.py), tables (rows.py), other objects
(definitions.py), SSH (verify.py).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from operations.deep import definitions, rows
from operations.deep.definitions import SYSTEM, Definitions, Thing
from operations.deep.one_position import OnePosition
from operations.deep.rows import Compared
from operations.deep.sessions import DEADLOCK, Answer, Opener, Rows, SqlError, tell, whole
from operations.deep.sums import Piece, Table

TRIES = 3
"""How often a table is begun anew because its definition changed, and definitions are read again."""
BATCH = 100
"""Definitions that are asked for at once."""
TELL = 3.0
"""Seconds between two lines of progress."""


@dataclass(frozen=True)
class Odd:
    """Something that is not the same on all nodes.

    Attributes:
        what: e.g. `rows of app.word`.
        groups: nodes with the same content together, the largest group first.
        how: what differs, for people.
        why: what else is known about it; may be empty.
    """

    what: str
    groups: tuple[tuple[str, ...], ...]
    how: str
    why: str = ""


@dataclass
class Outcome:
    """What a deep check found.

    Attributes:
        odd: differences. changed: tables that could not be compared because they kept changing.
        tables, rows, objects: how many were compared. whole: tables that were read in one piece.
        loose: tables whose engine does not replicate rows.
        positions: first and last that rows were compared at.
        pauses, longest_pause: how often all nodes stood still, and for how many seconds at the most.
    """

    nodes: tuple[str, ...]
    odd: list[Odd] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    tables: int = 0
    rows: int = 0
    objects: int = 0
    whole: list[str] = field(default_factory=list)
    loose: list[str] = field(default_factory=list)
    positions: tuple[int, int] = (0, 0)
    pauses: int = 0
    longest_pause: float = 0.0


async def compare(nodes: Sequence[str], opener: Opener) -> Outcome:
    """Compare all that the nodes hold. Raises OperationsError if that can't be done, SessionLost if one goes.

    `nodes`: at least two, all Synced. The user is told of progress and waits, a line at a time.
    """
    async with OnePosition(nodes, opener) as at:
        run = _Run(at)
        await run.all()
        return run.outcome


class _Run:
    def __init__(self, at: OnePosition) -> None:
        self._at = at
        self.outcome = Outcome(at.nodes)
        self._begun = self._told = time.monotonic()
        self._total = self._behind = 0  # rows in all, and of the tables that are done, by estimate

    async def all(self) -> None:
        at, outcome = self._at, self.outcome
        await self._system_tables()
        compared: dict[str, str] = {}  # title to the definition with which it was
        left: list[str] = []
        for _ in range(TRIES):
            seen = await self._definitions()
            wanted = _common(seen)
            left = [title for title, table in wanted.items() if compared.get(title) != table.definition]
            self._total = sum(wanted[title].estimate for title in left) or 1
            self._behind = 0
            if not left:
                break
            for title in left:
                if await self._table(wanted[title]):
                    compared[title] = wanted[title].definition
                self._behind += wanted[title].estimate
        seen = await self._definitions()
        wanted = _common(seen)
        outcome.changed = sorted(
            title for title, table in wanted.items() if compared.get(title) != table.definition
        )
        outcome.odd = [
            each for each in outcome.odd if each.what.removeprefix("rows of ") not in outcome.changed
        ]
        outcome.odd += await self._confirmed(seen)
        outcome.objects = len(next(iter(seen.values())).shown)
        outcome.tables = len(compared.keys() & wanted.keys())
        outcome.whole = sorted(title for title in compared.keys() & wanted.keys() if not wanted[title].key)
        await self._loose(seen)
        outcome.pauses, outcome.longest_pause = len(at.pauses), max(at.pauses, default=0.0)

    # -- definitions -----------------------------------------------------------------------------------------

    async def _definitions(self) -> dict[str, Definitions]:
        """All definitions of every node; not at one position."""
        self._progress("definitions")
        answers = await self._listed()
        listed = {node: definitions.listed(answer) for node, answer in answers.items()}
        shown = await asyncio.gather(*(self._shown(node, told.things) for node, told in listed.items()))
        return {
            node: definitions.definitions(told, answer)
            for (node, told), answer in zip(listed.items(), shown, strict=True)
        }

    async def _listed(self) -> dict[str, list[Rows]]:
        """What is there on every node; asked for again where a change from another node broke into it."""
        tries = TRIES
        while True:
            await self._at.release()
            try:
                return await self._at.ask_all(*definitions.LIST)
            except SqlError as error:
                tries -= 1
                if error.code != DEADLOCK or not tries:
                    raise

    async def _shown(self, node: str, things: Sequence[Thing]) -> dict[Thing, Answer]:
        found: dict[Thing, Answer] = {}
        for start in range(0, len(things), BATCH):
            part = things[start : start + BATCH]
            answers = await self._at.answers(node, [thing.show for thing in part])
            found.update(zip(part, answers, strict=True))
        return found

    async def _confirmed(self, seen: Mapping[str, Definitions]) -> list[Odd]:
        """Objects that are not the same everywhere, looked at again while the nodes stand still."""
        names = {thing for each in seen.values() for thing in each.shown}
        suspects = [
            thing for thing in names if len({each.shown.get(thing, "") for each in seen.values()}) > 1
        ]
        suspects.sort(key=lambda thing: (thing.kind, thing.name))
        odd = []
        for start in range(0, len(suspects), BATCH):
            part = suspects[start : start + BATCH]
            answers = await self._at.stand_still(*(thing.show for thing in part))
            for number, thing in enumerate(part):
                told = {
                    node: definitions.comparable(thing, answer[number]) for node, answer in answers.items()
                }
                if len(set(told.values())) > 1:
                    lacking = [node for node, text in told.items() if not text]
                    how = f"missing on {' and '.join(lacking)}" if lacking else "defined differently"
                    odd.append(Odd(f"{thing.kind} {thing.name}", rows.groups(told), how))
        return odd

    # -- rows ------------------------------------------------------------------------------------------------

    async def _table(self, table: Table) -> bool:
        """Compare a table's rows; False if its definition changed meanwhile."""
        try:
            done = await rows.compare(table, self._at, self._piece)
        except SqlError as error:
            tell(f"{table.title} is changed meanwhile, it is compared again later ({error})")
            await self._at.release()
            return False
        outcome = self.outcome
        outcome.rows += done.rows
        outcome.positions = (outcome.positions[0] or done.positions[0], done.positions[1])
        what = f"rows of {table.title}"
        outcome.odd = [each for each in outcome.odd if each.what != what]
        outcome.odd += _odd_rows(what, done)
        return True

    def _piece(self, done: Compared) -> None:
        whole = max(done.table.estimate, done.rows, 1)
        part = min(100.0, 100 * done.rows / whole)
        overall = min(100.0, 100 * (self._behind + done.table.estimate * part / 100) / self._total)
        self._progress(
            f"{done.table.title}: piece {done.pieces}, {done.rows} rows, about {part:.0f} %; "
            f"of all about {overall:.0f} %"
        )

    def _progress(self, what: str) -> None:
        now = time.monotonic()
        if now - self._told >= TELL:
            tell(f"{_clock(now - self._begun)} {what}")
            self._told = now

    # -- what has no snapshots -------------------------------------------------------------------------------

    async def _loose(self, seen: Mapping[str, Definitions]) -> None:
        """Tables of engines whose rows are not replicated: equal by chance, or not."""
        common = set.intersection(*(set(each.loose) for each in seen.values()))
        first = next(iter(seen.values()))
        await self._at.release()
        for title in sorted(common):
            table = first.loose[title]
            self.outcome.loose.append(f"{title} ({table.engine})")
            sums: dict[str, tuple[int, int]] = {}
            for _ in range(TRIES):
                try:
                    answers = await self._at.ask_all(table.sum_of(Piece()))
                except SqlError:
                    self.outcome.changed.append(title)
                    break
                sums = {node: _sum(answer[0]) for node, answer in answers.items()}
                if len(set(sums.values())) == 1:
                    break
                await asyncio.sleep(1)
            if len(set(sums.values())) > 1:
                why = f"{table.engine} does not replicate rows"
                self.outcome.odd.append(Odd(f"rows of {title}", rows.groups(sums), _counted(sums), why))

    async def _system_tables(self) -> None:
        """Accounts, privileges and the like; what seems to differ is looked at while all stand still."""
        answers = await self._at.ask_all(definitions.SYSTEM_COLUMNS)
        columns: dict[str, dict[str, list[str]]] = {}
        for node, [listed] in answers.items():
            for table, column in listed:
                columns.setdefault(table, {}).setdefault(node, []).append(column)
        for what, names in SYSTEM.items():
            asked = {
                name: definitions.system_sum(name, columns[name][self._at.nodes[0]])
                for name in names
                if len(columns.get(name, ())) == len(self._at.nodes)
            }
            sums = await self._at.ask_all(*asked.values())
            for number, (name, query) in enumerate(asked.items()):
                told = {node: _sum(answer[number]) for node, answer in sums.items()}
                if len(set(told.values())) > 1:
                    still = await self._at.stand_still(query)
                    told = {node: _sum(whole(answer)[0]) for node, answer in still.items()}
                if len(set(told.values())) > 1:
                    how = f"mysql.{name} differs: {_counted(told)}"
                    self.outcome.odd.append(Odd(what, rows.groups(told), how))


def _common(seen: Mapping[str, Definitions]) -> dict[str, Table]:
    """Tables that all nodes have with the same columns; by the first node's word.

    One that is not defined the same everywhere may lack its index on a node: it is read without.
    """
    first, *others = seen.values()
    found = {}
    for title, table in first.tables.items():
        twins = [each.tables.get(title) for each in others]
        if all(twin is not None and twin.columns == table.columns for twin in twins):
            same = all(twin is not None and twin.definition == table.definition for twin in twins)
            found[title] = table if same else replace(table, key=(), index="")
    return found


def _odd_rows(what: str, done: Compared) -> list[Odd]:
    odd = []
    for apart, first in done.different.items():
        how = f"{first.pieces} of {done.pieces} pieces differ, first at {first.shown}: {_counted(first.sums)}"
        odd.append(Odd(what, apart, how))
    return odd


def _counted(sums: Mapping[str, tuple[int, int]]) -> str:
    """Numbers of rows by node."""
    return ", ".join(f"{counted(count, 'row')} on {node}" for node, (count, _) in sums.items())


def counted(number: int, what: str) -> str:
    """E.g. `1 row`, `2 rows`."""
    return f"{number} {what}{'s' * (number != 1)}"


def _sum(answer: Rows) -> tuple[int, int]:
    return int(answer[0][0]), int(answer[0][1])


def _clock(seconds: float) -> str:
    return f"{seconds // 60:.0f}:{seconds % 60:02.0f}"
