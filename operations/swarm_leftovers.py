"""Secrets and configs that a broken-off run made and no state knows of.

Owns: finding them on the swarm and removing them. Leaves to others: why they are in nobody's way
(components/swarm_files.py), when to look (stack.py).

The label says whose they are, the state which of them are known, and the engine refuses to remove what a
service uses. Networks and services keep their names, so one that is in no state is not removed here: the
lab's docker plugin takes it over if it is as wanted, and docs/operations.md says what to do with the official
one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from components.commands.shell import assign
from components.swarm_files import LABEL
from operations import remote_hosts
from operations.outputs import Outputs

TYPES = ("docker:index/secret:Secret", "docker:index/serviceConfig:ServiceConfig")

_REMOVE = r"""
for kind in secret config; do
  found=$(docker "$kind" ls --filter "label=$label" --format '{{.ID}} {{.Name}}')
  while read -r id name; do
    [[ $id && " ${known[*]} " != *" $id "* ]] || continue
    if docker "$kind" rm "$id" >/dev/null; then printf '%s %s\n' "$kind" "$name"; fi
  done <<<"$found"
done
""".strip()


def known(exported: Mapping[str, Any]) -> list[str]:
    """Ids of all secrets and configs of an exported state, those about to be deleted too."""
    resources = (exported.get("deployment") or {}).get("resources") or ()
    return [str(each["id"]) for each in resources if each["type"] in TYPES and each.get("id")]


def removal(project: str, stack: str, ids: Sequence[str]) -> str:
    """Shell text that removes the stack's secrets and configs except `ids`; prints `KIND NAME` of each."""
    return f"{assign(label=f'{LABEL}={project}/{stack}', known=ids)}\n{_REMOVE}"


def clear(
    outputs: Outputs, exported: Mapping[str, Any], project: str, stack: str, say: Callable[[str], None]
) -> bool:
    """Remove them through the first manager and say so; False (said, too) if that one could not be asked."""
    first = outputs.managers[0]

    async def ask() -> remote_hosts.Answer:
        async with remote_hosts.connected(replace(outputs, hosts=(first,))) as hosts:
            return await hosts.run(first.name, removal(project, stack, known(exported)))

    try:
        answer = asyncio.run(ask())
    except ValueError as error:  # a private key that cannot be read here
        answer = remote_hosts.Answer(error=str(error))
    if answer.error:
        say(
            f"What an interrupted run may have left on the swarm could not be looked for: {first.name}: "
            f"{answer.error}. It does no harm; the next `up` looks again."
        )
        return False
    if removed := answer.text.splitlines():
        say(f"Removed what an interrupted run left on the swarm, in no state: {', '.join(removed)}.")
    return True
