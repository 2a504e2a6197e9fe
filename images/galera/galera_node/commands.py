"""What a person asks or tells the cluster through any node: its state, and decisions that are nobody else's.

Each command prints what it has done, or what keeps it from that and what to do; the exit code says which.
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from . import epochs, tls
from .archive import telling
from .archive.plan import Plan
from .decision.others import IN_PRIMARY
from .decision.restoring import OVER
from .decision.votes import enough
from .for_people import Decided
from .local_state import NO_UUID
from .membership import Membership, clock
from .own_report import own_state
from .restore.record import under_way
from .settings import NAME
from .store import Epoch, Facts, Put, Store, StoreError, dumps, parse

DECISIONS = 20
"""Decisions that the store keeps."""


def names(facts: Facts) -> list[str]:
    """All nodes that the store knows of."""
    view = facts.view.members if facts.view is not None else ()
    return sorted({*facts.nodes, *facts.present, *facts.forgotten, *facts.maintenance, *view})


def report(
    facts: Facts | None, own: dict[str, Any], error: str = "", backup: dict[str, Any] | None = None
) -> dict[str, Any]:
    """Everything for machines. `facts` is None while the store is away; `error` says why.

    `backup`: as `archive.telling` reports it; None where there are to be none.
    """
    if facts is None:
        return {"cluster": None, "self": own, "members": {}, "view": [], "store": error}
    members = {}
    for name in names(facts):
        position, presence = facts.nodes.get(name), facts.present.get(name)
        members[name] = {
            "state": presence.state if presence is not None else None,
            "address": presence.address if presence is not None else None,
            "published": position.seqno if position is not None else None,
            "publishedAt": facts.published_at(name),
            "forgotten": name in facts.forgotten,
            "problem": facts.about(name).problem or None,
            "epoch": facts.about(name).epoch if presence is not None and presence.uuid != NO_UUID else None,
            "votes": facts.about(name).votes if presence is not None else None,
            "maintenance": name in facts.maintenance,
            "note": facts.notes.get(name) or None,
            "tls": facts.about(name).tls or None,
            "trusts": facts.about(name).trusts,
        }
    cluster, restore = facts.cluster, facts.restore
    return {
        "cluster": None
        if cluster is None
        else {"uuid": cluster.uuid, "phase": cluster.phase, "seed": cluster.seed, "epoch": cluster.epoch},
        "self": own,
        "members": members,
        "view": list(facts.view.members) if facts.view is not None else [],
        "began": None
        if facts.epoch is None
        else {"epoch": facts.epoch.name, "by": facts.epoch.by, "leftOut": list(facts.epoch.left_out)},
        "chosen": facts.chosen,
        "decided": [asdict(facts.decided[key]) for key in sorted(facts.decided)],
        "writer": facts.writer,
        "tls": facts.tls,
        **(
            {}
            if restore is None or restore.phase in OVER
            else {"restore": under_way(restore, facts), "restorePhase": restore.phase}
        ),
        **({"backup": backup} if backup is not None else {}),
    }


def describe(facts: Facts, size: int) -> list[str]:
    """The same for a person, a line each."""
    synced = sum(presence.state == "synced" for presence in facts.present.values())
    until = "" if enough(synced, size) else f" until {min(3, size)} nodes are Synced"
    return [*_whole(facts), *(_about(facts, name, until) for name in names(facts))]


def _whole(facts: Facts) -> list[str]:
    """What holds for the cluster, whichever node is asked."""
    lines = []
    cluster = facts.cluster
    if cluster is None and not facts.nodes and all(p.uuid == NO_UUID for p in facts.present.values()):
        lines.append("no cluster has ever existed here")
    elif cluster is None:
        lines.append("the store has no record of a cluster, but nodes with data are there")
    else:
        epoch = f", epoch {cluster.epoch}" if cluster.epoch else ""
        lines.append(f"cluster {cluster.uuid}, {cluster.phase}, seed {cluster.seed}{epoch}")
    began = facts.epoch
    if began is not None and cluster is not None and began.name == cluster.epoch:
        left = ", ".join(began.left_out) or "nobody"
        lines.append(f"epoch {began.name} was begun by {began.by} and left out: {left}")
    if facts.view is not None:
        lines.append(f"last Primary component: {', '.join(facts.view.members)}")
    if facts.holder is not None:
        lines.append(f"{facts.holder} holds the right to bootstrap")
    if facts.chosen is not None:
        lines.append(f"a person has said that the cluster restarts from the data of {facts.chosen}")
    for key in sorted(facts.decided):
        each = facts.decided[key]
        lost = f"; left behind: {each.lost}" if each.lost else ""
        lines.append(f"decided {each.at} by {each.by}: {each.what}{lost}")
    if facts.writer is not None:
        lines.append(f"load balancers send writes to {facts.writer}")
    if facts.restore is not None:
        lines.append(under_way(facts.restore, facts))
    return lines


def _about(facts: Facts, name: str, until: str) -> str:
    """One node. `until`: when a vote that counts for more ends, if that is known."""
    position, presence, about = facts.nodes.get(name), facts.present.get(name), facts.about(name)
    cluster = facts.cluster
    now = f"{presence.state} at {presence.address}" if presence is not None else "absent"
    never = "forgotten" if name in facts.forgotten else "never Synced"
    words = [now, f"published {position.seqno}" if position is not None else never]
    if presence is not None and presence.uuid != NO_UUID and cluster is not None:
        if presence.uuid != cluster.uuid:
            words.append(f"data of another cluster, {presence.uuid}")
        elif about.epoch != cluster.epoch:
            words.append(f"data of epoch {about.epoch or 'the first'}: takes a full copy")
    if about.votes > 1 and presence is not None and presence.state in IN_PRIMARY:
        words.append(f"counts {about.votes} votes{until}: its loss stops the others")
    if presence is not None and presence.state in IN_PRIMARY and (facts.tls or about.tls):
        words.append(_tls(facts, name))
    if name in facts.maintenance:
        note = f" ({facts.notes[name]})" if facts.notes.get(name) else ""
        words.append(f"in maintenance{note}: load balancers send nobody there")
    if about.problem:
        words.append(about.problem)
    return f"{name}: {', '.join(words)}"


def _tls(facts: Facts, name: str) -> str:
    about = facts.about(name)
    if not about.tls:
        return "speaks no TLS"
    former = ", trusts a former authority, too" if about.trusts > 1 else ""
    return f"TLS{' alone' if about.tls == tls.ONLY else ', lets in nodes without'}{former}"


def status(
    store: Store, run_dir: Path, data_dir: Path, size: int, machine: bool, backups: Plan | None = None
) -> int:
    """What the store and this node say; 1 while the store is away, for `machine` (JSON) always 0.

    `backups`: what the node is told about them; None for none.
    """
    own = own_state(run_dir, data_dir)
    facts, backup, error = None, None, ""
    try:
        entries = store.read()
        facts = parse(entries)
        backup = telling.report(backups, entries, datetime.now(UTC))
    except StoreError as failed:
        error = str(failed)
    if machine:
        print(json.dumps(report(facts, own, error, backup)))
        return 0
    if facts is None:
        print(error, file=sys.stderr)
        epoch = own["epoch"]
        of = (
            "no data"
            if epoch is None
            else f"data of epoch {epoch or 'the first'}, {own['uuid']}:{own['seqno']}"
        )
        print(f"this node: {own['health']}; {of}")
        return 1
    print("\n".join(describe(facts, size)))
    return 0


def refuse(text: str) -> int:
    """The reason, on standard error; the exit code 1."""
    print(text, file=sys.stderr)
    return 1


def decision(facts: Facts, what: str, by: str, lost: str = "") -> tuple[dict[str, Put], tuple[str, ...]]:
    """What is to be written with a person's decision so that it is known later, and what may go for it."""
    old = sorted(facts.decided)[: max(0, len(facts.decided) - DECISIONS + 1)]
    put = Put(dumps(Decided(what, by or "somebody on this node", clock(), lost)))
    return {f"decided/{time.time():017.6f}": put}, tuple(f"decided/{key}" for key in old)


