"""Nobody runs any more: who restarts the cluster, from whose data, and whom that leaves out."""

from __future__ import annotations

from collections.abc import Mapping

from .. import epochs
from ..local_state import Local
from ..store import Cluster, Facts, Position, Presence, View
from .others import CHOOSE, FORGET, Site, rival_of
from .outcomes import Bootstrap, Decision, NewEpoch, Wait


def last_component(local: Local, facts: Facts, epoch: str) -> View | None:
    """The last Primary component that anybody knows of, None if it is not known in this epoch.

    The store's word, or a node's own that is newer: a member may have come back while the store was away.
    """
    known = [facts.view, local.note.component, *(facts.about(name).view for name in facts.present)]
    views = [view for view in known if view is not None and (view.uuid, view.epoch) == (local.uuid, epoch)]
    return max(views, key=lambda view: view.seqno, default=None)


def recover(node: str, site: Site, local: Local, facts: Facts, others: Mapping[str, Presence]) -> Decision:
    """Nobody runs: the most advanced member restarts the cluster, once all that must be heard have been."""
    if rival := rival_of(node, facts):
        return Wait(f"{rival} is restarting the cluster after a full outage")
    if facts.chosen not in (None, node):
        return Wait(f"a person has said that the cluster restarts from the data of {facts.chosen}")
    outage = _Outage(node, site, local, facts, others)
    reason = outage.held_up() if facts.chosen is None else outage.held_up_yet_chosen()
    return Wait(reason) if reason else outage.bootstrap()


