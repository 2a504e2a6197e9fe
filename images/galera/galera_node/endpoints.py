"""What load balancers are told: whether this node is the one that takes writes, and whether it may be read.

Owns: the answers to `/writer`, `/reader` and `/able`, the record `writer`, and the order of an orderly
stop: the successor is named, new connections go there, and only then mariadbd ends. Leaves to others: the
rule (`writer`), the port (`neighbours`), whether this node serves at all (the supervisor).

Threads of its own, with connections of its own: the supervisor looks every two seconds and may be busy, and
a failover is to be over by then. One asks mariadbd, the other the store and the other nodes, which may take
seconds where a host has died; what mariadbd has said is not to become old for that. They work only while a
load balancer asks.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from . import neighbours
from .hearing import QUESTIONS, Hearing
from .sql import Sql, SqlError, SqlLateError
from .store import ABSENT, Entry, Put, Store, StoreError
from .words import Topics, log
from .writer import SILENT, Seen, decide, hands_over, vacancy

EVERY = 0.5  # seconds between looks
ALARMED = 0.1  # likewise of one that can take writes, while the writer does not say that it can
FRESH = 5.0
"""Seconds after which what mariadbd has said is too old to be believed. On a machine whose processors are all
busy an answer takes a second or more, and who is taken for dead loses all its clients' sessions."""
ASKED = 30.0  # seconds after the last question for which there is a load balancer
DRAIN = 2.5  # seconds for which a node that leaves keeps its connections: longer than checks are apart
SOON = 2.0  # seconds for one answer of mariadbd
STORE = 1.0  # likewise of the store; a connection to a member that has died must not outlast the failover

MEMBERS = (
    "SELECT @@GLOBAL.read_only, m.node_name, m.node_incoming_address FROM mysql.wsrep_cluster c "
    "JOIN mysql.wsrep_cluster_members m ON m.cluster_uuid = c.cluster_uuid"
)
"""In one: two answers that are in time, with the pause between two looks, are none too old (`FRESH`)."""
TAKES = frozenset({"0", "OFF"})  # what it is where writes are taken; newer versions say it in words

SERVES, DRAINS, DOES_NOT = 200, 404, 503


@dataclass(frozen=True)
class Look:
    """What the last look has found besides. `writer`: this node is. `writes`: they may come, too.

    Neither to who refuses them (`read_only`) nor to who is cut off from the store, and would never hear that
    it has become the writer.
    """

    writer: bool = False
    writes: bool = True


@dataclass(frozen=True)
class Own:
    """What the own mariadbd says. `at`: when, by the monotonic clock. `able`: clients may be served.

    `takes`: writes. `members`: the names of its component's, with addresses; empty for who has told none.
    """

    at: float = float("-inf")
    able: bool = False
    takes: bool = False
    members: Mapping[str, str] = field(default_factory=dict)

    def old(self, now: float) -> bool:
        """Whether that is too long ago to be believed."""
        return now - self.at > FRESH


