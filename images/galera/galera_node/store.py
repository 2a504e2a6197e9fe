"""The key-value store as the node uses it: a small protocol, and the records kept in it.

Owns keys and their meaning. How a store's wire looks is elsewhere (`etcd`, `consul`).

Keys below `swarm-galera/CLUSTER/`:

- `cluster`         the one record of the cluster: UUID, phase, seed, epoch. Never removed by a node.
- `epoch`           how the epoch of `cluster` began, and whose data went over to it; see `Epoch`.
- `view`            the members of the last Primary component, which alone can have acknowledged more.
- `chosen`          the node whose data the cluster is to restart from: a person's word.
- `aborted/UUID`    a formation that ended before any client was served: data with this UUID is worthless.
- `bootstrap`       the right to bootstrap; bound to the holder's session, gone with it.
- `nodes/NAME`      a member's last published position: whoever is here has once been Synced.
- `published/NAME`  when it published that; see `Published`.
- `present/NAME`    what a node is now; bound to its session.
- `details/NAME`    more about it: the epoch of its data, whether that can be trusted; bound to its session.
- `passwords/NAME`  tells whether nodes have the same secrets; bound to its session.
- `writer`          the node that load balancers send writes to.
- `maintenance/NAME` a person has taken NAME out of the load balancers' choice; the value is a note on it.
- `decided/WHEN`    what a person has decided, who, and when; see `Decided`. The last ones are kept.
- `tls`             all nodes speak TLS alone, and trust the authority with this fingerprint alone.
- `turn`            the node that starts anew for that; bound to its session.
- `archiver`, `archive`, `backups/…`, `backup-wanted`, `logging/NAME`: see `archive.records`.
- `forgotten/NAME`  a node that a person has given up: nobody waits for it, until NAME is Synced again.
- `restore`         a restore of the whole cluster, and afterwards that there was one; see `restore.fact`.

A later version may add keys, and fields to records: what is not known here is passed over. `details`,
`view` and `published` are keys of their own because early versions refuse records with fields they do not
know, and in a rolling change they read what is written here.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, Protocol, TypeVar

from .for_people import Decided, Published
from .restore import fact

ABSENT = 0  # the revision of a key that is not there
R = TypeVar("R")


class StoreError(Exception):
    """The store did not answer or refused; nothing is known about a write under way."""


class SessionLost(StoreError):
    """The session has expired: its keys are gone and somebody else may act."""


@dataclass(frozen=True)
class Entry:
    """`own`: bound to the session that this process has now."""

    value: str
    revision: int
    own: bool = False


@dataclass(frozen=True)
class Put:
    """A write; a `bound` key lives as long as the session."""

    value: str
    bound: bool = False


class Store(Protocol):
    """All that a node needs of a key-value store. Keys are relative to the cluster's own prefix.

    Every call may raise StoreError; the ones that use the session raise SessionLost when it has expired.
    """

    def read(self) -> dict[str, Entry]:
        """All keys, read at one moment and linearizably."""

    def open_session(self, ttl: int) -> None:
        """Opens the session of this process. `ttl` in seconds without renewal."""

    def renew(self) -> None:
        """Keeps the session alive."""

    def close_session(self) -> None:
        """Ends the session and with it all its keys."""

    def commit(
        self, expect: Mapping[str, int], puts: Mapping[str, Put], deletes: tuple[str, ...] = ()
    ) -> bool:
        """Writes all or nothing, if each key of `expect` still has that revision. False if one has not."""


@dataclass(frozen=True)
class Cluster:
    """The record of the cluster.

    Phases: `forming` (the seed makes accounts and runs the initial SQL; nobody joins, no client is served),
    `open` (joiners are welcome), `formed` (all expected nodes have been Synced together once).

    `epoch`: which of the cluster's histories counts. A recovery that leaves somebody out begins a new one,
    under the same UUID. Empty until the first of these, and in records of the version that knew none.
    """

    uuid: str
    phase: str
    seed: str
    epoch: str = ""


@dataclass(frozen=True)
class Epoch:
    """How an epoch began.

    `carried`: whose data of the epoch before is a part of this one, up to which position. It goes on as it
    is; that of all others is replaced by a full copy. `left_out`: those, as far as known. `by`: who began it.
    """

    name: str
    before: str
    carried: Mapping[str, int] = field(default_factory=dict)
    left_out: tuple[str, ...] = ()
    by: str = ""


@dataclass(frozen=True)
class View:
    """A Primary component: the names of its members and the position at which it began."""

    uuid: str
    epoch: str
    seqno: int
    members: tuple[str, ...]


@dataclass(frozen=True)
class Position:
    """A member's last published position."""

    uuid: str
    seqno: int


