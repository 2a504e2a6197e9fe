"""A mariadbd that dies while this program lives is left out of its group at once.

Galera itself notices by silence (`evs.suspect_timeout`), and until then no node's writes come through; but
who has started mariadbd knows in the same moment. It tells the other nodes to look here (`GET /departed`,
which says nothing else). Each asks back at an address that the name server has for the nodes, and takes the
life that is named there (mariadbd's UUID in the group, another one with each start) out of the group, if that
is how it knows the node of this name. With real processes the others go on after 0.05 s instead of 2.8.

Only from within a Primary component, and where the rest keeps the majority. Galera counts whoever is left out
as lost; but if that costs a component its majority, it makes the rest Primary again without waiting for him.
What he committed last the rest has dropped by then, and would write something else in its place.

A host that dies tells nobody: see `silence`.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Mapping

from . import neighbours
from .endpoints import SOON
from .network import Names
from .settings import Settings
from .sql import Sql, SqlError
from .words import log

GONE = 5.0  # seconds in which the group is to have left it out
LOOK = 0.05  # seconds between looks for that
LIFE = "SELECT node_uuid FROM mysql.wsrep_cluster_members WHERE node_name = %s"
LIVES = "SELECT node_uuid FROM mysql.wsrep_cluster_members WHERE node_uuid = %s"
MEMBERS = "SELECT node_uuid FROM mysql.wsrep_cluster_members"


class Departures:
    """Hears of others' ends, one at a time from each address, and tells of the own one.

    Args:
        after: called when one has been left out.
    """

    def __init__(self, settings: Settings, names: Names, after: Callable[[], None]) -> None:
        self._settings, self._names, self._after = settings, names, after
        self._lock = threading.Lock()
        self._under_way: set[str] = set()
        self._letting_in = threading.Lock()  # held while mariadbd is asked: nobody who asks here waits for it
        self._leaving_out: list[str] = []  # whose lives just now, by any thread

    def tell(self, address: str) -> None:
        """Has all other nodes ask here. Args: address: this node's."""
        others = set(self._names.addresses(self._settings.peers)) - {address}
        neighbours.have_ask(others)

    def hear(self, address: str) -> None:
        """Somebody at `address` says that it has something to tell. Returns at once."""
        with self._lock:
            if address in self._under_way:
                return
            self._under_way.add(address)
        threading.Thread(target=self._heard, args=(address,), name="departure", daemon=True).start()

    def _heard(self, address: str) -> None:
        sql = Sql(self._settings.socket, timeout=SOON, patience=SOON)
        try:
            if address in self._names.addresses(self._settings.peers):
                self._leave_out(neighbours.ask(address), sql)
        except SqlError as error:
            log(f"a node that has died stays in the group until that notices by itself: {error}")
        finally:
            sql.close()
            with self._lock:
                self._under_way.discard(address)

    def _leave_out(self, told: neighbours.Told | None, sql: Sql) -> None:
        """Raises SqlError."""
        if told is None or not told.departed:
            return
        if sql.run(LIFE, (told.node,)) != [(told.departed,)]:
            if not sql.run(LIVES, (told.departed,)):  # another node was faster
                self.keep_out_nobody(sql)
            return
        why = f"{told.node} says that its mariadbd has died: the group goes on without it"
        self.leave_out({told.departed: why}, sql)

    def leave_out(self, lives: Mapping[str, str], sql: Sql) -> None:
        """Has the group go on without members, and waits until it does. Raises SqlError.

        Where the rest would be no majority nothing is done.

        Args:
            lives: theirs, and why. All at once: the group waits for each that is dead.
        """
        end = time.monotonic() + GONE
        while _changes(sql) and time.monotonic() < end:  # another node was faster
            time.sleep(LOOK)
        if not any(sql.run(LIVES, (life,)) for life in lives):
            self.keep_out_nobody(sql)
            self._after()
            return
        with self._letting_in:
            if not self._rest_decides({*lives, *self._leaving_out}, sql):
                log("whoever has died stays in the group until that notices: the rest may be no majority")
                return
            self._leaving_out += lives
        try:
            for life, why in lives.items():
                log(why)
                sql.leave_out(life)
            end = time.monotonic() + GONE
            while any(sql.run(LIVES, (life,)) for life in lives) and time.monotonic() < end:
                time.sleep(LOOK)
        finally:
            with self._letting_in:
                for life in lives:
                    self._leaving_out.remove(life)
            self.keep_out_nobody(sql)
        self._after()

    @staticmethod
    def _rest_decides(lives: Collection[str], sql: Sql) -> bool:
        """Whether this node is in a majority, and without these and all whom others leave out still is.

        The vote that counts for more, if there is one, may be of one of these. Raises SqlError.
        """
        status = sql.status()
        gone = [life for life in {*lives, *sql.kept_out()} if sql.run(LIVES, (life,))]
        return status.primary and status.size <= status.votes < 2 * (status.size - len(gone))

    def keep_out_nobody(self, sql: Sql) -> None:
        """Once a member has gone; raises SqlError.

        Whom one node leaves out all others hear, and keep in mind. At the next change of the group they wait
        for whoever is in one's mind and not in another's, until `evs.suspect_timeout` is over (measured).
        """
        with self._letting_in:
            if not self._leaving_out:
                sql.leave_out("")


def _changes(sql: Sql) -> bool:
    """Whether the group has become smaller and not all of mariadbd has heard of it. Raises SqlError.

    Each member has a vote at least; and the table of members is written after their number (seen).
    """
    status = sql.status()
    return status.primary and (status.votes < status.size or len(sql.run(MEMBERS)) > status.size)
