"""`verify --deep`: the deep check of a stack's nodes, and its findings as checks with their remedies.

Owned here: which nodes are compared, the way to their databases, what a person reads of a finding.
Left to others: comparing (check.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from operations.checks.check import Check
from operations.checks.galera import full_copy
from operations.deep import check
from operations.deep.check import Odd, Outcome, counted
from operations.deep.sessions import CLIENT, Client, Opener, SessionLost, SqlError
from operations.errors import OperationsError
from operations.facts import cluster as cluster_facts
from operations.facts.cluster import HostFacts
from operations.outputs import Outputs
from operations.remote_hosts import RemoteHosts

ALIKE = "all nodes hold the same, compared at one position"
UNKNOWN = "not compared"


async def checks(found: Outputs, facts: Mapping[str, HostFacts], hosts: RemoteHosts) -> list[Check]:
    """Compare the nodes of a stack; what keeps them from being compared is a finding."""
    return await of_nodes(found, comparable(found, facts), hosts)


async def of_nodes(found: Outputs, nodes: Sequence[str], hosts: RemoteHosts) -> list[Check]:
    """The same of nodes that are Synced."""
    if len(nodes) < 2:
        synced = ", ".join(nodes) or "none"
        return [Check("cluster", ALIKE, False, f"{UNKNOWN}: fewer than two nodes are Synced ({synced})")]
    try:
        outcome = await check.compare(nodes, opener(found, hosts))
    except (OperationsError, SessionLost, SqlError) as error:
        return [
            Check("cluster", ALIKE, False, f"{UNKNOWN}: {error}", remedy="repeat when all nodes are Synced")
        ]
    return of_outcome(found, outcome)


def comparable(found: Outputs, facts: Mapping[str, HostFacts]) -> list[str]:
    """The Synced nodes of one Primary component, in the stack's order."""
    synced = {
        name: facts[name].galera.get("wsrep_cluster_state_uuid", "")
        for name in found.members
        if facts[name].galera.get("wsrep_local_state_comment") == "Synced"
        and facts[name].galera.get("wsrep_cluster_status") == "Primary"
    }
    first = next(iter(synced.values()), "")
    return [name for name, uuid in synced.items() if uuid == first]


def opener(found: Outputs, hosts: RemoteHosts) -> Opener:
    """Clients in the nodes' containers, as the database's root over its socket."""
    text = cluster_facts.client(found, CLIENT)

    async def opened(node: str) -> Client:
        process = await hosts.start(node, text)
        return Client(process.stdin, process.stdout, process.close)

    return opened


def of_outcome(found: Outputs, outcome: Outcome) -> list[Check]:
    """Checks from what a deep check found."""
    results = [_odd(odd, found.data_path) for odd in outcome.odd]
    results += [
        Check(
            "cluster",
            f"rows of {title} compared",
            False,
            "its definition was changed again and again meanwhile",
            remedy="repeat when that is over",
        )
        for title in outcome.changed
    ]
    missing = [name for name in found.members if name not in outcome.nodes]
    told = [
        f"{counted(outcome.tables, 'table')} with {counted(outcome.rows, 'row')}, "
        f"{counted(outcome.objects, 'definition')}, all accounts, on {', '.join(outcome.nodes)}",
    ]
    if outcome.tables:
        told.append(f"at positions {outcome.positions[0]} to {outcome.positions[1]}")
    told.append(f"{counted(outcome.pauses, 'pause')} of writes, {outcome.longest_pause:.2f} s at most")
    if outcome.whole:
        told.append(f"in one piece, for want of a key that will do: {', '.join(outcome.whole)}")
    if loose := [each for each in outcome.loose if not each.startswith("sys.")]:
        told.append(f"rows are not replicated by the engine of {', '.join(loose)}")
    if missing:
        told.append(f"not compared: {', '.join(missing)}")
    results.append(Check("cluster", ALIKE, not results and not missing, "; ".join(told), warns=bool(loose)))
    return results


def _odd(odd: Odd, data_path: str) -> Check:
    largest, *others = odd.groups
    if odd.why:
        return Check(
            "cluster", f"{odd.what} the same on every node", False, f"{odd.how} ({odd.why})", remedy=_KEEP
        )
    if len(others) == 1 and len(largest) > len(others[0]):
        where = ", ".join(others[0])
        remedy = " ".join(full_copy(name, data_path) for name in others[0])
        return Check(where, f"{odd.what} as on {' and '.join(largest)}", False, odd.how, remedy=remedy)
    return Check("cluster", f"{odd.what} the same on every node", False, odd.how, remedy=_NO_MAJORITY)


_NO_MAJORITY = (
    "no majority agrees: look at the rows on each node, decide whose are right, and have the other nodes "
    "take a full copy, one after the other (docs/how-to/operations.md, 'Do all nodes hold the same?')"
)
_KEEP = (
    "on the node whose rows are to stay: CREATE TABLE new LIKE old; ALTER TABLE new ENGINE=InnoDB; INSERT "
    "INTO new SELECT * FROM old; RENAME TABLE old TO former, new TO old"
)
