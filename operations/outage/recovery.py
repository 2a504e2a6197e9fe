"""What each node has after an outage, and what each way out of it would lose.

Owns: reading what hosts say, the ways, and their price as far as it can be known. Decides nothing.
Leaves to others: the rules by which nodes restart by themselves (images/galera/galera_node/decision), which
none of these ways goes around: a person only gives up a node, or says whose data counts; the command
(recover.py).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from components.galera import VOLUME
from components.host_scripts.shell import assign, body
from operations.facts.cluster import json_object
from operations.outputs import Outputs
from operations.remote_hosts import SCRIPTS, Answer

NO_UUID = "00000000-0000-0000-0000-000000000000"
IN_PRIMARY = ("primary", "synced")
HELD = ("stop", "load")
"""Phases of a restore in which no node starts (`decision/restoring.py` in images/galera)."""
PUBLISHED_EVERY = 10
"""Seconds between two positions that a running node publishes (`PUBLISH_EVERY` in its membership.py)."""


@dataclass(frozen=True)
class Node:
    """One node as it is.

    Attributes:
        away: why its host does not answer; empty if it does.
        runs: its container does.
        uuid, seqno, epoch: of its data; empty and -1 where they are not known. Of a mariadbd that was killed
            the position is in InnoDB, and its container tells it.
        safe: `safe_to_bootstrap` in its grastate.dat, as its last orderly end has left it.
        partial: its data is a full copy that never ended.
        written: when anything was last written there.
        published, published_at: the last position that the store knows of, None for none; and when the node
            told it, empty for nodes of before.
        state: as the store has it; empty if it is not there.
        forgotten: a person has given it up.
        words: what its health check says.
    """

    name: str
    away: str = ""
    runs: bool = False
    uuid: str = ""
    seqno: int = -1
    epoch: str = ""
    safe: bool = False
    partial: bool = False
    written: str = ""
    published: int | None = None
    published_at: str = ""
    state: str = ""
    forgotten: bool = False
    words: str = ""

    @property
    def known(self) -> int:
        """The most advanced position that it is known to have had; -1 for none."""
        return max(self.seqno, -1 if self.published is None else self.published)


@dataclass(frozen=True)
class Outage:
    """All of it.

    Attributes:
        uuid, epoch: the cluster's, as the store has them; None where it does not answer.
        view: the last Primary component.
        store: why the store does not answer; empty if it does.
        decided: what persons have decided before: `what`, `by`, `at`, `lost`.
        chosen: whose data a person has chosen; empty if nobody's.
        restoring: what is under way, where a restore from backups keeps all nodes from starting; else empty.
    """

    nodes: Sequence[Node]
    uuid: str | None = None
    epoch: str | None = None
    view: Sequence[str] = ()
    store: str = ""
    decided: Sequence[Mapping[str, str]] = field(default_factory=tuple)
    chosen: str = ""
    restoring: str = ""

    @property
    def serving(self) -> list[str]:
        """Nodes in a Primary component."""
        return [node.name for node in self.nodes if node.state in IN_PRIMARY]

    @property
    def missing(self) -> list[Node]:
        """Members of the last Primary component whose position is not known, and that nobody has given up."""
        wanted = set(self.view or [node.name for node in self.nodes])
        return [
            node
            for node in self.nodes
            if node.name in wanted and not node.forgotten and (not node.runs or node.seqno < 0)
        ]

    @property
    def candidates(self) -> list[Node]:
        """Those that are here with data of this cluster."""
        return [
            node
            for node in self.nodes
            if node.runs and node.uuid and node.uuid == (self.uuid or node.uuid) and not node.partial
        ]


@dataclass(frozen=True)
class Way:
    """A way out. command: what does it. loses: what it would lose, in words; empty for nothing."""

    what: str
    command: str
    loses: str


def look(found: Outputs) -> str:
    """Shell text for a host that bears data; prints what `read` takes. Changes nothing."""
    return f"{assign(service=found.service or 'galera', volume=VOLUME)}\n{body('recover_look', SCRIPTS)}"


def read(answers: Mapping[str, Answer]) -> Outage:
    """Everything, from what each host has said."""
    told = {name: _lines(answer.text) for name, answer in answers.items()}
    status = {name: json_object("\n".join(lines.get("status", ()))) for name, lines in told.items()}
    first = next((each for each in status.values() if each.get("cluster")), {})
    cluster = _part(first, "cluster")
    stores = [str(each["store"]) for each in status.values() if each.get("store")]
    members = _part(first, "members")
    names = [*answers, *sorted(set(members) - set(answers))]
    return Outage(
        nodes=[
            _node(name, answers.get(name, Answer(error="no host of this stack")), told, status, members)
            for name in names
        ],
        uuid=str(cluster["uuid"]) if cluster else None,
        epoch=str(cluster.get("epoch") or "") if cluster else None,
        view=tuple(str(name) for name in first.get("view") or ()),
        store="" if cluster else (stores[0] if stores else "no node runs that could ask it"),
        decided=tuple(first.get("decided") or ()),
        chosen=str(first.get("chosen") or ""),
        restoring=str(first.get("restore") or "") if first.get("restorePhase") in HELD else "",
    )


def ways(outage: Outage) -> list[Way]:
    """The ways out, what loses nothing first; none where there is nothing to recover or nobody to tell."""
    if outage.serving or outage.store:
        return []
    if outage.restoring:
        return [
            Way(f"{outage.restoring} Go on with it.", "restore", ""),
            Way("Go back to the data of before it.", "restore --undo", ""),
        ]
    return [*_waiting(outage), *_forgetting(outage), *_choosing(outage)]


def _waiting(outage: Outage) -> Iterator[Way]:
    missing = outage.missing
    names = " and ".join(node.name for node in missing)
    if missing:
        yield Way(
            f"Have {names} back, with a position, and wait: the most advanced restarts the cluster.", "", ""
        )
    elif outage.candidates:
        yield Way(
            "Wait: all that must be heard are here, and the most advanced restarts the cluster.", "", ""
        )


def _forgetting(outage: Outage) -> Iterator[Way]:
    """Give up whoever is missing: the others restart by themselves."""
    missing, best = outage.missing, max((node.seqno for node in _current(outage)), default=-1)
    if not missing or best < 0:
        return
    names = [node.name for node in missing]
    yield Way(
        f"Give up {' and '.join(names)}: the others restart from {best} as a new epoch.",
        f"recover {' '.join(f'--forget {name}' for name in names)}",
        _given_up(missing, best),
    )


def _given_up(nodes: Sequence[Node], best: int) -> str:
    """What giving these up may lose, where the others restart from `best`; empty for nothing."""
    told = []
    for node in nodes:
        more, where = node.known - best, "is there" if node.known == node.seqno else "was published"
        known = f"at least {more} transactions ({node.known} {where}, {best} is here)" if more > 0 else ""
        alone = (
            ""
            if node.runs and node.seqno >= 0  # it is here, and this is all
            else "what it alone has committed, at the most after it last told its position (every "
            f"{PUBLISHED_EVERY} s)"
        )
        if known or alone:
            told.append(f"of {node.name} {', and '.join(filter(None, (known, alone)))}")
    return "; ".join(told)


def price(outage: Outage, source: str, forget: Sequence[str]) -> str:
    """What a choice may lose, whether it is one of `ways` or not; empty for nothing that is known."""
    if source:
        return next((way.loses for way in _choosing(outage) if way.command == f"recover --from {source}"), "")
    best = max((node.seqno for node in _current(outage) if node.name not in forget), default=-1)
    return _given_up([node for node in outage.nodes if node.name in forget], best)


def _choosing(outage: Outage) -> Iterator[Way]:
    """Say whose data counts."""
    for node in sorted(outage.candidates, key=lambda node: -node.seqno):
        if node.seqno < 0:
            continue
        told = []
        if outage.epoch is not None and node.epoch != outage.epoch:
            told.append(
                f"all since epoch {outage.epoch or 'the first'} began: its data is of epoch "
                f"{node.epoch or 'the first'}"
            )
        told += [
            f"at least {more} transactions that {other.name} has had"
            for other in outage.nodes
            if other.name != node.name and (more := other.known - node.seqno) > 0
        ]
        unheard = [other.name for other in outage.missing if other.name != node.name]
        if unheard:
            told.append(f"what only {' and '.join(unheard)} may have committed last")
        yield Way(
            f"Restart from the data of {node.name}, at {node.seqno}, whatever the others have.",
            f"recover --from {node.name}",
            "; ".join(told),
        )


def refusal(outage: Outage, source: str, forget: Sequence[str]) -> str:
    """Why what a person has chosen is not told to the cluster; empty if it is."""
    if source and forget:
        return "--from and --forget are two ways: one of them"
    if outage.serving:
        return f"{', '.join(outage.serving)} serves in a Primary component: there is nothing to recover"
    if outage.store:
        return f"the store does not answer ({outage.store}), and nobody restarts a cluster without it"
    names = {node.name: node for node in outage.nodes}
    if unknown := [name for name in (*forget, *([source] if source else [])) if name not in names]:
        return f"{', '.join(unknown)} is no node of this cluster ({', '.join(names)})"
    here = [node.name for node in outage.candidates if node.seqno >= 0]
    if source and source not in here:
        return (
            f"{source} is not here with data whose position is known; nodes that are: "
            f"{', '.join(here) or 'none'}. Start its container first"
        )
    if source and outage.restoring:
        return f"{outage.restoring} `restore` goes on with it, `restore --undo` goes back"
    if forget and not outage.restoring and not set(here) - set(forget):
        return f"without {', '.join(forget)} nobody is here with data whose position is known"
    if running := [name for name in forget if names[name].state not in ("", "stopped", "empty")]:
        return f"{', '.join(running)} runs: who is to be forgotten must be stopped first"
    return ""


def _current(outage: Outage) -> list[Node]:
    """Those whose data is of the present epoch."""
    return [node for node in outage.candidates if outage.epoch is None or node.epoch == outage.epoch]


def _node(
    name: str,
    answer: Answer,
    told: Mapping[str, Mapping[str, list[str]]],
    status: Mapping[str, Mapping[str, Any]],
    members: Mapping[str, Any],
) -> Node:
    about = members.get(name)
    about = about if isinstance(about, Mapping) else {}
    published = about.get("published")
    known = Node(
        name,
        away=answer.error,
        published=published if isinstance(published, int) else None,
        published_at=str(about.get("publishedAt") or ""),
        state=str(about.get("state") or ""),
        forgotten=bool(about.get("forgotten")),
    )
    if answer.error:
        return known
    lines, own = told.get(name, {}), _part(status.get(name, {}), "self")
    state = "\n".join(lines.get("grastate", ()))
    uuid, seqno = _value(state, "uuid"), _value(state, "seqno")
    on_disk = uuid if uuid != NO_UUID else ""
    position = own.get("seqno")
    position = position if isinstance(position, int) and position >= 0 else _number(seqno)
    epoch = own.get("epoch")
    if epoch is None:
        epoch = json_object("\n".join(lines.get("note", ()))).get("epoch")
    return replace(
        known,
        runs=bool(lines.get("container")),
        uuid=str(own.get("uuid") or on_disk),
        seqno=position,
        epoch=str(epoch or ""),
        safe=_value(state, "safe_to_bootstrap") == "1",
        partial=bool(lines.get("partial")),
        written="".join(lines.get("written", ())),
        words=str(own.get("health") or ""),
    )


def _lines(text: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        key, _, value = line.partition("\t")
        found.setdefault(key, []).append(value)
    return found


def _number(text: str) -> int:
    """A position; -1 for what is none: a file that a full disk has cut must not hide the others."""
    return int(text) if re.fullmatch(r"-?\d+", text) else -1


def _value(state: str, key: str) -> str:
    """A line of grastate.dat; empty without one."""
    match = re.search(rf"^{key}:\s*(\S+)\s*$", state, re.MULTILINE)
    return match[1].lower() if match else ""


def _part(told: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = told.get(name)
    return found if isinstance(found, Mapping) else {}
