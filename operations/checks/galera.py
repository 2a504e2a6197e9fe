"""What must hold of the database's nodes: facts in, checks out.

Owns: the checks of Galera and of the row that `verify` writes. Leaves to others: gathering the facts
(facts/cluster.py), comparing all rows (deep/).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from components.host_scripts.data_path import device
from operations import notes
from operations.checks.check import Check
from operations.checks.cluster import one_image
from operations.facts.cluster import HostFacts, told_by_store
from operations.facts.galera_variables import ALIKE, FIXED, NOT_REPLICATED
from operations.outputs import Outputs
from operations.remote_hosts import Answer

DATA_VOLUME = "galera-data"
"""The volume with a node's data (components/galera.py)."""
SERVICE_LABEL = "galera"
"""The label of hosts that bear nodes (components/galera.py)."""

NO_MEMBER = (
    "a restart of the cluster, and another authority, would wait for {names}, which by the settings bears no "
    "node of the database (any more). Where that is meant: `galera-node forget` with that name, in a node's "
    "container"
)


BACKUP = "Donor/Desynced"
"""The state of a node that makes a backup."""


def of_galera(outputs: Outputs, facts: Mapping[str, HostFacts], making: str = "") -> list[Check]:
    """Every node Synced in one Primary component of all nodes.

    `making`: the node that makes a backup, and is out of flow control for that.
    """
    checks = []
    members = _part(_told(outputs, facts), "members")
    for name in outputs.members:
        seen = facts[name].galera
        backs_up = name == making and seen.get("wsrep_local_state_comment") == BACKUP
        wanted = {
            "wsrep_local_state_comment": BACKUP if backs_up else "Synced",
            "wsrep_cluster_size": str(outputs.size + outputs.arbitrator),
            "wsrep_cluster_status": "Primary",
            "wsrep_ready": "ON",
        }
        found = ", ".join(f"{seen[key]}" for key in wanted if key in seen)
        problem = "" if found else _part(members, name).get("problem")
        checks.append(
            Check(
                name,
                f"Galera node Synced, {outputs.size} nodes, Primary, ready",
                all(seen.get(key) == value for key, value in wanted.items()),
                f"no answer: {problem}" if problem else found or "no answer",
                remedy=_does_not_come_up(name, outputs, facts) if problem else "",
            )
        )
    uuids = [facts[name].galera.get("wsrep_cluster_state_uuid", "") for name in outputs.members]
    same = len(set(uuids)) == 1 and bool(uuids[0])
    told = sorted(set(uuids) - {""})
    checks.append(Check("cluster", "one cluster UUID on every node", same, ", ".join(told) or "none"))
    checks += [
        *_records(outputs, facts),
        *_out(facts),
        *_held(facts),
        *_decided(facts),
        *_alike(outputs, facts),
        _replicated(outputs, facts),
    ]
    return checks


def _records(outputs: Outputs, facts: Mapping[str, HostFacts]) -> Iterator[Check]:
    """What each node and the store know of the cluster: epoch, members, the last Primary component."""
    for name in outputs.members:
        told = facts[name].node_status
        own, cluster = _part(told, "self"), _part(told, "cluster")
        epoch, wanted = own.get("epoch"), cluster.get("epoch")
        found = f"the data's epoch is {_said(epoch)}, the cluster's is {_said(wanted)}"
        yield Check(
            name,
            "data of the cluster's present epoch",
            epoch is not None and epoch == wanted,
            found if own and cluster else str(told.get("store") or "no answer to galera-node status --json"),
            remedy=full_copy(name, outputs.data_path) if own and cluster and epoch != wanted else "",
        )
    first = _told(outputs, facts)
    members = _part(first, "members")
    view = sorted(str(name) for name in first.get("view") or ())
    problems = [
        f"{name}: {about.get('problem') or 'forgotten'}"
        for name, about in sorted(members.items())
        if isinstance(about, Mapping) and (about.get("problem") or about.get("forgotten"))
    ]
    wanted_members = sorted(outputs.members)
    phase = _part(first, "cluster").get("phase", "unknown")
    found = (
        f"{phase}, members {', '.join(sorted(members)) or 'none'}, last Primary {', '.join(view) or 'none'}"
    )
    more = sorted({*map(str, members)} - {*wanted_members})
    yield Check(
        "cluster",
        "the store's record: formed, all nodes in the last Primary component",
        (phase, sorted(members), view) == ("formed", wanted_members, wanted_members) and not problems,
        "; ".join([found, *problems]),
        remedy=NO_MEMBER.format(names=" and ".join(more)) if more else "",
    )