def forget(store: Store, node: str, by: str = "") -> int:
    """Nobody waits for `node` any more. Any name will do: one that never came is waited for, too.

    `by`: the person who says so; without, it is a host that leaves in order, and is not noted.
    """
    if not NAME.fullmatch(node):
        return refuse(f"{node!r} is no name of a node")
    facts = parse(store.read())
    if node not in facts.nodes and node in facts.forgotten:
        print(f"{node} is forgotten already")
        return 0
    presence = facts.present.get(node)
    if presence is not None and presence.state not in ("empty", "stopped"):
        return refuse(
            f"{node} runs ({presence.state}); stop it first. One that died is seen as gone after 45 s"
        )
    known, key = node in names(facts), f"nodes/{node}"
    expect = {key: facts.revision(key), f"present/{node}": facts.revision(f"present/{node}")}
    noted: tuple[dict[str, Put], tuple[str, ...]] = ({}, ())
    if by:
        noted = decision(facts, f"forget {node}", by, f"what only {node} has committed")
    if not store.commit(
        expect, {f"forgotten/{node}": Put(""), **noted[0]}, (key, f"published/{node}", *noted[1])
    ):
        return refuse(f"{node} has just said something; look at galera-node status, then repeat")
    if not known:
        others = ", ".join(names(facts)) or "none"
        print(f"{node} has never been heard of here (known: {others}). If that was a mistake: galera-node")
        print(f"remember {node}")
    print(f"{node} is forgotten: a restart of the cluster does not wait for it.")
    print("If it comes back, its data is replaced by a full copy; transactions only it had are lost.")
    return 0


def remember(store: Store, node: str, by: str = "") -> int:
    """Takes `forget` back, as long as the cluster has not restarted without `node`."""
    facts = parse(store.read())
    if node not in facts.forgotten:
        return refuse(f"{node} is not forgotten; forgotten: {', '.join(sorted(facts.forgotten)) or 'none'}")
    puts, gone = decision(facts, f"remember {node}", by) if by else ({}, ())
    store.commit({}, puts, (f"forgotten/{node}", *gone))
    print(f"{node} is waited for again. Data that the cluster has left behind meanwhile stays so.")
    return 0


