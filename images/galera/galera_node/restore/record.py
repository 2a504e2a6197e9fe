"""The restore's record in the store: how it begins, goes on, is undone, ends. Pure: facts in, a commit out.

Each step insists on the record and the cluster as they were seen, so that two of them never both happen. The
rules by which nodes go by it are in `decision.restoring`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from .. import epochs
from ..decision.restoring import DONE, JOIN, LOAD, OVER, STOP, UNDO, UNDONE
from ..local_state import NO_UUID
from ..store import Cluster, Entry, Facts, Put, dumps
from .fact import Restore

KEPT = ("cluster", "epoch", "view")
"""What is known of a cluster besides its nodes' positions, and comes back with it."""
AT_REST = frozenset({"stopped", "empty"})


class NotNow(Exception):
    """The step can't be taken; the message says why, and what to do."""


@dataclass(frozen=True)
class Commit:
    """What is written, if each key of `expect` still has that revision."""

    record: Restore
    expect: Mapping[str, int]
    puts: Mapping[str, Put] = field(default_factory=dict)
    deletes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Wanted:
    """What is to be restored, and by whose word. `id`, `uuid`: drawn anew for it."""

    id: str
    uuid: str
    node: str
    target: str
    position: str
    timeline: str
    base: str
    by: str


def begin(entries: Mapping[str, Entry], facts: Facts, wanted: Wanted, size: int, now: datetime) -> Commit:
    """Has all nodes stop. Raises NotNow."""
    if (why := held_up(facts, wanted.node, size)) is not None:
        raise NotNow(why)
    positions = [key for key in entries if key.startswith("nodes/")]
    former = {key: entries[key].value for key in (*KEPT, *positions) if key in entries}
    epoch = epochs.following(facts.cluster.epoch if facts.cluster is not None else "")
    record = Restore(
        id=wanted.id,
        phase=STOP,
        node=wanted.node,
        uuid=wanted.uuid,
        epoch=epoch,
        target=wanted.target,
        position=wanted.position,
        timeline=wanted.timeline,
        base=wanted.base,
        began=_text(now),
        changed=_text(now),
        by=wanted.by,
        former=former,
    )
    return _commit(facts, record, now)


def held_up(facts: Facts, node: str, size: int) -> str | None:
    """Why no restore can begin on `node`; None if one can."""
    restore, cluster = facts.restore, facts.cluster
    if restore is not None and restore.phase not in OVER:
        return f"{under_way(restore, facts)} Go on with that one, or undo it, first"
    if cluster is not None and cluster.phase == "forming":
        return f"{cluster.seed} is forming the cluster: wait until it has"
    if missing := _missing(facts):
        return (
            f"{', '.join(missing)} is not here, and could go on with the data of before where nobody sees "
            "it. Start it; or, if it is lost for good: galera-node forget NAME"
        )
    if cluster is None:
        with_data = sorted(name for name, p in facts.present.items() if p.uuid != NO_UUID)
        if facts.nodes or with_data:
            return f"the store has no record of a cluster, but {', '.join(with_data) or 'nodes'} hold data"
        if len(facts.present) + len(facts.forgotten) < size:
            return f"only {len(facts.present)} of {size} nodes are here: for a new cluster all must be"
    presence = facts.present.get(node)
    if presence is None:
        return f"{node} is not here. Nodes that are: {', '.join(sorted(facts.present)) or 'none'}"
    if cluster is not None and presence.uuid not in (NO_UUID, cluster.uuid):
        return f"{node} has data of another cluster, {presence.uuid}, which must not be touched"
    return None


def _missing(facts: Facts) -> list[str]:
    """Who is a member and not here."""
    view = facts.view.members if facts.view is not None else ()
    return sorted({*facts.nodes, *view} - facts.forgotten - facts.present.keys())


def runs(facts: Facts) -> list[str]:
    """Who has not stopped yet, or has gone where nobody sees it."""
    running = [f"{name} ({p.state})" for name, p in facts.present.items() if p.state not in AT_REST]
    former = facts.restore.former if facts.restore is not None else {}
    members = {key.partition("/")[2] for key in former if key.startswith("nodes/")}
    away = members - facts.forgotten - facts.present.keys()
    return sorted([*running, *(f"{name} (not here)" for name in away)])


def load(facts: Facts, node: str, now: datetime) -> Commit | None:
    """Has `node` put its data aside, once nobody runs. None if that is so already. Raises NotNow."""
    record = _of(facts, (STOP, LOAD))
    if record.node != node:
        raise NotNow(f"the restore is loaded on {record.node}, not here ({node})")
    if busy := runs(facts):
        raise NotNow(f"not yet: {', '.join(busy)}")
    return None if record.phase == LOAD else _commit(facts, _in(record, LOAD, now), now)


