"""The key-value store as the node uses it: a small protocol, and the records kept in it.

Owns keys and their meaning. How one store's wire looks is elsewhere (`etcd`; Consul fits the same five calls:
sessions, KV and transactions with check-index).

Keys below `swarm-galera/CLUSTER/`:

- `cluster`         the one record of the cluster: UUID, phase, seed. Created once; never removed by a node.
- `aborted/UUID`    a formation that ended before any client was served: data with this UUID is worthless.
- `bootstrap`       the right to bootstrap; bound to the holder's session, gone with it.
- `nodes/NAME`      a member's last published position: whoever is here has once been Synced.
- `present/NAME`    what a node is now; bound to its session.
- `passwords/NAME`  tells whether nodes have the same secrets; bound to its session.
- `forgotten/NAME`  a member that a person has given up: recovery needs one less, until NAME is Synced again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

ABSENT = 0  # the revision of a key that is not there


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
    """

    uuid: str
    phase: str
    seed: str


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
class Facts:
    """The store's content, parsed, with the revisions that a commit can insist on.

    `mine`: the right to bootstrap is bound to the session that this process has now. A holder of this node's
    name alone may be an earlier container, whose lease has not run out yet.
    """

    cluster: Cluster | None = None
    holder: str | None = None
    nodes: Mapping[str, Position] = field(default_factory=dict)
    present: Mapping[str, Presence] = field(default_factory=dict)
    aborted: frozenset[str] = frozenset()
    forgotten: frozenset[str] = frozenset()
    passwords: Mapping[str, str] = field(default_factory=dict)
    revisions: Mapping[str, int] = field(default_factory=dict)
    mine: bool = False

    def revision(self, key: str) -> int:
        return self.revisions.get(key, ABSENT)


def dumps(record: Any) -> str:
    """A record as it is stored."""
    return json.dumps(asdict(record), sort_keys=True)


def parse(entries: Mapping[str, Entry]) -> Facts:
    """Facts from the store's keys. Raises StoreError when a record is not one of ours."""
    cluster: Cluster | None = None
    holder: str | None = None
    nodes: dict[str, Position] = {}
    present: dict[str, Presence] = {}
    aborted: set[str] = set()
    forgotten: set[str] = set()
    passwords: dict[str, str] = {}
    for key, entry in entries.items():
        kind, _, name = key.partition("/")
        try:
            if key == "cluster":
                cluster = Cluster(**json.loads(entry.value))
            elif key == "bootstrap":
                holder = entry.value
            elif kind == "nodes":
                nodes[name] = Position(**json.loads(entry.value))
            elif kind == "present":
                present[name] = Presence(**json.loads(entry.value))
            elif kind == "aborted":
                aborted.add(name)
            elif kind == "forgotten":
                forgotten.add(name)
            elif kind == "passwords":
                passwords[name] = entry.value
        except (ValueError, TypeError) as error:
            raise StoreError(f"the store's key {key!r} holds no record of this program: {error}") from error
    return Facts(
        cluster,
        holder,
        nodes,
        present,
        frozenset(aborted),
        frozenset(forgotten),
        passwords,
        {key: entry.revision for key, entry in entries.items()},
        "bootstrap" in entries and entries["bootstrap"].own,
    )
