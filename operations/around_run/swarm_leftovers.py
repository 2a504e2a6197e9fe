"""What a broken-off run left on the swarm, and what of its state is no longer there.

Owns: finding both through any manager; removing what no state knows. Leaves to others: why secrets and
configs are in nobody's way (components/swarm_files.py), when to look (stack.py), taking what is gone out of
the state (Pulumi's refresh).

The label says whose they are, the state which of them are known. Services and networks have names of their
own, so one that no state knows is in the next run's way: it is removed *before* that, with its tasks, and
made anew; the data is in the hosts' volumes. What is in the state but gone can be neither changed nor
deleted. Secrets and configs are removed *after* a run has come to its end; the engine keeps those that are in
use.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from components.cluster_host import SSH_PORT
from components.host_scripts import overlay
from components.host_scripts.shell import assign, body
from components.swarm_files import LABEL
from operations import remote_hosts
from operations.around_run.resource_types import NETWORK, PROVIDER, SERVICE
from operations.messages import say
from operations.outputs import Host, Outputs
from operations.remote_hosts import SCRIPTS
from settings.errors import UserError

TYPES = ("docker:index/secret:Secret", "docker:index/serviceConfig:ServiceConfig")
KINDS = {
    SERVICE: "service",
    NETWORK: "network",
    **dict(zip(TYPES, ("secret", "config"), strict=True)),
}
"""What docker's command line calls them."""

_GONE = body("leftovers_gone", SCRIPTS)
_STRAY_NETWORKS = body("leftovers_networks", SCRIPTS)

_REMOVE = body("leftovers_remove", SCRIPTS)


@dataclass(frozen=True)
class Managers:
    """Hosts with a vote in the swarm, and how to log in to them."""

    hosts: tuple[Host, ...]
    private_key: str | None = field(repr=False)


def managers(exported: Mapping[str, Any], folder: Path) -> Managers | None:
    """As the docker provider reaches them; None if there is none yet, or its SSH files are elsewhere.

    Args:
        folder: of the SSH files (components/ssh_files.py). Outputs come later than the provider.
    """
    known_hosts, key, ways = folder / "known_hosts", folder / "id", {}
    if not known_hosts.exists() or not any(each["type"] == PROVIDER for each in _resources(exported)):
        return None
    if (file := folder / "managers.json").exists():
        ways = {each["name"]: each for each in json.loads(file.read_text(encoding="utf-8"))}
    hosts = []
    for line in known_hosts.read_text(encoding="utf-8").splitlines():
        names, _, host_key = line.partition(" ")
        # The address comes last; older versions knew nothing else, and only root and port 22.
        *_, name, address = ["", *names.split(",")]
        way = ways.get(name) or {"address": address}
        user, port = way.get("user", "root"), way.get("port", SSH_PORT)
        host = Host(name or address, "manager", "", way["address"], host_key, user=user, port=port)
        hosts.append(host)
    return Managers(tuple(hosts), key.read_text(encoding="utf-8") if key.exists() else None)


def comparison(project: str, stack: str, known: Sequence[str]) -> str:
    """Shell text, for a manager: prints `gone KIND/ID` and `removed the KIND NAME`.

    Args:
        known: KIND/ID of all that the state knows.
    """
    variables = assign(label=f"{LABEL}={project}/{stack}", network_label=overlay.LABEL, known=list(known))
    wait = f"if [[ $removed || ${{strays[*]}} ]]; then\n{overlay.tasks_gone()}\nfi"
    return "\n".join((variables, _GONE, wait, _STRAY_NETWORKS))


def before_up(exported: Mapping[str, Any], folder: Path, project: str, stack: str) -> list[str]:
    """Remove the services and networks that no state knows, and say so; returns the URNs of what is gone."""
    urns = {
        f"{KINDS[each['type']]}/{each['id']}": str(each["urn"])
        for each in _resources(exported)
        if each["type"] in KINDS and each.get("id") and not each.get("delete")
    }
    way = managers(exported, folder)
    if way is None:
        return []
    answer = _asked(way, way.hosts, comparison(project, stack, list(urns)))
    if answer.error:
        say(f"What an interrupted run may have left on the swarm could not be looked for: {answer.error}.")
        return []
    lines = [line.partition(" ") for line in answer.text.splitlines()]
    if removed := [what for word, _, what in lines if word == "removed"]:
        say(
            f"Removed what an interrupted run left on the swarm, in no state: {', '.join(removed)}. "
            "It is made again; data is in the hosts' volumes."
        )
    gone = [what for word, _, what in lines if word == "gone"]
    if gone:
        names = (urns[each].rpartition("::")[2] for each in gone)
        say(f"In the state, but no longer on the swarm: {', '.join(names)}. Taken out of the state.")
    return [urns[each] for each in gone]


def _asked(way: remote_hosts.Reachable, hosts: Sequence[Host], text: str) -> remote_hosts.Answer:
    """The answer of the first of `hosts` that gives one; else why none did."""

    async def ask() -> remote_hosts.Answer:
        why = []
        async with remote_hosts.connected(way) as connections:
            for host in hosts:
                answer = await connections.run(host.name, text)
                if not answer.error:
                    return answer
                why.append(f"{host.name}: {answer.error}")
        return remote_hosts.Answer(error="; ".join(why))

    try:
        return asyncio.run(ask())
    except UserError as error:  # a private key that cannot be read here
        return remote_hosts.Answer(error=str(error))


def _resources(exported: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    return (exported.get("deployment") or {}).get("resources") or ()


def known(exported: Mapping[str, Any]) -> list[str]:
    """Ids of all secrets and configs of an exported state, those about to be deleted too."""
    return [str(each["id"]) for each in _resources(exported) if each["type"] in TYPES and each.get("id")]


def removal(project: str, stack: str, ids: Sequence[str]) -> str:
    """Shell text that removes the stack's secrets and configs except `ids`; prints `KIND NAME` of each."""
    return f"{assign(label=f'{LABEL}={project}/{stack}', known=ids)}\n{_REMOVE}"


def clear(outputs: Outputs, exported: Mapping[str, Any], project: str, stack: str) -> bool:
    """Remove them through any manager and say so; False (said, too) if none could be asked."""
    text = removal(project, stack, known(exported))
    answer = _asked(replace(outputs, hosts=outputs.managers), outputs.managers, text)
    if answer.error:
        say(
            f"What an interrupted run may have left on the swarm could not be looked for: {answer.error}. "
            "It does no harm; the next `up` looks again."
        )
        return False
    if removed := answer.text.splitlines():
        say(f"Removed what an interrupted run left on the swarm, in no state: {', '.join(removed)}.")
    return True