def _out(facts: Mapping[str, HostFacts]) -> Iterator[Check]:
    """A warning for each node that load balancers send nobody to, because a person has said so."""
    for name, text in sorted(notes.maintained(told.node_status for told in facts.values()).items()):
        note = notes.read(text)
        # Who is being upgraded is drained as well, which the end of its maintenance would not change.
        ends = {"replaced": f"replace {name}", "upgraded": f"upgrade-hosts {name}"}
        yield Check(
            name,
            "load balancers may send clients here",
            True,
            f"no: in maintenance{f' {note.told}' if note.told else ''}",
            warns=True,
            remedy=f"`python -m operations {ends.get(note.why, f'maintenance {name} off')}` ends it",
        )


def _held(facts: Mapping[str, HostFacts]) -> Iterator[Check]:
    """A failure for each host that is paused or drained, by a person or by what was broken off; no row where
    there is none.
    """
    for name in sorted({name for told in facts.values() for name in told.paused}):
        yield Check(
            name,
            "the swarm starts containers here",
            False,
            "no: it is paused or drained, as is the last one of a change that was broken off",
            remedy="what was broken off goes on: `up`, `upgrade-hosts`, `replace`. Else, if nobody needs it "
            f"so, on a manager: docker node update --availability active {name}",
        )


def _decided(facts: Mapping[str, HostFacts]) -> Iterator[Check]:
    """What a person has last decided that may have cost rows, and who; no row where there is nothing."""
    for each in facts.values():
        told = each.node_status.get("decided")
        if isinstance(told, list) and told:
            last = told[-1]
            lost = f"; left behind: {last['lost']}" if last.get("lost") else ""
            found = f"{last.get('at')} by {last.get('by')}: {last.get('what')}{lost}"
            yield Check("cluster", "what a person has last decided in an outage", True, found)
            return


def _alike(outputs: Outputs, facts: Mapping[str, HostFacts]) -> Iterator[Check]:
    """Versions, variables and images that must be the same on all nodes, and values that must be unlike."""
    seen = {name: facts[name].galera for name in outputs.members}
    for what, names in (
        ("one version of MariaDB and Galera on every node", ("version", "wsrep_provider_version")),
        (
            f"{len(ALIKE) - 1} variables that must agree do",
            tuple(name for name in ALIKE if name != "version"),
        ),
    ):
        heard = {node: told for node, told in seen.items() if told}
        unlike = [name for name in names if len({told.get(name) for told in heard.values()}) > 1]
        found = "; ".join(
            f"{name}: " + ", ".join(f"{told.get(name) or 'empty'} on {node}" for node, told in heard.items())
            for name in unlike
        )
        known = bool(heard) and len(heard) == len(seen)
        agreed = next(iter(seen.values()), {}).get(names[0], "") if len(names) == 2 else "they agree"
        silent = "" if known else f"no answer from {', '.join(node for node in seen if node not in heard)}"
        yield Check("cluster", what, known and not unlike, "; ".join(filter(None, (found, silent))) or agreed)
    wrong = [
        f"{name} is {told.get(name, 'unknown')} on {node}, not {value}"
        for node, told in seen.items()
        for name, value in FIXED.items()
        if told and told.get(name) != value
    ]
    if unheard := [node for node, told in seen.items() if not told]:
        wrong.append(f"no answer from {', '.join(unheard)}")
    steps = {told.get("auto_increment_increment") for told in seen.values() if told}
    offsets = [told.get("auto_increment_offset") for told in seen.values() if told]
    if steps != {"1"} and (len(set(offsets)) != len(offsets) or None in offsets):
        wrong.append(f"auto_increment_offset is {', '.join(map(str, offsets))}: not every node's own")
    yield Check(
        "cluster",
        "rows are replicated and kept as they must be",
        not wrong,
        "; ".join(wrong) or "so they are",
    )
    for service, hosts in (
        (outputs.service, outputs.members),
        (outputs.store, [host.name for host in outputs.managers]),
    ):
        images = {name: facts[name].images.get(service, "") for name in hosts}
        yield one_image(service, images)


