"""Who keeps a node desynced that is no donor, and that nobody has taken out of flow control.

It may be a lock of all tables, a backup, a schema change of this node alone. Or nobody: a donor tells the
group twice that it is done, once for the copy and once for the backup that it made; Galera (26.4.23) drops
what is told while it exchanges states for a new component, and afterwards repeats one of the two. Seen when
a third node came as a copy ended: the donor was Donor/Desynced for ever, and nothing but leaving the group
ends that.
"""

from __future__ import annotations

from enum import Enum

from .sql import DESYNCED, ServerStatus, Sql, SqlError
from .transfer import Progress

FOR_NOBODY = 30.0
"""Seconds of being desynced for no donor and by no setting, after which somebody is asked for. More than a
busy host takes from Galera's word that it is a donor to the start of the program that sends."""


class Holder(Enum):
    """Who keeps the node desynced."""

    NONE = "nobody: it is in flow control, a donor, desynced by a setting, or not yet for long"
    A_LOCK = "a lock or a statement of this server"
    GALERA = "Galera, which has lost count"


class Desynced:
    """Since when the node has been desynced for nobody. `now` is of the monotonic clock, in seconds."""

    def __init__(self, sql: Sql) -> None:
        self._sql = sql
        self._since: float | None = None

    def holder(self, status: ServerStatus, progress: Progress | None, now: float) -> Holder:
        """Who holds it; `progress`: of a copy that is under way."""
        if status.state != DESYNCED or progress is not None or self._is_set():
            self._since = None
            return Holder.NONE
        self._since = now if self._since is None else self._since
        if now - self._since <= FOR_NOBODY:
            return Holder.NONE
        try:
            free = self._sql.nothing_held(now - self._since)
        except SqlError:
            free = False
        return Holder.GALERA if free else Holder.A_LOCK

    def _is_set(self) -> bool:
        """Whether it is desynced because somebody wants it to be, or does not say."""
        try:
            return self._sql.desync_is_set()
        except SqlError:
            return True
