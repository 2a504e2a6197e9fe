"""What a run leaves out because a host does not answer: steps that would run there, and what follows them.

Owned here: which these are, saying so, and servers that the account no longer has. Left to others: which
changes of services are held up (held_services.py), who does not answer (care.py), when this is asked
(stack.py).

A host that is down keeps nobody from anything while nothing is to be done on it: the swarm is reached through
any manager that answers (components/any_manager.py). What is to be done there is known from a preview.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from components.own_hosts.taken_in import TakenInProvider
from components.softlayer import guests
from operations.account.audit import Account
from operations.account.comparison import known
from operations.around_run import held_services
from operations.around_run.care import Seen
from operations.around_run.resource_types import COMMAND, PROVIDER
from operations.around_run.run_watch import answers
from operations.messages import say
from operations.pulumi_cli import Pulumi
from operations.stack_settings import StackSettings
from settings.errors import UserError
from settings.own_hosts import OwnHost
from settings.servers import names_of

THROUGH_A_MANAGER = (COMMAND, PROVIDER)
"""Types of what is reached through any manager."""
UNCHANGED = frozenset({"same", "read", "refresh", "discard", "remove-pending-replace"})
"""Steps of a preview that do nothing on a host."""
GUEST, OWN = ":VirtualGuest", ":TakenIn"
"""Ends of the types of a host that was ordered, and of one's own."""
TOLD = 5
"""Names of steps that a message lists."""
JOINED = "-joined"
"""End of the name of the step that brings a host into the swarm. It runs again when any manager's address is
another, and on a node that is in the swarm it then finds nothing to do: what follows need not wait for it."""


def lost(seen: Seen, coming: Collection[str]) -> list[str]:
    """Hosts that do not answer, without those that are `coming`: their steps wait for nobody dead."""
    return [name for name in seen.away if name not in coming]


def coming(servers: Mapping[str, Any], exported: Mapping[str, Any]) -> set[str]:
    """Hosts that this run replaces, reloads, takes away or, because the state has none, makes."""
    tokens = servers.get("reloadToken")
    tokens = tokens if isinstance(tokens, Mapping) else {}
    found = {name for name in _listed(servers, "replace") if isinstance(name, str)}
    named = {name for names in names_of(servers) for name in names}
    known_names = set()
    for resource in _resources(exported):
        if not str(resource.get("type")).endswith((GUEST, OWN)):
            continue
        given = resource.get("inputs") or {}
        name = str(given.get("hostname"))
        known_names.add(name)
        if tokens.get(name, given.get("reload_token", "")) != given.get("reload_token", ""):
            found.add(name)
        if name not in named:
            found.add(name)
    return found | (named - known_names)


def met_anew(servers: Mapping[str, Any], exported: Mapping[str, Any]) -> set[str]:
    """Hosts of one's own that answer where the settings have them now, if that is not what the state has:
    installed anew (`hostKey`), another machine of that name, or moved.
    """
    pools = (pool for pool in _listed(servers, "pools") if isinstance(pool, Mapping))
    hosts = [*_listed(servers, "hosts"), *(host for pool in pools for host in _listed(pool, "hosts"))]
    known_ways = {
        str(given.get("hostname")): given
        for each in _resources(exported)
        if str(each.get("type")).endswith(OWN) and (given := each.get("inputs") or {})
    }
    found = set()
    for said in hosts:
        try:
            host = OwnHost.model_validate(said)
        except ValidationError:  # the program says what is wrong with it
            continue
        way = {"ssh_host": host.reached_at, "port": host.port, "user": host.user, "given": host.host_key}
        new = {**way, "hostname": host.name, "address": host.address}
        old = known_ways.get(host.name)
        if old and TakenInProvider.tells({**old, "owner": None}, new):
            found |= {host.name} if answers(host.reached_at, host.port) else set()
    return found


def _listed(section: Mapping[str, Any], key: str) -> list[Any]:
    """What a section has under a key; nothing where that is no list: the program says what is wrong."""
    found = section.get(key)
    return found if isinstance(found, list) else []