class _Outage:
    """A full outage as one node sees it."""

    def __init__(
        self, node: str, site: Site, local: Local, facts: Facts, others: Mapping[str, Presence]
    ) -> None:
        self.node, self.site, self.local, self.facts, self.others = node, site, local, facts, others
        self.cluster: Cluster | None = facts.cluster
        self.epoch = self.cluster.epoch if self.cluster is not None else local.epoch
        # Without a record nobody's word on the last component counts: it may be of an older one.
        self.view = last_component(local, facts, self.epoch) if self.cluster is not None else None
        self.members = set(self.view.members) if self.view is not None else {*facts.nodes, node}
        self.with_data = {n: p for n, p in others.items() if p.uuid == local.uuid}
        # Data that counts: of this epoch, and not marked as unusable.
        self.counting = {
            n: p
            for n, p in self.with_data.items()
            if facts.about(n).epoch == self.epoch and facts.about(n).trusted
        }
        self.heard = {n: p.seqno for n, p in self.counting.items() if p.state == "stopped" and p.seqno >= 0}

    def held_up(self) -> str:
        """Why this node does not restart the cluster now; empty if it does."""
        facts, others, view = self.facts, self.others, self.view
        missing = sorted(self.members - facts.forgotten - set(others) - {self.node})
        if missing:
            of = "" if view is None else " It was in the last Primary component."
            return (
                f"nobody runs, and the position of {', '.join(missing)} is not known in this outage.{of} "
                f"Start {'it' if len(missing) == 1 else 'them'}, or if lost for good: {FORGET}"
            )
        if view is None and (reason := self._too_few()):
            return reason
        # A joiner that still runs without data of its own has nothing to say; one with data has.
        if busy := self._busy():
            return f"{busy} has started and is not in a Primary component, or not reachable"
        if reason := self._unclear():
            return reason
        seqno, name = max([(self.local.seqno, self.node), *((p, n) for n, p in self.heard.items())])
        ahead = [
            f"{member} at {position.seqno}"
            for member, position in sorted(facts.nodes.items())
            if _published(position, self.local.uuid) > seqno
        ]
        if ahead:
            return (
                f"the store has seen a more advanced position ({', '.join(ahead)}) than any node now has "
                f"({seqno}): data is missing. If it is lost for good: {FORGET}"
            )
        if name != self.node:
            return f"{name} is the most advanced at {seqno} and restarts the cluster"
        return ""

    def held_up_yet_chosen(self) -> str:
        """The same for the node that a person has chosen: nobody is waited for but those who still run."""
        if busy := self._busy():
            return f"chosen to restart the cluster, but {busy} still runs outside a Primary component"
        if self.local.seqno < 0:
            return f"chosen to restart the cluster, but {self._own_problem()}"
        return ""

    def _too_few(self) -> str:
        facts, members, others = self.facts, self.members, self.others
        formed = self.cluster is not None and self.cluster.phase == "formed"
        needed = self.site.size - len(self.site.gone(facts, {*members, *others}))
        if not (self.cluster is None or (formed and len(members) < needed)) or len(others) + 1 >= needed:
            return ""
        lacking = self.site.lacking(facts, {self.node, *others})
        return (
            f"nobody runs, and only {len(others) + 1} of {needed} nodes have published their position (not: "
            f"{lacking}). Start the others, or if lost for good: {FORGET}"
        )

    def _busy(self) -> str:
        """Who runs, whatever its epoch: it may be in a component."""
        return ", ".join(sorted(n for n, p in self.with_data.items() if p.state != "stopped"))

    def _own_problem(self) -> str:
        return "the position of this node could not be recovered from its data; its log says why"

    def _unclear(self) -> str:
        """Whose data, though it counts, has no position; and whose epoch is not known to be the last one."""
        facts = self.facts
        if self.local.seqno < 0:
            return (
                f"{self._own_problem()}. It is tried again every minute. If its data is lost: galera-node "
                f"forget {self.node}"
            )
        unclear = sorted(
            n
            for n, p in self.counting.items()
            if p.state == "stopped" and p.seqno < 0 and n not in facts.forgotten
            if self.view is None or n in self.members
        )
        if unclear:
            return (
                f"the position of {', '.join(unclear)} could not be recovered from its data (its log says "
                f"why; it is tried again every minute). If its data is lost: {FORGET}"
            )
        if self.cluster is None:
            mine = epochs.number(self.epoch)
            later = sorted(
                name
                for name in self.with_data
                if facts.about(name).epoch != self.epoch and epochs.number(facts.about(name).epoch) >= mine
            )
            if later:
                return (
                    f"the store has lost its record, and the data of {', '.join(later)} is of a later epoch "
                    "than this node's, or of another one of the same number. It restarts the cluster, or a "
                    f"person says whose does: {CHOOSE}"
                )
        return ""

    def bootstrap(self) -> Bootstrap:
        facts, local = self.facts, self.local
        expect = {f"present/{name}": facts.revision(f"present/{name}") for name in self.others}
        expect |= {key: facts.revision(key) for key in ("bootstrap", "cluster", "view", "chosen")}
        goes_on = local.epoch == self.epoch and local.trusted
        carried = {name: seqno for name, seqno in self.heard.items() if goes_on and seqno <= local.seqno}
        left_out = (
            {*facts.nodes, *self.members, *facts.forgotten, *self.counting} - carried.keys() - {self.node}
        )
        if facts.chosen is not None:
            reason = f"a person has said that the cluster restarts from this node's data, at {local.seqno}"
        else:
            reason = (
                f"nobody runs, and this one is the most advanced at {local.seqno} of all that must be heard"
            )
            if self.view is not None:
                # Who fell out of the component before the last one has a part of what came later, no more.
                gone = left_out - self.members - facts.forgotten - set(self.others)
                carried |= dict.fromkeys(gone, min(self.view.seqno, local.seqno))
        if goes_on and not left_out:
            return Bootstrap(False, reason, expect)
        known = {self.epoch, local.epoch, *(facts.about(name).epoch for name in self.with_data)}
        after = max(known, key=epochs.number)
        return Bootstrap(False, reason, expect, epoch=NewEpoch(after, carried, tuple(sorted(left_out))))


def _published(position: Position, uuid: str) -> int:
    return position.seqno if position.uuid == uuid else -1
