"""A host that has died is left out of the group early, and one that is only busy is not.

Galera takes a member for dead that has said nothing for `evs.suspect_timeout`, and until then nobody's writes
come through. It cannot tell a dead host from one whose processors are all busy: there mariadbd was silent for
2.9 s (measured), and with a timeout below that the group fell apart. The kernel of a host can be asked: it
refuses a connection to a port where nobody listens, however long its processes wait for a processor. So
Galera keeps its five seconds, and whoever's kernel does not answer is left out before they are over. One that
answers on Galera's own connection lives, though none comes through that is new (`acknowledged`).

Owns the looking and the rule. Nobody is left out by one node's word: each other member whose kernel answers
must miss the same one (`GET /silent`), and the silent ones must be fewer than half, so a node that is cut off
leaves nobody out, nor does it while it hears the others again, one after the other. That counts heads, so
nobody is left out while one vote counts for more, as that of the node which has started a component may: see
`departure` for what Galera would do.

Leaves to others: the taking out itself (`departure`), the port where others ask (`neighbours`). Whoever sets
`evs.suspect_timeout` has chosen, and this keeps out of it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from . import acknowledged, neighbours, network
from .departure import Departures
from .sql import Sql, SqlError
from .words import Topics

EVERY = 0.5  # seconds from one question to a kernel to the next
ANSWER = 0.4  # seconds for its answer
SILENT = 1.9  # seconds without one
ACKNOWLEDGED = SILENT - EVERY  # seconds: who has died was gone before the first question without an answer
QUESTIONS = 4  # in a row without one: a node that is busy asks less often
LATE = 1.5  # seconds between two looks after which this node was too busy itself to judge others
NOBODY_LISTENS = 9  # the port: "discard", which no program here has
LETS_NOBODY_IN = (
    "the host answers on Galera's connection and on no new one, so it is not left out. Is its table of "
    "connections full (nf_conntrack_count), or does a firewall drop new ones?"
)
MEMBERS = "SELECT node_uuid, node_name, node_incoming_address FROM mysql.wsrep_cluster_members"


@dataclass(frozen=True)
class Member:
    """One mariadbd in the group. `life`: its UUID there."""

    life: str
    node: str
    address: str


@dataclass(frozen=True)
class Heard:
    """A kernel's last answer. `at`: when the question was asked. `unanswered`: questions since."""

    at: float
    unanswered: int = 0


def to_leave_out(
    members: Collection[Member], silent: Collection[str], others: Mapping[str, Collection[str] | None]
) -> list[Member]:
    """Who is left out.

    Args:
        members: of the group, without this node. silent: lives that this node misses.
        others: lives that each of the other members misses, by its own; None: it does not say.
    """
    missed = [member for member in members if member.life in silent]
    if 2 * len(missed) > len(members):  # of len(members) + 1 in all: half of them, or more
        return []
    heard = [member.life for member in members if member.life not in silent]
    return [each for each in missed if all(each.life in (others.get(life) or ()) for life in heard)]


class Silence:
    """Asks the kernels of the other members' hosts whether they are there.

    Args:
        node: this one. departures: take a member out of the group.
    """

    def __init__(self, node: str, sql: Sql, departures: Departures) -> None:
        self._node, self._sql, self._departures = node, sql, departures
        self._topics = Topics()
        self._heard: dict[str, Heard] = {}  # by the member's life
        self._looked = float("-inf")
        self._silent: frozenset[str] = frozenset()

    def silent(self) -> frozenset[str]:
        """The lives that this node misses, for other nodes that ask; none if it has not looked just now."""
        return self._silent if time.monotonic() - self._looked <= LATE else frozenset()

    def start(self) -> None:
        """Look from now on."""
        threading.Thread(target=self._run, name="silence", daemon=True).start()

    def _run(self) -> None:
        while True:
            began = time.monotonic()
            try:
                self.look()
            except SqlError:  # it is being started, or ends
                self._heard, self._silent = {}, frozenset()
            except Exception as error:  # of no database may the end be that a dead host was not noticed early
                self._topics.say("silence", f"unexpected {type(error).__name__}: {error}")
            time.sleep(max(0.0, began + EVERY - time.monotonic()))

    def look(self) -> None:
        """Asks once, and leaves out whom the rule says. Raises SqlError."""
        kept_out, members = self._sql.kept_out(), self._members()
        lives = {each.life for each in members}
        # Not while one of them is in the group: he is being left out. Others' words may come back until all
        # have let him in again, and whoever joins hears them, too; so it is not asked who has gone.
        if kept_out and not kept_out & lives:
            self._departures.keep_out_nobody(self._sql)
        now = time.monotonic()
        answering = network.answering([each.address for each in members], NOBODY_LISTENS, ANSWER)
        late, self._looked = time.monotonic() - self._looked > LATE, time.monotonic()
        heard = {each.life: Heard(now) for each in members if each.address in answering}
        # Whoever has never answered, behind a filter that nobody here knows of, is not missed either.
        missed = self._heard.keys() & (lives - heard.keys())
        # Who hears fewer than half of the others is cut off itself, and may hear one again before another.
        anew = late or 2 * len(missed) > len(members)
        for life in missed:
            last = self._heard[life]
            heard[life] = Heard(now) if anew else replace(last, unanswered=last.unanswered + 1)
        self._heard = heard
        silent = self._silent = frozenset(
            each.life
            for each in self._without_acknowledgement([m for m in members if self._is_silent(m, now)])
        )
        if not silent:
            return
        status = self._sql.status()
        if not status.synced or not status.votes == status.size == len(members) + 1:
            return
        told = neighbours.silences({m.life: m.address for m in members if m.life not in silent})
        out = {}
        for each in to_leave_out(members, silent, told):
            why = f"the host of {each.node} has not answered for {now - heard[each.life].at:.1f} s"
            out[each.life] = f"{why}, nor any other member: the group goes on without it"
        if out:
            self._departures.leave_out(out, self._sql)

    def _is_silent(self, member: Member, now: float) -> bool:
        last = self._heard.get(member.life)
        return last is not None and last.unanswered >= QUESTIONS and now - last.at >= SILENT

    def _without_acknowledgement(self, silent: list[Member]) -> list[Member]:
        """Those of whom nothing comes on Galera's own connection either."""
        living: Collection[str] = ()
        try:
            living = acknowledged.peers(ACKNOWLEDGED) if silent else ()
        except OSError as error:  # a kernel without sock_diag: then new connections alone decide
            self._topics.say("connections", f"the kernel does not tell of Galera's connections: {error}")
        if alive := sorted(each.node for each in silent if each.address in living):
            self._topics.say("alive", f"{', '.join(alive)}: {LETS_NOBODY_IN}")
        else:
            self._topics.end("alive")
        return [each for each in silent if each.address not in living]

    def _members(self) -> list[Member]:
        """The others in the group. Raises SqlError."""
        rows = [tuple(map(str, row)) for row in self._sql.run(MEMBERS)]
        found = [Member(life, node, address.rpartition(":")[0]) for life, node, address in rows]
        return [each for each in found if each.node != self._node and each.address]
