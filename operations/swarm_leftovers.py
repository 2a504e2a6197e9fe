"""What a broken-off run left on the swarm, and what of its state is no longer there.

Owns: finding both through the first manager; removing what no state knows. Leaves to others: why secrets and
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
from urllib.parse import urlsplit

from components.cluster_host import SSH_PORT
from components.host_scripts import overlay
from components.host_scripts.shell import assign, body
from components.swarm_files import LABEL
from operations import remote_hosts
from operations.messages import say
from operations.outputs import Host, Outputs
from operations.remote_hosts import SCRIPTS
from settings.errors import UserError

TYPES = ("docker:index/secret:Secret", "docker:index/serviceConfig:ServiceConfig")
KINDS = {
    "docker:index/service:Service": "service",
    "docker:index/network:Network": "network",
    **dict(zip(TYPES, ("secret", "config"), strict=True)),
}
"""What docker's command line calls them."""
PROVIDER = "pulumi:providers:docker"

_GONE = body("leftovers_gone", SCRIPTS)
_STRAY_NETWORKS = body("leftovers_networks", SCRIPTS)

_REMOVE = body("leftovers_remove", SCRIPTS)


@dataclass(frozen=True)
class Manager:
    """The manager that the docker resources are made through, and how to log in to it."""

    hosts: tuple[Host, ...]
    private_key: str | None = field(repr=False)


def manager(exported: Mapping[str, Any], folder: Path) -> Manager | None:
    """As the docker provider reaches it; None if none was made yet, or its SSH files are not on this machine.

    Args:
        folder: of the SSH files (components/docker_host_access.py). Outputs come later than the provider.
    """
    inputs = [each.get("inputs") or {} for each in _resources(exported) if each["type"] == PROVIDER]
    url = urlsplit(str(inputs[0].get("host")) if inputs else "")
    address = url.hostname
    known_hosts, key = folder / "known_hosts", folder / "id"
    if not address or not known_hosts.exists():
        return None
    pinned, _, host_key = known_hosts.read_text(encoding="utf-8").strip().partition(" ")
    host = Host(
        name=pinned,
        role="manager",
        private_ip="",
        address=address,
        host_key=host_key,
        user=url.username or "root",
        port=url.port or SSH_PORT,
    )
    with_agent = "-i" not in json.loads(str(inputs[0].get("sshOpts") or "[]"))
    return Manager((host,), None if with_agent else key.read_text(encoding="utf-8"))


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
    way = manager(exported, folder)
    if way is None:
        return []
    answer = _asked(way, comparison(project, stack, list(urns)))
    if answer.error:
        say(
            f"What an interrupted run may have left on the swarm could not be looked for: "
            f"{way.hosts[0].name}: {answer.error}."
        )
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


def _asked(way: remote_hosts.Reachable, text: str) -> remote_hosts.Answer:
    async def ask() -> remote_hosts.Answer:
        async with remote_hosts.connected(way) as hosts:
            return await hosts.run(way.hosts[0].name, text)

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
    """Remove them through the first manager and say so; False (said, too) if that one could not be asked."""
    first = outputs.managers[0]
    answer = _asked(replace(outputs, hosts=(first,)), removal(project, stack, known(exported)))
    if answer.error:
        say(
            f"What an interrupted run may have left on the swarm could not be looked for: {first.name}: "
            f"{answer.error}. It does no harm; the next `up` looks again."
        )
        return False
    if removed := answer.text.splitlines():
        say(f"Removed what an interrupted run left on the swarm, in no state: {', '.join(removed)}.")
    return True
