"""Whether a node bootstraps, joins, waits, discards or refuses: the decision alone, a pure function.

Owns every rule about the right to bootstrap. It reads no clock, file or network: what it says is a row of a
table test. A decision that writes to the store carries the revisions it was based on, so that it only holds
if nothing has changed meanwhile (see `Facts.revision` and docs/adr/0002-bootstrap-and-formation.md).

The rules in short:
- a node with data never starts a second cluster, and a normal start always joins;
- the first bootstrap needs a store that has never seen a cluster, and all expected nodes present and empty;
- after a full outage only the most advanced node bootstraps, once every member of the last Primary component
  has shown its position; if it leaves anybody out, it begins a new epoch;
- data of an older epoch, or marked as unusable by Galera, restarts nothing and joins by a full copy only;
- who stays outside a Primary component, with nobody in one, stops: a lost quorum then is a full outage.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from . import epochs
from .local_state import NO_UUID, Kind, Local
from .neighbours import Told
from .store import Cluster, Facts, Position, Presence, View


@dataclass(frozen=True)
class NewEpoch:
    """The epoch that a recovery begins, after all that are known, of which `after` is the last.

    `carried` and `left_out` as in `store.Epoch`.
    """

    after: str
    carried: Mapping[str, int]
    left_out: tuple[str, ...]


@dataclass(frozen=True)
class Bootstrap:
    """Start a new cluster: `first` on an empty directory, else from the own data at its position.

    `expect` are the revisions to insist on; `abort` is a formation's UUID to be marked as ended; `epoch`
    begins with it, if it leaves anybody out.
    """

    first: bool
    reason: str
    expect: Mapping[str, int] = field(default_factory=dict)
    abort: str | None = None
    epoch: NewEpoch | None = None


@dataclass(frozen=True)
class Join:
    """Start against these live addresses. Never starts a cluster. `full`: all own data is replaced."""

    addresses: tuple[str, ...]
    reason: str
    full: bool = False


@dataclass(frozen=True)
class Carry:
    """Note that the own data belongs to `epoch`, which has begun with it, and look again."""

    epoch: str
    reason: str


@dataclass(frozen=True)
class Wait:
    """Nothing can be done safely now."""

    reason: str


@dataclass(frozen=True)
class Discard:
    """Empty the own directory: it holds a formation that ended before any client was served."""

    uuid: str
    reason: str
    expect: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Refuse:
    """A person must decide."""

    reason: str


Decision = Bootstrap | Join | Carry | Wait | Discard | Refuse

IN_PRIMARY = frozenset({"primary", "synced"})
OUTSIDE_PRIMARY = frozenset({"running"})
PATIENCE = 60.0  # seconds outside a Primary component; the health check's own patience is longer
CHOSEN_PATIENCE = 2.0  # the same, once a person has said from whose data the cluster restarts
ENOUGH = 3  # Synced nodes of which any two are a majority
FORGET = "galera-node forget NAME"
CHOOSE = "galera-node recover-from NAME"


@dataclass(frozen=True)
class Site:
    """What is expected. `size`: number of nodes; `names`: theirs, as far as this node has been told."""

    size: int
    names: Collection[str] = ()

    def gone(self, facts: Facts, here: Collection[str]) -> frozenset[str]:
        """Expected nodes that a person has given up. A name that nobody expects makes nobody fewer."""
        return frozenset(n for n in facts.forgotten - set(here) if not self.names or n in self.names)

    def lacking(self, facts: Facts, here: Collection[str]) -> str:
        """Whom a first bootstrap, or a recovery without a record, still waits for; empty if for nobody."""
        gone = self.gone(facts, here)
        short = self.size - len(gone) - len(here)
        if short <= 0:
            return ""
        missing = sorted(set(self.names) - gone - set(here))
        return ", ".join(missing) if missing else f"{short} more"


def decide(
    node: str,
    site: Site | int,
    local: Local,
    facts: Facts | None,
    live: Sequence[str],
    told: Mapping[str, Told] | None = None,
) -> Decision:
    """What node `node` does now.

    `facts` is None while the store does not answer. `live` are the other nodes' addresses whose Galera port
    has just accepted a connection; the own address is not among them. `told`: what the nodes at some of them
    say of themselves, asked where the store does not know. `local` carries a certain position if there is
    data (recovered from InnoDB after a crash).
    """
    site = Site(site) if isinstance(site, int) else site
    told = told or {}
    if local.kind is Kind.FOREIGN:
        return Refuse(
            "the volume holds files that are no database's. Nothing is touched: move them away, or mount the "
            "right volume."
        )
    if facts is None:
        return _without_store(local, live, told)
    others = {name: presence for name, presence in facts.present.items() if name != node}
    if local.kind is Kind.DATA:
        return _with_data(node, site, local, facts, others, live, told)
    return _without_data(node, site, facts, others, live)


def wants_told(facts: Facts | None, live: Sequence[str]) -> bool:
    """Whether the decision needs what live nodes say of themselves."""
    return bool(live) and (facts is None or facts.cluster is None or bool(_unknown(facts, live)))


def _without_store(local: Local, live: Sequence[str], told: Mapping[str, Told]) -> Decision:
    if local.kind is Kind.DATA and local.uuid != NO_UUID and live:
        if not local.trusted:
            return Wait("the store does not answer, and Galera has marked the data here as unusable")
        mine = tuple(address for address in live if _same_history(local, told.get(address)))
        if mine:
            return Join(mine, "the store does not answer, but live nodes of the same epoch do")
        other = sorted({each.epoch for each in told.values() if each.uuid == local.uuid})
        if other:
            return Wait(
                "the store does not answer, and the live nodes' data is of another epoch "
                f"({', '.join(other)}) than "
                f"the data here ({local.epoch or 'the first'}): it needs a full copy, for which the store "
                "is asked"
            )
        if any(each.uuid != local.uuid for each in told.values()):
            return Wait(
                f"the store does not answer, and live nodes are of another cluster than {local.uuid}, or "
                "without data"
            )
        return Wait(
            "the store does not answer, and no live node says which epoch its data is of; without knowing "
            "that, a "
            "node that was left out could go on with data that nobody else has"
        )
    if live:
        return Wait(
            "the store does not answer; an empty node asks it first whether the cluster is open to joiners"
        )
    return Wait("neither the store nor any other node answers")


def _same_history(local: Local, told: Told | None) -> bool:
    """Whether a live node has the same cluster's data, of the epoch that this node's belongs to."""
    if told is None or told.uuid != local.uuid:
        return False
    mine = {local.epoch, local.note.begins} - ({""} if local.epoch else set())
    if told.epoch not in mine:
        return False
    return told.state in IN_PRIMARY or (told.state in OUTSIDE_PRIMARY and local.view)


def _join(
    others: Mapping[str, Presence], live: Sequence[str], states: frozenset[str], facts: Facts, epoch: str
) -> tuple[str, ...]:
    """Live addresses of others in these states, with data of `epoch`; one that nobody answers at is stale."""
    known = {
        presence.address
        for name, presence in others.items()
        if presence.state in states and facts.about(name).epoch == epoch
    }
    return tuple(address for address in live if address in known)


def _rival(node: str, facts: Facts) -> str | None:
    """Who has the right to bootstrap, unless it is this process. None if nobody else."""
    if facts.holder is None or facts.mine:
        return None
    return f"an earlier run of {node}" if facts.holder == node else facts.holder


def _unknown(facts: Facts, live: Sequence[str]) -> tuple[str, ...]:
    """Live addresses of nobody that the store knows."""
    known = {presence.address for presence in facts.present.values()}
    return tuple(address for address in live if address not in known)


def _without_data(
    node: str, site: Site, facts: Facts, others: Mapping[str, Presence], live: Sequence[str]
) -> Decision:
    cluster = facts.cluster
    if cluster is None:
        with_data = sorted(name for name, presence in others.items() if presence.uuid != NO_UUID)
        if facts.nodes or with_data:
            holders = ", ".join(sorted({*facts.nodes, *with_data}))
            return Wait(
                f"the store has no record of a cluster, but {holders} hold data; not starting a second one"
            )
        if unknown := _unknown(facts, live):
            return Wait(
                f"the store has no record of a cluster, but {', '.join(unknown)} runs Galera; not starting a "
                "second one"
            )
        if lacking := site.lacking(facts, {node, *others}):
            return Wait(
                f"the first start of a cluster needs all {site.size} nodes present and empty, for one of "
                "them might "
                f"hold data. Waiting for {lacking}; one that will not come: {FORGET}"
            )
        if rival := _rival(node, facts):
            return Wait(f"{rival} holds the right to bootstrap")
        expect = {f"present/{name}": facts.revision(f"present/{name}") for name in others}
        return Bootstrap(
            True,
            "no cluster has ever existed here, and all expected nodes are present and empty",
            {**expect, "cluster": 0, "bootstrap": facts.revision("bootstrap")},
        )
    if cluster.phase == "forming":
        if rival := _rival(node, facts):
            return Wait(f"{rival} is forming the cluster")
        if facts.nodes or any(presence.uuid not in (NO_UUID, cluster.uuid) for presence in others.values()):
            return Wait(
                f"the formation by {cluster.seed} ended early, yet others hold data; a person must decide"
            )
        return Bootstrap(
            True,
            f"the formation by {cluster.seed} ended before any client was served; forming anew",
            {"cluster": facts.revision("cluster"), "bootstrap": facts.revision("bootstrap")},
            abort=cluster.uuid,
        )
    addresses = _join(others, live, IN_PRIMARY, facts, cluster.epoch)
    if addresses:
        return Join(addresses, f"the cluster {cluster.uuid} is open")
    return Wait(
        f"no member of cluster {cluster.uuid} is in a Primary component; only those with data can restart it"
    )


def _with_data(
    node: str,
    site: Site,
    local: Local,
    facts: Facts,
    others: Mapping[str, Presence],
    live: Sequence[str],
    told: Mapping[str, Told],
) -> Decision:
    cluster = facts.cluster
    if local.uuid in facts.aborted:
        return Discard(local.uuid, "its formation ended before any client was served, and another took over")
    if local.uuid == NO_UUID:
        return Refuse(
            "the data directory holds tables of no Galera cluster. Nothing is touched: move them away, or "
            "load them into the running cluster."
        )
    if cluster is None:
        # With a record, whoever has other data has refused itself, and keeps nobody from anything.
        strangers = sorted(n for n, p in others.items() if p.uuid not in (NO_UUID, local.uuid))
        if strangers:
            return Wait(
                f"the store has no record of a cluster, and {', '.join(strangers)} hold data of another one "
                "than "
                f"{local.uuid}; a person must decide whose is needed, and empty the other volumes"
            )
    elif local.uuid != cluster.uuid:
        return Refuse(
            f"the data directory belongs to cluster {local.uuid}, the store's is {cluster.uuid}. Nothing is "
            "touched: if this node's data is not needed, empty its volume and it joins."
        )
    if cluster is not None and cluster.phase == "forming":
        if facts.holder is not None and facts.holder != node:
            return Wait(f"{facts.holder} is forming the cluster")
        if cluster.seed != node:
            return Wait(
                f"{cluster.seed} is to form the cluster, yet this node holds its data; a person must decide"
            )
        return Discard(
            local.uuid,
            "this node's own formation ended before any client was served",
            {"cluster": facts.revision("cluster")},
        )
    epoch = cluster.epoch if cluster is not None else local.epoch
    if local.epoch != epoch and epochs.carried(node, local, facts):
        return Carry(epoch, "the data here was heard of when it began")
    addresses = _join(others, live, IN_PRIMARY, facts, epoch)
    if local.epoch != epoch or not local.trusted:
        why = _unusable(local, epoch)
        if addresses:
            return Join(addresses, f"{why}: it takes a full copy", full=True)
        if facts.chosen == node:
            return _recover(node, site, local, facts, others)
        return Wait(
            f"{why}, so it restarts nothing. It takes a full copy once the cluster runs. Should no other "
            "node have "
            f"the cluster's data any more: {CHOOSE}"
        )
    if addresses:
        return Join(addresses, "a restarted node joins")
    if unknown := _unknown(facts, live):
        same = tuple(address for address in unknown if _same_history(local, told.get(address)))
        if same:
            return Join(same, "nodes that the store does not know run Galera")
        return Wait(
            f"{', '.join(unknown)} runs Galera, and does not say that it has data of this node's epoch"
        )
    if local.view:
        addresses = _join(others, live, OUTSIDE_PRIMARY, facts, epoch)
        if addresses and facts.chosen is None:
            # Once all members of the saved view meet again, the component is restored. Without that view a
            # node would only keep the others from being stopped, and be kept by them.
            return Join(
                addresses, "live members have no Primary component; joining them so that it can be restored"
            )
    return _recover(node, site, local, facts, others)


def _unusable(local: Local, epoch: str) -> str:
    if local.epoch != epoch:
        return (
            f"the data here belongs to epoch {local.epoch or 'the first'}, the cluster's is "
            f"{epoch or 'the first'}: "
            "it was left out when that began"
        )
    return "Galera has marked the data here as unusable"


def last_component(local: Local, facts: Facts, epoch: str) -> View | None:
    """The last Primary component that anybody knows of, None if it is not known in this epoch.

    The store's word, or a node's own that is newer: a member may have come back while the store was away.
    """
    known = [facts.view, local.note.component, *(facts.about(name).view for name in facts.present)]
    views = [view for view in known if view is not None and (view.uuid, view.epoch) == (local.uuid, epoch)]
    return max(views, key=lambda view: view.seqno, default=None)


def _recover(node: str, site: Site, local: Local, facts: Facts, others: Mapping[str, Presence]) -> Decision:
    """Nobody runs: the most advanced member restarts the cluster, once all that must be heard have been."""
    if rival := _rival(node, facts):
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
                "Start "
                f"{'it' if len(missing) == 1 else 'them'}, or if lost for good: {FORGET}"
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
                "forget "
                f"{self.node}"
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
                "why; it "
                f"is tried again every minute). If its data is lost: {FORGET}"
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
                    "than "
                    "this node's, or of another one of the same number. It restarts the cluster, or a "
                    "person says "
                    f"whose does: {CHOOSE}"
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


def turn(node: str, facts: Facts) -> int:
    """How many other nodes without data are before this one, should all join in the same moment."""
    joiners = [
        name for name, p in facts.present.items() if p.state in ("empty", "starting") and p.uuid == NO_UUID
    ]
    return sum(name < node for name in joiners)


def gives_up(node: str, outside: float, facts: Facts | None) -> bool:
    """Whether mariadbd, `outside` seconds without a Primary component, ends to make way for a recovery.

    Members that come back with the view they had restore the component by themselves, and do so before that.
    Later, nodes that run outside it and nodes that join these would keep each other from ever being stopped
    together. Once a person has said from whose data the cluster restarts, nobody waits that long. While the
    store is away or shows somebody in a Primary component, nothing is won by stopping.
    """
    if facts is None or outside < (PATIENCE if facts.chosen is None else CHOSEN_PATIENCE):
        return False
    return not any(p.state in IN_PRIMARY for name, p in facts.present.items() if name != node)


def enough(synced: int, size: int) -> bool:
    """Whether ordinary votes keep a majority though any one node is lost; of two that is never so.

    Two with one vote each stop together; with the first one's vote for all, only its own loss stops the
    other.
    """
    return synced >= min(ENOUGH, size)


def _published(position: Position, uuid: str) -> int:
    return position.seqno if position.uuid == uuid else -1