def cancelled(pulumi: Pulumi, seen: Seen | None, going: Collection[str] = ()) -> dict[str, str]:
    """The URNs of servers that the account no longer has, by host name; says which.

    Only hosts that do not answer are asked for, and those that are `going`: one whose cancellation was broken
    off may answer for some minutes more.
    """
    if seen is None or not (seen.away or going):
        return {}
    exported, away = pulumi.export() or {}, dict.fromkeys([*seen.away, *going])
    ours = {
        str((each.get("inputs") or {}).get("hostname")): each
        for each in _resources(exported)
        if str(each.get("type")).endswith(GUEST) and each.get("id") and not each.get("delete")
    }
    asked = {name: ours[name] for name in away if name in ours}
    if not asked:
        return {}
    try:
        api = Account.of(pulumi, known(exported)).api
        found = {name: guests.get(api, int(each["id"])) for name, each in asked.items()}
    except UserError as error:  # Pulumi will say more
        say(f"Whether the account still has {' and '.join(asked)} could not be looked up: {error}")
        return {}
    gone = {name: str(ours[name]["urn"]) for name, guest in found.items() if not guest or guest.reclaiming}
    for name in gone:
        say(
            f"{name}: the account no longer has its server ({ours[name]['id']}). `up` orders it anew, and it "
            "joins by another manager."
        )
    return gone


def refreshed(gone: Collection[str]) -> list[str]:
    """Pulumi's option to a preview by which it misses what the account has lost, if there is any."""
    return ["--refresh"] if gone else []


def of_up(
    seen: Seen | None, pulumi: Pulumi, gone: Collection[str] = (), going: Collection[str] = ()
) -> list[str]:
    """Pulumi's options that leave out what needs hosts which do not answer and are not made anew.

    Args:
        pulumi: whose program is told of the hosts.
        gone: hosts whose servers the account no longer has.
        going: hosts that are replaced in this run for their own sake.
    """
    if seen is None or not seen.away:
        return []
    exported = pulumi.export() or {}
    servers = StackSettings.of(pulumi).section("swarm-galera:servers")
    away = lost(seen, {*coming(servers, exported), *met_anew(servers, exported), *gone, *going})
    return options(seen, exported, away, lambda: pulumi.planned(*refreshed(gone)))


def of_refresh(seen: Seen | None, pulumi: Pulumi) -> list[str]:
    """Pulumi's options that leave out what is reached through managers, if none answers."""
    if seen is None or not nobody_manages(seen, seen.away):
        return []
    return excluding(seen, through_managers(pulumi.export() or {}), seen.away)


def options(
    seen: Seen, exported: Mapping[str, Any], away: Sequence[str], planned: Callable[[], Sequence[Any] | None]
) -> list[str]:
    """Pulumi's options that leave out what needs a host which does not answer; says what that is.

    Args:
        exported: the stack's state.
        away: those hosts (`lost`).
        planned: the steps of a preview; None if that fails.
    """
    if not away:
        return []
    if nobody_manages(seen, away):
        return excluding(seen, [*_there(_resources(exported), away), *through_managers(exported)], away)
    say(f"Looking whether anything has to be done on {' and '.join(away)} …")
    steps = planned()
    if steps is None:
        # The run itself says why; until then, nobody dead is waited for.
        return excluding(seen, _there(_resources(exported), away), away)
    changed = [step for step in steps if step.get("op") not in UNCHANGED]
    services = held_services.held(seen.outputs, _resources(exported), changed, away)
    needed = list(dict.fromkeys([*_there(changed, away), *services]))
    if not needed:
        say(f"Nothing has to be done on {' and '.join(away)}: what else there is to do, is done.")
        return []
    if _only_addresses(changed, needed):
        return excluding_alone(needed, away)
    if services:
        say(
            f"Services with a container on {' and '.join(away)} are changed on all their hosts or on none: "
            "each that is left would be stopped for a while, beside the one that is missing."
        )
    return excluding(seen, needed, away)