def recover_from(store: Store, node: str, by: str = "") -> int:
    """The cluster, of which nobody runs, restarts from the data of `node`, whatever the others have."""
    facts = parse(store.read())
    if facts.cluster is not None and facts.cluster.phase == "forming":
        return refuse("the cluster is forming: there is nothing to recover from")
    running = sorted(name for name, p in facts.present.items() if p.state in IN_PRIMARY)
    if running:
        return refuse(
            f"{', '.join(running)} serves in a Primary component: there is nothing to recover. One that "
            "died is seen as gone after 45 s"
        )
    presence = facts.present.get(node)
    if presence is None or presence.uuid == NO_UUID:
        there = sorted(name for name, p in facts.present.items() if p.uuid != NO_UUID)
        return refuse(
            f"{node} is not here with data; nodes that are: {', '.join(there) or 'none'}. Start its "
            "container first"
        )
    if facts.cluster is not None and presence.uuid != facts.cluster.uuid:
        return refuse(
            f"the data of {node} is of another cluster ({presence.uuid}) than the store's "
            f"({facts.cluster.uuid})"
        )
    expect = {"chosen": facts.revision("chosen"), "cluster": facts.revision("cluster")}
    puts, gone = decision(facts, f"recover-from {node}", by, _left_behind(facts, node, presence.seqno))
    if not store.commit(expect, {"chosen": Put(node), **puts}, gone):
        return refuse("something has just changed; look at galera-node status, then repeat")
    print(
        f"The cluster restarts from the data of {node}; its log tells how. It does not wait for the others."
    )
    print("Those take a full copy when they come; what they had and it has not is lost.")
    return 0


def _left_behind(facts: Facts, node: str, seqno: int) -> str:
    """What others are known to have that `node`, at `seqno`, has not."""
    known = {name: position.seqno for name, position in facts.nodes.items()}
    for name, presence in facts.present.items():
        known[name] = max(known.get(name, -1), presence.seqno)
    ahead = {name: at for name, at in known.items() if name != node and at > seqno}
    return ", ".join(f"{name} was at {at}, {node} at {seqno}" for name, at in sorted(ahead.items()))


def new_epoch(store: Store, node: str, by: str = "") -> int:
    """Begins an epoch in the Primary component that runs: data of whoever is not in it takes a full copy."""
    facts = parse(store.read())
    cluster, view = facts.cluster, facts.view
    if cluster is None or facts.about(node).epoch != cluster.epoch:
        return refuse("this node knows no running cluster that it is a part of")
    presence = facts.present.get(node)
    if presence is None or presence.state != "synced" or view is None or node not in view.members:
        return refuse(f"{node} is not Synced: run this on a node that is")
    if view.epoch != cluster.epoch or view != facts.about(node).view:
        return refuse("the members of the component are just changing; repeat")
    epoch = epochs.following(cluster.epoch)
    left_out = sorted({*facts.nodes, *facts.forgotten} - set(view.members))
    record = Epoch(epoch, cluster.epoch, dict.fromkeys(view.members, epochs.RUNNING), tuple(left_out), node)
    puts, gone = decision(facts, f"new-epoch on {node}", by, f"left out: {', '.join(left_out) or 'nobody'}")
    if not Membership.put_epoch(store, facts, record):
        return refuse("something has just changed; look at galera-node status, then repeat")
    store.commit({}, puts, gone)
    print(f"Epoch {epoch} has begun with {', '.join(view.members)}. Any other data takes a full copy.")
    return 0


def maintain(store: Store, node: str, on: bool, note: str | None = None) -> int:
    """Load balancers send nobody to `node` while it is in maintenance; it replicates as before.

    Unless no other node can serve, as when the others die. The last that they could send anybody to is
    refused. `note`: why, and by whom; with one, the node need not be known any more: its host may be about to
    go. None leaves a note that is there.
    """
    if not NAME.fullmatch(node):
        return refuse(f"{node!r} is no name of a node")
    facts = parse(store.read())
    if not on:
        store.commit({}, {}, (f"maintenance/{node}",))
        print(f"load balancers send clients to {node} once it is Synced")
        return 0
    if note is None and node not in facts.nodes:
        return refuse(f"{node} is no node of this cluster. Known: {', '.join(sorted(facts.nodes)) or 'none'}")
    others = [
        name
        for name, presence in facts.present.items()
        if presence.state == "synced" and name != node and name not in facts.maintenance
    ]
    if not others:
        return refuse(
            f"no other node is Synced and not in maintenance: without {node} nobody could be served"
        )
    put = Put(facts.notes.get(node, "") if note is None else note)
    # Somebody may be taking the others out in the same moment.
    expect = {key: facts.revision(key) for key in (f"maintenance/{name}" for name in others)}
    if not store.commit(expect, {f"maintenance/{node}": put}):
        return refuse("another node is just being taken out; look at galera-node status, then repeat")
    print(f"load balancers send no new clients to {node}, and end the others' connections in some seconds")
    return 0
