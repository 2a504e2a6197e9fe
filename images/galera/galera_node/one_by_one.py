"""Whose turn it is to start anew, so that all nodes speak TLS as they have agreed: one after the other.

Galera takes neither another `socket.dynamic` nor fewer authorities while it runs. Each node stops in order,
as for an update, once all members have been Synced for a while; the key `turn`, bound to its session, keeps
the others from going meanwhile.
"""

from __future__ import annotations

import time

from .encryption import Encryption
from .first_process import StartAnew
from .membership import Membership
from .store import Facts, Put, StoreError
from .words import Topics, log

CALM = 15.0  # seconds for which all members must have been Synced before the next one goes


class OneByOne:
    """One node's place in the row."""

    def __init__(self, node: str, encryption: Encryption, membership: Membership, topics: Topics) -> None:
        self._node, self._encryption, self._membership, self._topics = node, encryption, membership, topics
        self._calm_since: float | None = None

    def look(self, facts: Facts) -> None:
        """Raises StartAnew when this node is to start anew, and its turn has come. Call it while Synced."""
        now = time.monotonic()
        if facts.tls is None and (agreed := self._encryption.agreed(facts)):
            # The store has lost its data while the cluster ran.
            self._commit("tls", Put(agreed))
        if not self._encryption.behind(facts) or not calm(facts):
            self._calm_since = None
            return
        self._calm_since = self._calm_since or now
        if now - self._calm_since < CALM or not self._take(facts):
            return
        log("starting anew, to speak TLS as all nodes have agreed: it is this node's turn")
        raise StartAnew

    def _take(self, facts: Facts) -> bool:
        if facts.turn is not None:
            return facts.my_turn
        return self._commit("turn", Put(self._node, bound=True))

    def _commit(self, key: str, put: Put) -> bool:
        """Writes a key that is not there."""
        try:
            return self._membership.store.commit({key: 0}, {key: put})
        except StoreError as error:
            self._topics.say("store", str(error))
            return False


def calm(facts: Facts) -> bool:
    """Whether every member there is, is Synced: one more may stop for a while."""
    if facts.cluster is None or facts.cluster.phase != "formed" or facts.view is None:
        return False
    wanted = {*facts.nodes, *facts.view.members} - facts.forgotten
    synced = {name for name, presence in facts.present.items() if presence.state == "synced"}
    return bool(wanted) and wanted == synced
