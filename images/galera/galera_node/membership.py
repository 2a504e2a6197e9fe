"""This node in the store: its session, what it is now, its last position, its right to bootstrap.

Owns the order of writes and what is known of them when an answer is lost. Leaves to others: when to write
what (`attempt`, `watch`, `formation`), the rules (`decision`), the wire (`etcd`).
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace

from . import accounts
from .decision.outcomes import Bootstrap, Discard
from .for_people import Published
from .local_state import NO_UUID
from .settings import Settings
from .store import (
    Cluster,
    Details,
    Epoch,
    Facts,
    Position,
    Presence,
    Put,
    SessionLost,
    Store,
    StoreError,
    View,
    dumps,
    parse,
)
from .words import Topics, log

SESSION_TTL = 45  # seconds without renewal until the store forgets what this node is
RENEW_EVERY = 5.0  # seconds
PUBLISH_EVERY = 10.0  # seconds between published positions


def clock() -> str:
    """The time for people, in UTC."""
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime())


class Membership:
    """This process's session in the store; a new one is opened whenever the last has expired.

    Attributes:
        session: there is one, as far as is known.
        holding: it has the right to bootstrap.
        recorded: the store lists this node as a member, and of the last Primary component.
        passwords: the fingerprint of this node's secrets, shown beside what it is.
    """

    def __init__(self, settings: Settings, store: Store, topics: Topics) -> None:
        self.store, self._node, self._topics = store, settings.node, topics
        self.session = self.holding = self.recorded = False
        self.passwords = accounts.fingerprint(settings)
        self._renewed = 0.0
        self._shown: tuple[Presence, Details] | None = None  # as the store has it
        self._sample, self._published = Position(NO_UUID, -1), 0.0

    def look(self, presence: Presence, details: Details) -> Facts | None:
        """Publishes what this node is and reads everything. None while the store does not answer."""
        shown = presence, details
        try:
            if not self.session:
                self.store.open_session(SESSION_TTL)
                self.session, self._shown, self._renewed = True, None, time.monotonic()
            elif time.monotonic() - self._renewed >= RENEW_EVERY:
                self.store.renew()
                self._renewed = time.monotonic()
            if shown != self._shown:
                # All in one: whoever insists on what this node is insists on its details, too.
                puts = {
                    f"present/{self._node}": dumps(presence),
                    f"details/{self._node}": dumps(details),
                    f"passwords/{self._node}": self.passwords,
                }
                self.store.commit({}, {key: Put(value, bound=True) for key, value in puts.items()})
                self._shown = shown
            facts = parse(self.store.read())
        except SessionLost as error:
            self.session = self.holding = False
            self._topics.say("store", f"{error}; opening a new one")
            return None
        except StoreError as error:
            self._topics.say("store", str(error))
            return None
        if self._topics.end("store"):
            log("the store answers again")
        return facts

    def keep(self) -> None:
        """Asks now and then whether the session still lives. Raises SessionLost; another failure may pass."""
        if time.monotonic() - self._renewed < RENEW_EVERY:
            return
        self._renewed = time.monotonic()
        try:
            self.store.renew()
        except SessionLost:
            raise
        except StoreError as error:
            self._topics.say("store", str(error))

    def claim(
        self,
        decision: Bootstrap,
        starting: Presence,
        facts: Facts,
        epoch: str,
        details: Details,
        tls: str = "",
    ) -> bool:
        """Takes the right to bootstrap `starting.uuid`. False if the facts have changed or nobody knows.

        Args:
            epoch: of the cluster from now on: the one that `decision` begins, or the one it is in.
            details: of this node, as it shows them then.
            tls: on which authority a new cluster agrees; empty for none.
        """
        node, uuid = self._node, starting.uuid
        puts = {
            "bootstrap": Put(node, bound=True),
            f"present/{node}": Put(dumps(starting), bound=True),
            f"details/{node}": Put(dumps(details), bound=True),
        }
        deletes: tuple[str, ...] = ()
        if decision.first:
            puts["cluster"] = Put(dumps(Cluster(uuid, "forming", node)))
            if tls:
                puts["tls"] = Put(tls)
        elif decision.epoch is not None or facts.cluster is None:
            before = facts.cluster or Cluster(uuid, "formed", node)
            puts["cluster"] = Put(dumps(replace(before, uuid=uuid, epoch=epoch)))
        if (new := decision.epoch) is not None:
            own = facts.cluster.epoch if facts.cluster is not None else details.epoch
            puts["epoch"] = Put(dumps(Epoch(epoch, own, new.carried, new.left_out, node)))
            gone = set(new.left_out) - new.carried.keys()
            heard = sorted(name for name in new.carried if name in facts.present)
            puts["view"] = Put(dumps(View(uuid, epoch, starting.seqno, (node, *heard))))
            deletes = tuple(f"nodes/{name}" for name in facts.nodes if name in gone)
        if facts.chosen is not None:
            deletes = (*deletes, "chosen")
        if decision.abort is not None:
            puts[f"aborted/{decision.abort}"] = Put(node)
        try:
            if not self.store.commit(decision.expect, puts, deletes):
                return False
        except StoreError as error:
            # Whether the write happened is not known: the next look shows it, as a right of this session.
            self._topics.say("store", str(error))
            self.session = self.session and not isinstance(error, SessionLost)
            return False
        self._shown, self.holding = (starting, details), True
        return True

    def release(self) -> None:
        """Gives the right to bootstrap back, with the whole session: it can't be another's by now."""
        if self.holding:
            with suppress(StoreError):  # it expires by itself
                self.store.close_session()
            self.session = self.holding = False

    def abort(self, decision: Discard) -> bool:
        """Notes that a formation is over. False if the facts have changed or nobody knows."""
        try:
            return self.store.commit(decision.expect, {f"aborted/{decision.uuid}": Put(self._node)})
        except StoreError as error:
            self._topics.say("store", str(error))
            return False

    def begin(self, position: Position, recorded: bool) -> None:
        """mariadbd starts at this position. `recorded`: as a member, even should the store be away."""
        self.recorded = recorded
        self._sample, self._published = position, 0.0

    def publish(self, position: Position, facts: Facts) -> None:
        """Publishes where the node is; the first time, this makes it a member in the store.

        What is published is the sample before: its transactions are on disk by now, so that a position
        recovered after a power cut is never behind the published one.
        """
        before = facts.nodes.get(self._node)
        if before is not None and time.monotonic() - self._published < PUBLISH_EVERY:
            self._note_recorded(facts)
            return
        durable = self._sample if self._sample.seqno >= 0 else Position(position.uuid, 0)
        try:
            if before is None or before.uuid != durable.uuid or before.seqno < durable.seqno:
                self.store.commit({}, self._told(durable), (f"forgotten/{self._node}",))
            self._note_recorded(facts)
            self._sample, self._published = position, time.monotonic()
        except StoreError as error:
            self._topics.say("store", str(error))

    def _told(self, position: Position) -> dict[str, Put]:
        return {
            f"nodes/{self._node}": Put(dumps(position)),
            f"published/{self._node}": Put(dumps(Published(position.seqno, clock()))),
        }

    def _note_recorded(self, facts: Facts) -> None:
        """A recovery will wait for this node from the moment the store lists it in the last component."""
        self.recorded = self.recorded or (facts.view is not None and self._node in facts.view.members)

    def show_view(self, view: View, facts: Facts) -> None:
        """Writes the members of this node's Primary component, unless the store has it or a later one."""
        known = facts.view
        if (
            known is not None
            and (known.uuid, known.epoch) == (view.uuid, view.epoch)
            and known.seqno >= view.seqno
        ):
            return
        try:
            self.store.commit({"view": facts.revision("view")}, {"view": Put(dumps(view))})
        except StoreError as error:
            self._topics.say("store", str(error))

    def begin_epoch(
        self, epoch: str, facts: Facts, carried: Mapping[str, int], left_out: Sequence[str]
    ) -> bool:
        """Begins an epoch while the cluster runs. False if the facts have changed or nobody knows."""
        before = facts.cluster.epoch if facts.cluster is not None else ""
        try:
            record = Epoch(epoch, before, carried, tuple(left_out), self._node)
            return self.put_epoch(self.store, facts, record)
        except StoreError as error:
            self._topics.say("store", str(error))
            return False

    @staticmethod
    def put_epoch(store: Store, facts: Facts, epoch: Epoch) -> bool:
        """Writes that `epoch` has begun. False if the facts have changed. Raises StoreError."""
        if facts.cluster is None:
            return False
        puts = {
            "cluster": Put(dumps(replace(facts.cluster, epoch=epoch.name))),
            "epoch": Put(dumps(epoch)),
        }
        deletes = tuple(f"nodes/{name}" for name in epoch.left_out if name in facts.nodes)
        return store.commit({"cluster": facts.revision("cluster")}, puts, deletes)

    def leave(self, position: Position | None) -> None:
        """Last words to the store: the final position, and the end of the session."""
        try:
            if position is not None and self.recorded:
                self.store.commit({}, self._told(position))
            if self.session:
                self.store.close_session()
        except StoreError as error:
            log(f"the final position is not published: {error}")
