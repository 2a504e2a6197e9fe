"""Images of the stack's services that nothing runs any more, removed from the hosts.

Owned here: which ones those are. Left to others: when (stack.py). Each image of the database is some hundred
MB; without this a host keeps every one that it ever ran.

Only repositories that the stack's services use now, only images that no container has, running or ended, and
never what a service names.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from components.host_scripts.shell import assign, body
from operations import remote_hosts
from operations.messages import say
from operations.outputs import Outputs
from operations.pulumi_cli import Pulumi
from operations.remote_hosts import SCRIPTS, Answer
from settings.errors import UserError

SERVICE = "docker:index/service:Service"
_REMOVE = body("former_images", SCRIPTS)


def other_images(before: Mapping[str, Any], pulumi: Pulumi) -> bool:
    """Whether services have other images now than in an exported state of before."""
    return _images(before) != _images(pulumi.export() or {})


def _images(exported: Mapping[str, Any]) -> dict[str, Any]:
    resources = (exported.get("deployment") or {}).get("resources") or []
    specs = {
        each["urn"]: each.get("inputs", {}).get("taskSpec") or {}
        for each in resources
        if each["type"] == SERVICE
    }
    return {urn: (spec.get("containerSpec") or {}).get("image") for urn, spec in specs.items()}


def removal(services: tuple[str, ...]) -> str:
    """Shell text that removes former images of `services`; prints each."""
    return f"{assign(services=services)}\n{_REMOVE}"


def remove(outputs: Outputs) -> None:
    """Remove them on all managers that answer, and say so."""

    async def ask() -> dict[str, Answer]:
        async with remote_hosts.connected(outputs) as hosts:
            text = removal((outputs.service, outputs.store))
            reachable = [host.name for host in outputs.managers if host.name in hosts.reachable]
            return await hosts.run_all(dict.fromkeys(reachable, text))

    try:
        answers = asyncio.run(ask())
    except UserError:  # a private key that cannot be read here: it was of use to Pulumi, not to us
        return
    for name, answer in answers.items():
        if answer.text.split():
            say(f"{name}: removed images that nothing runs any more: {', '.join(answer.text.split())}.")