def _only_addresses(steps: Iterable[Mapping[str, Any]], needed: Collection[str]) -> bool:
    """Whether nodes of the swarm would only be told where its managers are now."""
    ops = {str(step["urn"]): step.get("op") for step in steps if step["urn"] in needed}
    return all(urn.endswith(JOINED) and op == "update" for urn, op in ops.items())


def excluding_alone(urns: Sequence[str], away: Collection[str]) -> list[str]:
    """The options that leave out these steps and nothing that comes after them; says so."""
    names = ", ".join(urn.rpartition("::")[2] for urn in urns)
    say(
        f"Left out, and nothing else: that {' and '.join(away)} be asked whether the managers' new addresses "
        f"are known there ({names}). Nodes of the swarm hear of them by themselves. Remedy: once they "
        "are back, run `up` again."
    )
    return [word for urn in urns for word in ("--exclude", urn)]


def nobody_manages(seen: Seen, away: Collection[str]) -> bool:
    """Whether no manager answers."""
    return all(host.name in away for host in seen.outputs.managers)


def through_managers(exported: Mapping[str, Any]) -> list[str]:
    """URNs of what is reached through any manager."""
    return [each["urn"] for each in _resources(exported) if each.get("type") in THROUGH_A_MANAGER]


def excluding(seen: Seen, urns: Sequence[str], away: Collection[str]) -> list[str]:
    """The options; says what is left out, and what to do."""
    names = [urn.rpartition("::")[2] for urn in urns]
    more = f" and {len(names) - TOLD} more" if len(names) > TOLD else ""
    say(
        f"Left out: what would have to be done on {' and '.join(away)} ({', '.join(names[:TOLD])}{more}), "
        f"and what comes after that. Remedy: bring it back ({_back(seen, away)}), then run `up` again."
    )
    return [*(word for urn in urns for word in ("--exclude", urn)), "--exclude-dependents"]


def _back(seen: Seen, away: Collection[str]) -> str:
    """How, for hosts that are ordered and for one's own."""
    own = {host.name for host in seen.outputs.hosts if host.own}
    ways = []
    if set(away) - own:
        ways.append("`slcli vs power-on`, or a reload: servers.reloadToken; or give it up: servers.replace")
    if set(away) & own:
        ways.append("start it; or give it up: take it out of servers.hosts")
    return "; ".join(ways)


def _there(steps: Iterable[Mapping[str, Any]], away: Collection[str]) -> list[str]:
    """URNs of those (of a state or a preview) that reach one of these hosts over SSH."""
    found = []
    for step in steps:
        resource = step.get("newState") or step.get("oldState") or step
        behind = resource.get("propertyDependencies") or {}
        through = {str(urn).rpartition("::")[2] for urn in behind.get("connection") or ()}
        if _only_forgotten(step):
            continue
        if any(f"{name}-ready" in through for name in away) or _told_anew(step, away):
            found.append(str(step["urn"]))
    return list(dict.fromkeys(found))


def _only_forgotten(step: Mapping[str, Any]) -> bool:
    """Whether a step of a preview deletes what has nothing to run for it: no host is asked then."""
    inputs = (step.get("oldState") or {}).get("inputs") or {}
    return step.get("op") == "delete" and "stdin" in inputs and not inputs.get("delete")


def _told_anew(step: Mapping[str, Any], away: Collection[str]) -> bool:
    """Whether a host of one's own would be told something by its own resource, in a step of a preview."""
    if not str(step.get("urn")).endswith(tuple(f"{OWN}::{name}-ready" for name in away)):
        return False
    old, new = ((step.get(key) or {}).get("inputs") or {} for key in ("oldState", "newState"))
    return step.get("op") == "update" and TakenInProvider.tells(old, new)


def _resources(exported: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    return (exported.get("deployment") or {}).get("resources") or ()
