"""Images of the stack's services that nothing runs any more, removed from the hosts.

Owned here: which ones those are. Left to others: when (stack.py). Each image of the database is some hundred
MB; without this a host keeps every one that it ever ran.

They are asked for after a run that has given a service another image, and again until one has found that none
is left anywhere: the swarm keeps ended containers of before for a while, and a host may be away.

Only repositories that the stack's services use now, only images that no container has, running or ended, and
never what a service names.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from components.host_scripts.shell import assign, body
from operations import remote_hosts
from operations.around_run.resource_types import SERVICE
from operations.errors import OperationsError
from operations.messages import say
from operations.outputs import Outputs
from operations.pulumi_cli import Pulumi
from operations.remote_hosts import SCRIPTS, Answer
from settings.errors import UserError

_REMOVE = body("former_images", SCRIPTS)


def after_up(
    outputs: Outputs, before: Mapping[str, Any], pulumi: Pulumi, mark: Path, *, broken_off: bool
) -> None:
    """Remove them where there may be some.

    Args:
        before: the state, exported before the run. broken_off: the one before it was.
        mark: a file that is there until none is left.
    """
    if broken_off or mark.exists() or _other_images(before, pulumi):
        mark.touch()
        if remove(outputs):
            mark.unlink()


def _other_images(before: Mapping[str, Any], pulumi: Pulumi) -> bool:
    """Whether services have other images now than in an exported state of before, or nobody knows."""
    try:
        return _images(before) != _images(pulumi.export() or {})
    except OperationsError:  # but `up` has succeeded
        return True


def _images(exported: Mapping[str, Any]) -> dict[str, Any]:
    resources = (exported.get("deployment") or {}).get("resources") or []
    specs = {
        each["urn"]: each.get("inputs", {}).get("taskSpec") or {}
        for each in resources
        if each["type"] == SERVICE
    }
    return {urn: (spec.get("containerSpec") or {}).get("image") for urn, spec in specs.items()}


def removal(services: tuple[str, ...]) -> str:
    """Shell text that removes former images of `services`.

    Prints `removed<TAB>image`, and `held<TAB>image` of one that only ended containers have.
    """
    return f"{assign(services=services)}\n{_REMOVE}"


def remove(outputs: Outputs) -> bool:
    """Remove them on all managers that answer, and say so. Returns whether none is left on any."""

    async def ask() -> dict[str, Answer]:
        async with remote_hosts.connected(outputs) as hosts:
            text = removal((outputs.service, outputs.store))
            reachable = [host.name for host in outputs.managers if host.name in hosts.reachable]
            return await hosts.run_all(dict.fromkeys(reachable, text))

    try:
        answers = asyncio.run(ask())
    except UserError:  # a private key that cannot be read here: it was of use to Pulumi, not to us
        return False
    held = len(answers) < len(outputs.managers) or any(answer.error for answer in answers.values())
    for name, answer in answers.items():
        told = [line.split("\t", 1) for line in answer.text.splitlines() if "\t" in line]
        if gone := [image for word, image in told if word == "removed"]:
            say(f"{name}: removed images that nothing runs any more: {', '.join(gone)}.")
        held = held or any(word == "held" for word, _ in told)
    return not held