class Endpoints:
    """The answers of one node, kept up by `run`.

    Attributes:
        serving: the supervisor's word that clients may be served here.
    """

    def __init__(self, node: str, sql: Sql, store: Store) -> None:
        self.serving = False
        self._node, self._sql, self._store = node, sql, store
        self._topics = Topics()
        self._look, self._own = Look(), Own()
        self._asked = float("-inf")
        self._left = float("inf")  # since when this node leaves
        self._was_writer = float("-inf")  # when it last was, and has handed over since
        self._unable_at: float | None = None  # since when no writes can come
        self._hearing = Hearing(time.monotonic())
        self._vacant_at: float | None = None
        self._alarmed = self._away = False
        self._replaced = False  # while the store was away, another node has said that it is the writer
        self._entries: Mapping[str, Entry] = {}
        self._former = ""  # whom the record has last named
        self._addresses: dict[str, str] = {}  # of the other nodes, as mariadbd or the store last had each
        self._stopping = threading.Event()
        self._woken = {self.ask: threading.Event(), self.look: threading.Event()}

    # ---- what is asked

    def answer(self, path: str) -> int:
        """The status code for `/writer`, `/reader` or, for other nodes, `/able`."""
        now, own = time.monotonic(), self._own
        if path != "/able":
            if now - self._asked > ASKED:
                self._look = Look()  # another may have become the writer since
                self.wake()
            self._asked = now
        look = self._look
        if not (self.serving and own.able) or own.old(now):
            return DOES_NOT
        if path == "/writer":
            if look.writer:
                return SERVES
            return DRAINS if now - self._was_writer < DRAIN else DOES_NOT
        if path == "/able" and not look.writes:
            return DOES_NOT
        if now < self._left:
            return SERVES
        return DRAINS if path == "/reader" and now - self._left < DRAIN else DOES_NOT

    # ---- looking

    def wake(self) -> None:
        """Something has happened that the next look should not be waited for."""
        for woken in self._woken.values():
            woken.set()

    def start(self) -> None:
        """Look from now on."""
        for work in self._woken:
            threading.Thread(target=self._run, args=(work,), name="endpoints", daemon=True).start()

    def _run(self, work: Callable[[], None]) -> None:
        woken = self._woken[work]
        while True:
            if time.monotonic() - self._asked < ASKED:
                try:
                    work()
                except Exception as error:  # of no database may the end be that a load balancer was not told
                    self._topics.say("endpoints", f"unexpected {type(error).__name__}: {error}")
            woken.wait(ALARMED if self._alarmed else EVERY)
            woken.clear()

    def ask(self) -> None:
        """Asks mariadbd once. Its word counts at once; what has changed is looked at without a pause."""
        before, self._own = self._own, self._asked_own()
        if replace(before, at=self._own.at) != self._own:
            self._woken[self.look].set()

    def look(self) -> None:
        """Looks once at what the store and the others say, and names whom the rule names."""
        self._read()
        now, own = time.monotonic(), self._own
        if own.old(now):
            own = Own(now)
        writes, members = own.takes, own.members
        self._unable_at = None if writes else (now if self._unable_at is None else self._unable_at)
        seen = self._seen(writes, members, now)
        if (named := decide(seen)) is not None and self._name(named.node):
            log(f"{named.node} takes the writes from now on: {named.reason}")
            seen = self._seen(writes, members, now)
        # Who takes the writes for want of another node serves readers, too.
        needed = seen.resting and seen.writer == self._node and not seen.others
        leaves = seen.leaving or (seen.resting and not needed)
        self._left = min(self._left, now) if leaves else float("inf")
        writer = seen.writer == self._node and not self._is_replaced(members)
        if self._look.writer and not writer:
            self._was_writer = now
        self._look = Look(writer, writes and (writer or not self._away))

    def _asked_own(self) -> Own:
        """What mariadbd says now. Where that is only late, what it said last counts until it is too old.

        Where all refuse writes, the writer stays where it is: its clients may read, and hear why. That the
        majority is lost the group knows at once, and mariadbd perhaps only behind a long change.
        """
        try:
            if not self.serving or not ((status := self._sql.status()).synced and status.quorum):
                return Own(time.monotonic())
            rows = [tuple(map(str, row)) for row in self._sql.run(MEMBERS)]
            members = {name: incoming.rpartition(":")[0] for _, name, incoming in rows}
            takes = bool(rows) and {row[0].upper() for row in rows} <= TAKES
            return Own(time.monotonic(), True, takes, members)
        except SqlLateError:
            now = time.monotonic()
            return Own(now) if self._own.old(now) else self._own
        except SqlError:
            return Own(time.monotonic())

    def _read(self) -> None:
        """Reads the store; while that is away, what it last said counts: the writer stays the writer."""
        try:
            self._entries = self._store.read()
            self._away = self._replaced = False
            self._topics.end("endpoints' store")
        except StoreError as error:
            self._away = True
            self._topics.say("endpoints' store", f"for load balancers, the writer stays as it was: {error}")

    def _seen(self, able: bool, members: Mapping[str, str], now: float) -> Seen:
        addresses = addresses_of(self._entries)
        addresses.pop(self._node, None)
        # Who has come while another was cut off from the store knows of that one by mariadbd alone.
        self._addresses.update(addresses)
        self._addresses.update({name: at for name, at in members.items() if at and name != self._node})
        writer = writer_of(self._entries)
        self._former = writer or self._former
        # One that is cut off from the store alone is listed no longer, and takes the writes as before.
        heard = self._hearing.of(writer, self._addresses.get(writer, ""), now)
        seen = Seen(
            node=self._node,
            able=able,
            leaving=self._stopping.is_set(),
            resting=f"maintenance/{self._node}" in self._entries,
            writer=writer,
            members=frozenset(members),
            former=self._former,
            silent=0.0 if writer == self._node else now - heard,
            unable=0.0 if self._unable_at is None else now - self._unable_at,
        )
        if self._hearing.unanswered < QUESTIONS:
            # It has hardly been asked: this node itself is slow.
            seen = replace(seen, silent=min(seen.silent, SILENT))
        gone = vacancy(seen)
        self._alarmed = able and (bool(gone) or seen.silent > EVERY)
        if not gone:
            self._vacant_at = None
            if not hands_over(seen):
                return seen
        elif self._vacant_at is None:
            self._vacant_at = now
        others = frozenset(name for name, at in addresses.items() if name in members and neighbours.able(at))
        vacant = 0.0 if self._vacant_at is None else now - self._vacant_at
        return replace(seen, others=others, vacant=vacant)

    def _is_replaced(self, members: Mapping[str, str]) -> bool:
        """Whether the others have named another writer, which this node, cut off from the store, missed.

        They do when it hangs for some seconds. Once one has said so, only the store's word counts again.
        """
        if self._away and not self._replaced:
            others = (at for name, at in self._addresses.items() if name in members)
            if neighbours.any_writes(others):
                self._replaced = True
                log("another node takes the writes by now, as it says; the store does not answer")
        return self._replaced

    def _name(self, node: str) -> bool:
        """Writes the record, unless somebody else has changed it. The own view follows."""
        before = self._entries.get("writer")
        value = json.dumps({"node": node})
        try:
            revision = before.revision if before is not None else ABSENT
            done = self._store.commit({"writer": revision}, {"writer": Put(value)})
        except StoreError as error:
            self._topics.say("endpoints' store", f"the writer cannot be named: {error}")
            return False
        self._read()
        return done

    # ---- the end

    def drain(self) -> None:
        """This node is about to stop: returns once load balancers send new connections elsewhere.

        At once if none asks, or if clients are not served here anyway.
        """
        if not self._own.able or time.monotonic() - self._asked > ASKED / 10:
            self._stopping.set()
            return
        log(f"load balancers are told to send new connections elsewhere; stopping in {DRAIN:.0f} s")
        self._stopping.set()
        self.wake()
        time.sleep(DRAIN)

    def stay(self) -> None:
        """This node was only about to start mariadbd over."""
        self._stopping.clear()


def addresses_of(entries: Mapping[str, Entry]) -> dict[str, str]:
    """Where the nodes are that the store lists now. Whose record cannot be read has no address."""
    found = {}
    for key, entry in entries.items():
        kind, _, node = key.partition("/")
        if kind != "present":
            continue
        try:
            address = json.loads(entry.value)["address"]
        except (KeyError, ValueError, TypeError):
            continue
        if isinstance(address, str):
            found[node] = address
    return found


def writer_of(entries: Mapping[str, Entry]) -> str:
    """Whom the record names; empty if nobody."""
    try:
        node = json.loads(entries["writer"].value)["node"]
    except (KeyError, ValueError, TypeError):
        return ""
    return node if isinstance(node, str) else ""