def _replicated(outputs: Outputs, facts: Mapping[str, HostFacts]) -> Check:
    """No table of an engine whose rows stay on the node that wrote them; a warning where that was chosen."""
    seen = {name: facts[name].galera for name in outputs.members}
    silent = [name for name, told in seen.items() if NOT_REPLICATED not in told]
    named = {told[NOT_REPLICATED] for told in seen.values() if NOT_REPLICATED in told} - {"none"}
    chosen = all("STRICT_REPLICATION" not in told.get("wsrep_mode", "") for told in seen.values())
    found = [*sorted(named), *([f"not known of {', '.join(silent)}"] if silent else [])]
    return Check(
        "cluster",
        "every table is replicated",
        not silent and (not named or chosen),
        "; ".join(found) or "all are InnoDB",
        warns=bool(named),
        remedy="the rows of these tables are on one node only, and lost with its next full copy: move them "
        "into InnoDB tables (docs/how-to/moving-in.md says how; not by ALTER TABLE)"
        if named
        else "",
    )


def _told(outputs: Outputs, facts: Mapping[str, HostFacts]) -> Mapping[str, Any]:
    return told_by_store(facts[name] for name in outputs.members)


def _does_not_come_up(node: str, outputs: Outputs, facts: Mapping[str, HostFacts]) -> str:
    """What to do about a node whose mariadbd does not answer, and which says what is wrong."""
    serving = any(
        facts[name].galera.get("wsrep_cluster_status") == "Primary"
        for name in outputs.members
        if name != node
    )
    way_out = (
        full_copy(node, outputs.data_path)
        if serving
        else "no other node serves, so its data may be the only one: `python -m operations recover` shows "
        "what each node has, and what each way out would lose"
    )
    return (
        f"{node}'s log has mariadbd's own words. If memory or disk is short there, mend that. If its data is "
        f"broken: {way_out}"
    )


def _part(told: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = told.get(name)
    return found if isinstance(found, Mapping) else {}


def _said(epoch: object) -> str:
    """An epoch for people: the first one has no text."""
    return "unknown" if epoch is None else str(epoch) or "the first"


def full_copy(node: str, data_path: str = "") -> str:
    """How to have a node take a full copy of the others' data. `data_path`: as in `Outputs`."""
    data = device(data_path) if data_path else f"/var/lib/docker/volumes/{DATA_VOLUME}/_data"
    return (
        f"save what only {node} has, if that is needed, then have it take a full copy of the others' data. "
        f"On a manager: docker node update --label-add {SERVICE_LABEL}=false {node}\n"
        f"on {node}, once no container of the database runs there: find {data} -mindepth 1 -delete\n"
        f"on a manager: docker node update --label-add {SERVICE_LABEL}=true {node}"
    )


def of_row(outputs: Outputs, written: Answer, read: Mapping[str, Answer]) -> list[Check]:
    """The row written through the virtual IP is read on every node."""
    checks = [
        Check(
            "cluster",
            f"row written through the virtual IP {outputs.vip}",
            not written.error,
            _short(written.error) or "written",
        )
    ]
    for name in outputs.members:
        answer = read.get(name, Answer(error="not asked: nothing was written"))
        ok = not written.error and not answer.error and answer.text.split()[:1] == ["1"]
        checks.append(
            Check(
                name,
                "row read on this node",
                ok,
                _short(answer.error) or "read" if ok else _short(answer.error) or "not there",
            )
        )
    return checks


def of_positions(outputs: Outputs, facts: Mapping[str, HostFacts], read: Mapping[str, Answer]) -> list[Check]:
    """No node is behind: each has reached by now where any node was when all were looked at."""
    before = [_number(facts[name].galera.get("wsrep_last_committed")) for name in outputs.members]
    reached = max(before, default=-1)
    checks = []
    for name in outputs.members:
        words = read.get(name, Answer()).text.split()
        now = _number(words[2]) if words[1:2] == ["wsrep_last_committed"] and len(words) > 2 else -1
        checks.append(
            Check(
                name,
                f"has reached position {max(reached, 0)}",
                0 <= reached <= now,
                f"at {now}" if now >= 0 else "not asked: nothing was read",
            )
        )
    return checks


def _number(text: str | None) -> int:
    return int(text) if text and text.isdigit() else -1


def of_clean_up(outputs: Outputs, table: str, tried: Mapping[str, Answer]) -> list[Check]:
    """The table of that row is gone again; `tried` are the nodes that were asked to drop it, up to the first
    that did.
    """
    done = [name for name, answer in tried.items() if not answer.error]
    failures = "; ".join(f"{name}: {_short(answer.error)}" for name, answer in tried.items() if answer.error)
    found = f"dropped on {done[0]}" if done else f"{outputs.database}.{table} may be left: {failures}"
    return [Check("cluster", "what this check wrote is removed", bool(done), found)]


def _short(text: str) -> str:
    """The last line that says something: what mariadb or docker ended with."""
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1][:160] if lines else ""
