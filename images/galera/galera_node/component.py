"""The Primary component that mariadbd runs in: its members, its epoch, and whether that is the cluster's.

Owns the node's note while mariadbd runs, the record of the last component, and the epoch of a component that
a person has started by hand. Leaves to others: what follows for mariadbd (`watch`), the rules
(`decision`).
"""

from __future__ import annotations

from . import local_state, neighbours
from .decision.others import IN_PRIMARY
from .epochs import RUNNING, following
from .local_state import Note
from .membership import Membership
from .network import Names
from .settings import Settings
from .sql import ServerStatus, Sql, SqlError
from .store import Facts, View
from .words import Topics, log

ARBITRATOR = "galera-arbitrator"
"""What an arbitrator is called in the group (images/arbitrator): it has a vote and no data, so that nobody
waits for it after an outage, and no recovery leaves it out. In a cluster without one a host with data may be
called so."""
MEMBERS = (
    "SELECT c.cluster_uuid, c.view_seqno, m.node_name FROM mysql.wsrep_cluster c "
    "JOIN mysql.wsrep_cluster_members m ON m.cluster_uuid = c.cluster_uuid "
    "ORDER BY 3"
)


class Component:
    """What this node knows of the component.

    Attributes:
        epoch: of mariadbd's data.
        confirmed: it is the cluster's epoch. Who is not sure of that serves nobody.
        view: the component's members, as they were last seen.
    """

    def __init__(
        self, settings: Settings, address: str, names: Names, membership: Membership, sql: Sql, topics: Topics
    ) -> None:
        self._settings, self._address, self._names = settings, address, names
        self._membership, self._sql, self._topics = membership, sql, topics
        self.epoch, self.confirmed = "", False
        self.view: View | None = None
        self._was_outside = False
        self._before: Facts | None = None  # the store's content while mariadbd was last outside
        self._noted: Note | None = None

    def begin(self) -> None:
        """mariadbd starts, with data of `epoch`, or to receive such."""
        self.confirmed, self.view, self._noted = False, None, None
        self._was_outside, self._before = False, None

    def outside(self, facts: Facts | None, answers: bool) -> None:
        """mariadbd is in no Primary component now, or does not answer.

        Once it is in one again, that must be found to be the right one.
        """
        if answers:
            self.confirmed = False
            self._was_outside, self._before = True, facts

    def belongs(self, status: ServerStatus, facts: Facts | None) -> bool:
        """Whether nothing speaks against the component; notes whether anything speaks for it (`confirmed`).

        Networks that meet again join nodes that nobody has asked to: one that was left out of a recovery must
        not go on with them by write-sets.
        """
        cluster = facts.cluster if facts is not None else None
        if facts is None or cluster is None:
            self.confirmed = self.confirmed or self._others_confirm(status)
            return True
        if cluster.uuid != status.uuid:
            return True
        if cluster.epoch != self.epoch and self._goes_over(facts):
            log(f"epoch {cluster.epoch} has begun in the component that this node is in")
            self.epoch = cluster.epoch
        self.confirmed = cluster.epoch == self.epoch
        return self.confirmed

    def _goes_over(self, facts: Facts) -> bool:
        """Whether the cluster's new epoch was begun in the component that this node runs in."""
        began, cluster = facts.epoch, facts.cluster
        return (
            began is not None
            and cluster is not None
            and (began.name, began.before) == (cluster.epoch, self.epoch)
            and began.carried.get(self._settings.node, -1) >= RUNNING
        )

    def _others_confirm(self, status: ServerStatus) -> bool:
        """Whether another node says the same epoch, or there never was another; the store does not tell."""
        if status.size == 1 and not self._was_outside:
            return True
        live = set(self._names.addresses(self._settings.peers)) - {self._address}
        told = [each for each in neighbours.ask_all(live).values() if each.uuid == status.uuid]
        return any(each.epoch == self.epoch and each.state in IN_PRIMARY for each in told)

    def look(self, status: ServerStatus, facts: Facts | None) -> None:
        """Notes who is in the component, for mariadbd is Synced: after an outage these are waited for."""
        try:
            rows = self._sql.run(MEMBERS)
        except SqlError as error:
            self._topics.say("component", f"the members of the component are not known: {error}")
            return
        self._topics.end("component")
        if not rows or str(rows[0][0]).lower() != status.uuid:
            return
        seen = self.view
        names = tuple(
            name for row in rows if (name := str(row[2])) != ARBITRATOR or self._has_data(name, facts)
        )
        self.view = View(status.uuid, self.epoch, int(rows[0][1]), names)
        self._keep_note()
        if facts is None or (self._was_outside and self._started_by_hand(self.view, facts)):
            return
        self._was_outside = False
        known = facts.view
        grows = known is None or set(known.members) <= set(self.view.members)
        # What members had committed that have gone since is on the disk by the next look.
        if grows or seen == self.view:
            self._membership.show_view(self.view, facts)

    def _has_data(self, name: str, facts: Facts | None) -> bool:
        """Whether it is a node of the database: one of those that are expected, or that have published."""
        told = self._settings.node, *self._settings.members
        return name in told or (facts is not None and name in facts.nodes)

    def _keep_note(self) -> None:
        now = Note(self.epoch, component=self.view)
        if self._noted == now:
            return
        try:
            local_state.write_note(self._settings.data_dir, now)
        except OSError as error:
            # A full disk is no reason to end a database: the note of before still says the epoch.
            self._topics.say("note", f"the node's note cannot be written: {error}")
            return
        self._topics.end("note")
        self._noted = now

    def _started_by_hand(self, view: View, facts: Facts) -> bool:
        """Whether a person has started this component (pc.bootstrap) without all of the last one.

        It then begins an epoch, unless another node is faster.
        Galera itself restores a component only when all of it meet but those whom somebody had left out, whom
        `departure` does only where a majority goes on; and one that has lived on has members
        that were never outside.
        """
        before = self._before if self._before is not None else facts
        last = before.view
        if last is None or facts.cluster is None or (last.uuid, last.epoch) != (view.uuid, self.epoch):
            return False
        left_out = sorted(set(last.members) - set(view.members))
        others = set(view.members) - {self._settings.node}
        lived_on = self._before is not None and any(
            before.present[name].state in IN_PRIMARY for name in others if name in before.present
        )
        if not left_out or lived_on:
            return False
        epoch = following(self.epoch)
        log(
            f"this component was started without {', '.join(left_out)}, which may have committed more: epoch "
            f"{epoch} begins. What they alone have is lost: they take a full copy"
        )
        return self._membership.begin_epoch(epoch, facts, dict.fromkeys(view.members, RUNNING), left_out)