@dataclass(frozen=True)
class Presence:
    """What a live node is.

    `state`: `empty` (no data), `stopped` (data with a certain position, mariadbd not running), `starting`,
    `running` (mariadbd answers, not in a Primary component), `primary` (in one), `synced` (serves clients).
    """

    state: str
    uuid: str
    seqno: int
    address: str


@dataclass(frozen=True)
class Details:
    """More about a live node, and all of it unknown of one that runs the version before.

    `epoch`: of its data. `trusted`: Galera has not marked the data as unusable. `problem`: what a person
    should know, empty if nothing. `votes`: its weight in the Primary component. `view`: the last component it
    was in. `tls`: `only`, `both` (nodes without it are let in) or empty. `authority`: the fingerprint of that
    which has signed its certificate. `trusts`: how many it trusts. `aside`: the restore before which it
    had other data, which it keeps.
    """

    epoch: str = ""
    trusted: bool = True
    problem: str = ""
    votes: int = 1
    view: View | None = None
    tls: str = ""
    authority: str = ""
    trusts: int = 0
    aside: str = ""


@dataclass(frozen=True)
class Facts:
    """The store's content, parsed, with the revisions that a commit can insist on.

    `mine`: the right to bootstrap is bound to the session that this process has now. A holder of this node's
    name alone may be an earlier container, whose lease has not run out yet. `my_turn`: the same of `turn`.
    `notes`: on nodes in maintenance. `decided`: by key, which is when.
    """

    cluster: Cluster | None = None
    holder: str | None = None
    nodes: Mapping[str, Position] = field(default_factory=dict)
    published: Mapping[str, Published] = field(default_factory=dict)
    present: Mapping[str, Presence] = field(default_factory=dict)
    details: Mapping[str, Details] = field(default_factory=dict)
    epoch: Epoch | None = None
    view: View | None = None
    chosen: str | None = None
    aborted: frozenset[str] = frozenset()
    forgotten: frozenset[str] = frozenset()
    writer: str | None = None
    tls: str | None = None
    turn: str | None = None
    restore: fact.Restore | None = None
    maintenance: frozenset[str] = frozenset()
    notes: Mapping[str, str] = field(default_factory=dict)
    decided: Mapping[str, Decided] = field(default_factory=dict)
    passwords: Mapping[str, str] = field(default_factory=dict)
    revisions: Mapping[str, int] = field(default_factory=dict)
    mine: bool = False
    my_turn: bool = False

    def revision(self, key: str) -> int:
        return self.revisions.get(key, ABSENT)

    def published_at(self, name: str) -> str | None:
        """When `name` published its position, if that is known."""
        position, told = self.nodes.get(name), self.published.get(name)
        return told.at if position is not None and told is not None and told.seqno == position.seqno else None

    def about(self, name: str) -> Details:
        """What `name` says of itself besides what it is."""
        return self.details.get(name, Details())


def dumps(record: Any) -> str:
    """A record as it is stored. In a cluster's first epoch it looks as in the version without epochs."""
    values = asdict(record)
    if isinstance(record, Cluster) and not record.epoch:
        del values["epoch"]
    return json.dumps(values, sort_keys=True)


