"""Whether the cluster can do without a host for a while, or for good: the refusals, as one pure function.

Owns: what must hold of all others before a host is replaced, rebooted or taken out of the endpoints.
Leaves to others: looking at the hosts (around_run/care.py), the rule of majorities (components/votes.py),
what is then done (replace/command.py, upgrade/hosts.py, maintenance.py).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Literal

from components import votes
from components.votes import Voter
from operations import notes
from operations.around_run import care
from operations.around_run.care import Seen
from operations.checks import backup as backup_checks
from operations.checks.galera import BACKUP
from operations.facts.cluster import HostFacts, told_by_store

Absence = Literal["leaves", "returns"]
"""`leaves`: the host gives up its votes, so they no longer count. `returns`: it is away and counts."""


def refusal(seen: Seen, host: str, absence: Absence, *, ill: bool = True, waits: bool = False) -> str:
    """Why the cluster can't do without `host` now; empty if it can.

    Args:
        absence: what becomes of its votes.
        ill: it may itself be ill or away; without, it must be well.
        waits: for the end of a backup that another node makes (backup_end.py); without, that is a reason.
    """
    return "; ".join(_reasons(seen, host, absence, ill, waits))


def _reasons(seen: Seen, host: str, absence: Absence, ill: bool, waits: bool) -> Iterator[str]:
    found, unwell = seen.outputs, seen.unwell
    if not ill and host in unwell:
        yield f"{host} itself is not well: {unwell[host]}"
    if others := {name: why for name, why in unwell.items() if name != host}:
        yield "others are not well: " + "; ".join(f"{name}: {why}" for name, why in others.items())
        return
    if found.has("swarm") and not any(facts.managers for facts in seen.facts.values()):
        yield "no manager says who the swarm's nodes are: it has no leader, and takes no change"
    if host in found.members:
        yield from _of_database(seen, host, waits)
    for body, voters in care.bodies(seen).items():
        if body != votes.DATABASE and (why := _of_majority(body, voters, host, absence)):
            yield why


def _of_database(seen: Seen, host: str, waits: bool) -> Iterator[str]:
    """The others serve, and are enough."""
    rest = [name for name in seen.outputs.members if name != host]
    making = backup_checks.making(seen.outputs, seen.facts)
    if not rest:
        yield f"{host} has the only node of the database, and nobody could serve without it"
    for name in rest:
        galera = seen.facts.get(name, HostFacts()).galera
        state = galera.get("wsrep_local_state_comment", "not running")
        backs_up = name == making and state == BACKUP
        if state != "Synced" and not (waits and backs_up):
            # A donor: the one that receives from it is not whole yet.
            why = f"the database of {name} is {state}"
            yield f"{why}, for a backup: wait for its end (`operations backups`)" if backs_up else why
    out = sorted(set(maintained(seen)) & set(rest))
    if rest and len(out) == len(rest):
        yield f"load balancers send nobody to {' and '.join(out)}, which are in maintenance"


def _of_majority(body: str, voters: Collection[tuple[str, str]], host: str, absence: Absence) -> str:
    """Whether those that are left decide."""
    known = [Voter(*each) for each in voters]
    if not any(each.name == host for each in known):
        return ""
    left = [each for each in known if each.name != host]
    counts = left if absence == "leaves" else known
    can = [each.name for each in left if not each.silent]
    if 2 * len(can) > len(counts):
        return ""
    silent = "; ".join(f"{each.name}: {each.silent}" for each in left if each.silent)
    return (
        f"without {host} only {len(can)} of the {len(counts)} votes in {body} can be given"
        f"{f' ({silent})' if silent else ''}, which is no majority"
    )


def maintained(seen: Seen) -> dict[str, str]:
    """The note on each node that is in maintenance, by its name."""
    return notes.maintained(facts.node_status for facts in seen.facts.values())


def told(seen: Seen) -> bool:
    """Whether any node says what the store knows; without, `maintained` knows of nobody."""
    return bool(told_by_store(seen.facts.values()))


def writer(seen: Seen) -> str:
    """Who takes the writes, as the store says; empty where nobody is named."""
    return str(told_by_store(seen.facts.values()).get("writer") or "")
