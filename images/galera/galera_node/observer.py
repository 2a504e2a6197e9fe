"""What mariadbd is now, in the words that other nodes, the store and the health check hear.

Owns whether it has answered, and what its status counts as. Leaves to others: the question itself (`sql`),
what is told to whom (`reports`), what follows (`watch`).
"""

from __future__ import annotations

import time

from .desynced import Desynced, Holder
from .local_state import NO_UUID, Local
from .sql import ServerStatus, Sql, SqlError
from .store import Presence
from .transfer import Progress


class Observer:
    """Looks at the mariadbd that runs.

    Attributes:
        answered: this mariadbd has answered a question.
        committed: the position that it has last named.
        holder: who keeps it desynced.
        life: as it has last named it (`ServerStatus.life`); empty until it answers.
    """

    def __init__(self, sql: Sql, address: str) -> None:
        self._sql, self._address = sql, address
        self.answered = False
        self.committed = -1
        self.life = ""
        self.holder = Holder.NONE
        self._desynced = Desynced(sql)

    def begin(self) -> None:
        """Another mariadbd starts."""
        self.answered, self.holder, self.life = False, Holder.NONE, ""

    def presence(self, state: str, uuid: str, seqno: int) -> Presence:
        return Presence(state, uuid, seqno, self._address)

    def observe(self, local: Local, progress: Progress | None) -> tuple[Presence, str, ServerStatus | None]:
        """What mariadbd is now: presence, words for the health check, its status if it answers."""
        try:
            status = self._sql.status()
        except SqlError as error:
            detail = str(progress) if progress is not None else f"mariadbd does not answer yet: {error}"
            return self.presence("starting", local.uuid, local.seqno), detail, None
        self.answered, self.committed, self.life = True, status.committed, status.life
        state = "synced" if status.synced else "primary" if status.primary else "running"
        if state == "primary" and status.state not in ("Joined", "Synced", "Donor/Desynced"):
            state = "starting"  # a joiner: in the component, but without the data yet
        uuid = status.uuid if state != "starting" and status.uuid != NO_UUID else local.uuid
        # The position is published apart (`nodes/`): here it would change with every look.
        detail = f"{status.state}, {'Primary' if status.primary else 'not Primary'}, {status.size} nodes"
        self.holder = self._desynced.holder(status, progress, time.monotonic())
        if state == "synced" and self.holder is Holder.A_LOCK:
            state = "primary"
            detail = (
                f"all tables are locked (FLUSH TABLES WITH READ LOCK?), so that clients hang here: {detail}"
            )
        return self.presence(state, uuid, local.seqno), detail, status