def _load(kind: type[R], values: Any) -> R:
    """A record from its stored values. Raises ValueError or TypeError when it is none of that kind."""
    if not isinstance(values, dict):
        raise ValueError("not an object")
    known = {field.name: field for field in fields(kind)}  # type: ignore[arg-type]
    taken = {name: value for name, value in values.items() if name in known}
    for name, value in taken.items():
        text = str(known[name].type)
        if text in ("str", "int", "bool") and type(value).__name__ != text:
            raise ValueError(f"{name} must be of type {text}")
    return kind(**taken)


def _view(values: Any) -> View | None:
    if values is None:
        return None
    view = _load(View, values)
    return View(view.uuid, view.epoch, view.seqno, _names(view.members))


def _names(values: Any) -> tuple[str, ...]:
    if not isinstance(values, list | tuple) or not all(isinstance(name, str) for name in values):
        raise ValueError("not a list of names")
    return tuple(values)


def _epoch(values: Any) -> Epoch:
    epoch = _load(Epoch, values)
    carried = dict(epoch.carried)
    if not all(isinstance(position, int) for position in carried.values()):
        raise ValueError("carried must map names to positions")
    return Epoch(epoch.name, epoch.before, carried, _names(epoch.left_out), epoch.by)


def _details(values: Any) -> Details:
    details = _load(Details, values)
    return replace(details, view=_view(details.view))


def view_from(text: str) -> View | None:
    """A view as `dumps` wrote it. Raises ValueError or TypeError."""
    return _view(json.loads(text))


def _writer(values: Any) -> str:
    if not isinstance(values, dict) or not isinstance(values.get("node"), str):
        raise ValueError("node must be of type str")
    node: str = values["node"]
    return node


_ONE: Mapping[str, Callable[[str], Any]] = {
    "cluster": lambda text: _load(Cluster, json.loads(text)),
    "epoch": lambda text: _epoch(json.loads(text)),
    "view": lambda text: _view(json.loads(text)),
    "bootstrap": str,
    "chosen": str,
    "tls": str,
    "turn": str,
    "writer": lambda text: _writer(json.loads(text)),
    "restore": fact.read,
}
"""How the records of which there is one are read."""
_OF_NODES: Mapping[str, Callable[[str], Any]] = {
    "nodes": lambda text: _load(Position, json.loads(text)),
    "published": lambda text: _load(Published, json.loads(text)),
    "present": lambda text: _load(Presence, json.loads(text)),
    "details": lambda text: _details(json.loads(text)),
    "passwords": str,
    "aborted": str,
    "forgotten": str,
    "maintenance": str,
    "decided": lambda text: _load(Decided, json.loads(text)),
}
"""The same of those of which there is one for each node, or UUID, below the key."""


def parse(entries: Mapping[str, Entry]) -> Facts:
    """Facts from the store's keys. Raises StoreError when a record is not one of ours."""
    one: dict[str, Any] = {}
    named: dict[str, dict[str, Any]] = {kind: {} for kind in _OF_NODES}
    for key, entry in entries.items():
        kind, _, name = key.partition("/")
        try:
            if key in _ONE:
                one[key] = _ONE[key](entry.value)
            elif kind in _OF_NODES:
                named[kind][name] = _OF_NODES[kind](entry.value)
        except (ValueError, TypeError) as error:
            raise StoreError(f"the store's key {key!r} holds no record of this program: {error}") from error
    return Facts(
        cluster=one.get("cluster"),
        holder=one.get("bootstrap"),
        nodes=named["nodes"],
        published=named["published"],
        present=named["present"],
        details=named["details"],
        epoch=one.get("epoch"),
        view=one.get("view"),
        chosen=one.get("chosen"),
        aborted=frozenset(named["aborted"]),
        forgotten=frozenset(named["forgotten"]),
        writer=one.get("writer"),
        tls=one.get("tls"),
        turn=one.get("turn"),
        restore=one.get("restore"),
        maintenance=frozenset(named["maintenance"]),
        notes=named["maintenance"],
        decided=named["decided"],
        passwords=named["passwords"],
        revisions={key: entry.revision for key, entry in entries.items()},
        mine="bootstrap" in entries and entries["bootstrap"].own,
        my_turn="turn" in entries and entries["turn"].own,
    )
