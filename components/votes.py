"""A plan that takes more votes away than the rest can do without is refused before it begins.

Owns: the rule, of the swarm's managers, the store's members and the database's nodes alike, and the words.
Leaves to others: who cannot vote now (operations/around_run/care.py looks before a run; hosts of one's own
are seen by the program itself), plans that name other hosts altogether (softlayer/changes.py), and giving
a vote up (host_scripts/swarm_leaving.py, which looks once more before it stops anything).

Of three managers with one dead the two others are just a majority. Were another one taken out, one vote of
two would be left, and neither swarm nor store would take a change any more, not even to mend that.
"""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from settings import Settings
from settings.errors import UserError

VOTERS = "SWARM_GALERA_VOTERS"
"""Environment variable by which `python -m operations` says who has a vote in what, and why some cannot give
it: JSON, `{"the swarm": [["galera-1", ""], ["galera-3", "does not answer"]], "etcd": …}`."""
SWARM = "the swarm"
DATABASE = "the database"
"""Its nodes' votes go with them when they leave in order. But rows are only where a node is Synced: were
those to leave that are, nobody could serve or hand on what is stored."""
LINGERS = "consul"
"""The store in which a server that becomes an agent has its vote until it has ended: as long as it runs, the
leader gives back within a minute what was taken away (Consul's `reconcile`)."""


@dataclass(frozen=True)
class Voter:
    """A manager of the swarm, a member of the store, or a node of the database.

    Attributes:
        name: its host's. A host that was replaced may be there twice, and both votes count.
        silent: why it cannot vote now; empty if it can.
    """

    name: str
    silent: str = ""


def refuse_loss_of_majority(
    settings: Settings, last: Mapping[str, Any], away: Mapping[str, str] | None = None
) -> None:
    """Raise UserError if so many would leave that those who stay and can vote are no majority.

    Args:
        last: outputs of the stack's last complete run.
        away: why hosts of one's own do not answer, where nobody has looked at all of them before the run.
    """
    hosts, managers = settings.servers.hostnames, settings.servers.manager_names
    stay: dict[str, Collection[str]] = {}
    if settings.deploys("swarm"):
        stay[SWARM] = managers
    if settings.deploys("data"):
        stay[settings.discovery.kind] = settings.discovery.members(managers)
        stay[DATABASE] = settings.servers.data_names
    known = _told() or _known(last, away or {})
    for body, names in stay.items():
        if problem := refusal(body, known.get(body, ()), names, hosts):
            raise UserError(problem)


def refusal(body: str, voters: Sequence[Voter], stay: Collection[str], hosts: Collection[str]) -> str:
    """Why the plan must not be; empty if it may.

    Args:
        body: what they vote in.
        stay: who has a vote in the plan. hosts: all of the plan.
    """
    going = [each for each in voters if each.name not in stay]
    if problem := _lingering(body, voters, stay, hosts):
        return problem
    # Whoever is down goes first. But a host that stays, and gives up its vote alone, may come before these.
    early = [each for each in going if each.name in hosts and not each.silent]
    for gone in (going, early):
        left = [each for each in voters if each not in gone]
        can = [each.name for each in left if not each.silent]
        if not gone or 2 * len(can) > len(left):
            continue
        return _words(body, going, left, len(can))
    return ""


def _lingering(body: str, voters: Sequence[Voter], stay: Collection[str], hosts: Collection[str]) -> str:
    """Why servers of `LINGERS` must not become agents now; empty if they may.

    Their votes count to the last. While all who stay can vote, that is a matter of a minute; with one of them
    dead, those who are left are no majority, and what has no majority takes no vote away either.
    """
    left = [each for each in voters if each.name in hosts]
    going = [each for each in left if each.name not in stay]
    can = [each for each in left if each not in going and not each.silent]
    dead = len(left) - len(going) > len(can)
    if body != LINGERS or not going or not dead or 2 * len(can) > len(left):
        return ""
    return _words(body, going, left, len(can))


def _words(body: str, going: Sequence[Voter], left: Sequence[Voter], can: int) -> str:
    leaves = ", ".join(each.name for each in going if not each.silent) or going[0].name
    silent = "; ".join(f"{each.name}: {each.silent}" for each in left if each.silent)
    return (
        f"{leaves} would give up its vote in {body}, and of the {len(left)} that then count only "
        f"{can} can vote ({silent}). That is no majority: {body} would take no change any more. "
        "Nothing was changed. Remedy: bring back who cannot vote, or give that host up first, alone, "
        "which costs no vote (take it out of the settings, or have it replaced: servers.replace); when "
        "`verify` holds, repeat this"
    )


def _told() -> dict[str, list[Voter]]:
    """What the look before this run has found; empty if all can vote, or nobody has looked."""
    told = json.loads(os.environ.get(VOTERS) or "{}")
    return {body: [Voter(*each) for each in voters] for body, voters in told.items()}


def _known(last: Mapping[str, Any], away: Mapping[str, str]) -> dict[str, list[Voter]]:
    """By the outputs, and what the program itself has seen."""
    managers = last.get("managers") or ()
    store = last.get("discovery") or {}
    nodes = (last.get("galera") or {}).get("members") or ()
    named = {SWARM: managers, str(store.get("kind")): store.get("servers") or managers, DATABASE: nodes}
    return {body: [Voter(name, away.get(name, "")) for name in names] for body, names in named.items()}