def join(facts: Facts, now: datetime) -> Commit:
    """The data is loaded: the cluster is another one from now on. Raises NotNow."""
    record = _of(facts, (LOAD,))
    if busy := runs(facts):
        raise NotNow(f"not yet: {', '.join(busy)}")
    cluster = Cluster(record.uuid, "open", record.node, record.epoch)
    gone = [key for key in facts.revisions if key.startswith("nodes/")]
    gone += [key for key in ("epoch", "view", "chosen", "writer") if key in facts.revisions]
    made = _commit(facts, _in(record, JOIN, now), now)
    return replace(made, puts={**made.puts, "cluster": Put(dumps(cluster))}, deletes=tuple(gone))


def undo(facts: Facts, now: datetime) -> Commit:
    """Back to the cluster of before, with all that it had. Raises NotNow."""
    record = _of(facts, (STOP, LOAD, JOIN, UNDO))
    if record.phase == UNDO:
        raise NotNow(f"the restore to {record.target} is being undone already")
    if not record.former_uuid:
        if record.phase == JOIN:
            raise NotNow("there was no cluster before this restore: there is nothing to go back to")
        return _commit(facts, _in(record, UNDONE, now), now)
    # Before that, nothing is loaded yet: the data of before is where it was, or aside on one node.
    if record.phase == JOIN and not keep(facts, record):
        raise NotNow(
            "no node that is here keeps the data of before. The way back would remove the restored data, and "
            "bring nothing. Start whoever keeps it; else this restore is done (galera-node restore done)"
        )
    made = _commit(facts, _in(record, UNDO, now), now)
    puts = {key: Put(value) for key, value in record.former.items()}
    gone = [key for key in facts.revisions if key.startswith("nodes/") or key in (*KEPT, "chosen", "writer")]
    deletes = tuple(key for key in gone if key not in puts)
    return replace(made, puts={**made.puts, **puts}, deletes=deletes)


def keep(facts: Facts, record: Restore) -> list[str]:
    """Who is here and has the data of before, in its place or aside."""
    return [
        name
        for name, presence in facts.present.items()
        if presence.uuid == record.former_uuid or facts.about(name).aside == record.id
    ]


def done(facts: Facts, now: datetime) -> Commit:
    """A person is content with the restored cluster: what is aside may go. Raises NotNow."""
    record = _of(facts, (JOIN,))
    cluster = facts.cluster
    if cluster is None or cluster.uuid != record.uuid or cluster.phase != "formed":
        raise NotNow(
            "the restored cluster has not formed yet: not all of its nodes have been Synced together"
        )
    return _commit(facts, _in(record, DONE, now), now)


def ended(facts: Facts, node: str, size: int, now: datetime) -> Commit | None:
    """What ends a restore without a person's word, written by one node: the cluster of before runs again with
    all nodes, or there was none before. None while it is not so, and for all other nodes.
    """
    record, cluster = facts.restore, facts.cluster
    synced = sorted(name for name, presence in facts.present.items() if presence.state == "synced")
    if record is None or cluster is None or synced[:1] != [node]:
        return None
    if record.phase == UNDO and len(synced) >= size:
        return _commit(facts, _in(record, UNDONE, now), now)
    if record.phase == JOIN and not record.former_uuid and cluster.phase == "formed":
        return _commit(facts, _in(record, DONE, now), now)
    return None


def under_way(record: Restore, facts: Facts) -> str:
    """Where a restore stands, as a sentence."""
    what = (
        f"The restore to {record.target} (position {record.position}), begun {record.began} by {record.by},"
    )
    match record.phase:
        case "stop":
            return f"{what} waits until nobody runs."
        case "load":
            return f"{what} is loading on {record.node}."
        case "join" if facts.cluster is not None and facts.cluster.phase == "formed":
            return f"{what} has come to its end, and the data of before is kept on the nodes."
        case "join":
            return f"{what} is loaded, and its cluster forms from {record.node}."
        case "undo":
            return f"{what} is being undone."
        case "undone":
            return f"{what} was undone {record.changed}."
    return f"{what} is done since {record.changed}."


def _of(facts: Facts, phases: tuple[str, ...]) -> Restore:
    if facts.restore is None:
        raise NotNow("no restore has begun")
    if facts.restore.phase not in phases:
        raise NotNow(under_way(facts.restore, facts))
    return facts.restore


def _in(record: Restore, phase: str, now: datetime) -> Restore:
    return replace(record, phase=phase, changed=_text(now))


def _commit(facts: Facts, record: Restore, now: datetime) -> Commit:
    expect = {key: facts.revision(key) for key in ("restore", "cluster", "bootstrap")}
    return Commit(record, expect, {"restore": Put(dumps(record))})


def _text(now: datetime) -> str:
    return f"{now.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
