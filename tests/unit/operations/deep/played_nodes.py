"""Databases of several nodes that are played: what a deep check asks of them is answered from a few tables.

Owned here: the answers, so far as the check asks. Left to others: what is expected of the check; what a real
server answers is in tests/images/test_deep_check.py.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from operations.deep import definitions
from operations.deep.one_position import PREFIX
from operations.deep.sessions import DELIMITER, Client
from operations.deep.sums import BROKEN

Rows = list[tuple[str, ...]]


class Failed(Exception):
    """A statement's error, as `NUMBER words`."""


@dataclass
class Node:
    """What one node holds.

    Attributes:
        tables: rows by title, each with its key and what its content adds to a sum.
        keyless, loose: of these tables: those without an index, those of an engine that does not replicate.
        texts: what a statement that shows a definition says, where it is not the usual.
        told: all statements that were asked of it.
        odd: called with each statement first; what it returns is the answer, unless that is None.
        gone: it answers nobody. lock_wait: its `lock_wait_timeout`.
        queue, paused: write-sets to apply, and nanoseconds of flow control, look by look.
    """

    name: str
    tables: dict[str, dict[int, int]]
    keyless: set[str] = field(default_factory=set)
    loose: set[str] = field(default_factory=set)
    texts: dict[str, str] = field(default_factory=dict)
    accounts: int = 5
    told: list[str] = field(default_factory=list)
    odd: Callable[[str], Rows | None] = lambda _: None
    gone: bool = False
    lock_wait: int = 86400
    queue: list[int] = field(default_factory=list)
    paused: list[int] = field(default_factory=list)
    locked: bool = False


class Nodes:
    """Some nodes of one cluster, all with the same content at first.

    Attributes:
        position: of all, or of those named in `ahead` that many further.
        alone: no other deep check is at work. schemas: of former checks, and of the present one.
    """

    def __init__(self, tables: dict[str, dict[int, int]], **more: set[str]) -> None:
        self.nodes = {
            name: Node(name, {title: dict(rows) for title, rows in tables.items()}, **more)  # type: ignore[arg-type]
            for name in ("g1", "g2", "g3")
        }
        self.position, self.ahead = 40, dict[str, int]()
        self.alone, self.schemas, self.changing = True, set[str](), False

    def __getitem__(self, name: str) -> Node:
        return self.nodes[name]

    async def opener(self, name: str) -> Client:
        """As `sessions.Opener`."""
        if self.nodes[name].gone:
            raise ConnectionRefusedError(f"{name} is off")
        played = Played(self, self.nodes[name])
        return Client(played, played, lambda: None)

    def answer(self, node: Node, asked: str) -> Rows:
        """The rows of one statement. Raises Failed."""
        node.told.append(asked)
        if (odd := node.odd(asked)) is not None:
            return odd
        if asked.startswith("SELECT 'answered-"):
            return [(asked.split("'")[1],)]
        if asked in definitions.LIST:
            return self._listed(node, definitions.LIST.index(asked))
        if asked == definitions.SYSTEM_COLUMNS:
            return [("global_priv", "Host"), ("global_priv", "Priv")]
        if asked.startswith("SHOW CREATE"):
            return [(asked.split("`")[-2], node.texts.get(asked, "as usual"))]
        if found := re.search(r" FROM `(\w+)`\.`(\w+)`", asked):
            return self._rows(node, f"{found[1]}.{found[2]}", asked)
        return self._at_one_position(node, asked)

    def _at_one_position(self, node: Node, asked: str) -> Rows:
        if asked.startswith("LOCK TABLES"):
            node.locked = True
        elif asked.startswith("UNLOCK"):
            node.locked = self.changing = False
        elif asked.startswith("ALTER TABLE"):
            self.changing = True
        elif asked.startswith("SELECT EXISTS"):
            stands = node.locked and self.changing
            return [(str(int(stands)), str(self.position + self.ahead.get(node.name, 0)))]
        elif "lock_wait_timeout" in asked and asked.startswith("SELECT"):
            return [(str(node.lock_wait),)]
        elif "IS_USED_LOCK" in asked:
            return [(str(int(self.alone)),)]
        elif "GLOBAL_STATUS" in asked:
            queue, paused = (told.pop(0) if told else 0 for told in (node.queue, node.paused))
            return [("WSREP_LOCAL_RECV_QUEUE", str(queue)), ("WSREP_FLOW_CONTROL_PAUSED_NS", str(paused))]
        elif f"LIKE '{PREFIX}" in asked:
            return [(name,) for name in sorted(self.schemas)]
        elif asked.startswith("CREATE DATABASE"):
            self.schemas.add(asked.split("`")[1])
        elif asked.startswith("DROP DATABASE"):
            self.schemas.discard(asked.split("`")[1])
        return []

    def _listed(self, node: Node, number: int) -> Rows:
        titles = [tuple(title.split(".")) for title in node.tables]
        if number == 0:
            return [("app",)]
        if number == 1:
            return [
                (*title, "BASE TABLE", "MyISAM" if ".".join(title) in node.loose else "InnoDB", "50")
                for title in titles
            ]
        if number == 2:
            return [(*title, "id", "int", "", "0", "") for title in titles]
        if number == 3:
            keyed = [title for title in titles if ".".join(title) not in node.keyless]
            return [(*title, "PRIMARY", "id", "", "", "BTREE") for title in keyed]
        return []

    @staticmethod
    def _rows(node: Node, title: str, asked: str) -> Rows:
        if title == "mysql.global_priv":
            return [("3", str(node.accounts))]
        after, upto = re.search(r"`id` > (\d+)", asked), re.search(r"`id` <= (\d+)", asked)
        keys = sorted(
            key
            for key in node.tables[title]
            if (after is None or key > int(after[1])) and (upto is None or key <= int(upto[1]))
        )
        if asked.startswith("SELECT COUNT(*)"):
            return [(str(len(keys)), str(sum(node.tables[title][key] for key in keys)))]
        found = re.search(r"LIMIT (\d+), 1$", asked)
        assert found is not None, asked
        return [(str(key),) for key in keys[int(found[1]) :][:1]]


class Played:
    """A client's standard input and output."""

    def __init__(self, nodes: Nodes, node: Node) -> None:
        self._nodes, self._node = nodes, node
        self._said = b""
        self._lines: list[bytes] = []

    def write(self, data: bytes) -> None:
        if data.startswith(b"DELIMITER"):
            return
        statement = data.decode().removesuffix(f"\n{DELIMITER}\n")
        try:
            rows = self._nodes.answer(self._node, statement)
        except Failed as error:
            number, _, words = str(error).partition(" ")
            self._lines.append(f"ERROR {number} (HY000) at line 1: {words}\n".encode())
        else:
            self._lines += ["\t".join(row).encode() + b"\n" for row in rows]

    async def drain(self) -> None:
        """There is always room."""

    async def readline(self) -> bytes:
        return b"" if self._node.gone or not self._lines else self._lines.pop(0)


UNHASHED = BROKEN
"""What a row that the server cannot hash adds to a sum."""
