"""Hosts that are interrupted one after the other: the next only once the one before is back in service.

Owns: the order, and holding a change back. Leaves to others: which hosts a run interrupts
(components/softlayer/changes.py) and what "back in service" means (components/host_scripts/engine.py).

A change of an existing server that reboots or reloads it is begun by declaring it. So the declaration of each
such server waits for the last step of the one before. Servers that are only ordered wait for nobody. Like the
`OrderGate`, this leaves no edges in the state: a later `destroy` takes all servers away side by side.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Collection, Mapping, Sequence

import pulumi

from settings.errors import UserError

NOT_WELL = "SWARM_GALERA_NOT_WELL"
"""Environment variable by which `python -m operations` says which hosts are not well, and why: JSON."""


def refuse_while_others_are_not_well(interrupted: Collection[str]) -> None:
    """Raise UserError if a run would interrupt hosts while others are not well.

    Known only to a run that was started by `python -m operations`, which looks at the hosts first.
    """
    unwell: Mapping[str, str] = json.loads(os.environ.get(NOT_WELL) or "{}")
    for host in interrupted:
        if others := {name: why for name, why in unwell.items() if name != host}:
            told = "; ".join(f"{name}: {why}" for name, why in others.items())
            raise UserError(
                f"{host} would be interrupted (a resize, reload or replacement) while others are not well: "
                f"{told}. Nothing was changed. Remedy: bring them back (`verify` names what is amiss), then "
                "repeat; or take that change out of the settings until then"
            )


class Turns:
    """The order in which some hosts may be interrupted.

    Use: `turns = Turns(hosts)`; declare each server with what `before` gives; `turns.close(steps)`.
    """

    def __init__(self, hostnames: Sequence[str]) -> None:
        """`hostnames`: those that this run interrupts, in the order in which their last steps depend on one
        another; any other order would have them wait for one another for ever.
        """
        self._hostnames = list(hostnames)
        self._steps: Mapping[str, pulumi.Resource] = {}
        self._closed = asyncio.Event()

    def before(self, hostname: str) -> pulumi.Output[list[pulumi.Resource]] | None:
        """For use as `depends_on`: resolves when it is the host's turn, and names no resource.

        None for a host that is not interrupted.
        """
        if hostname not in self._hostnames:
            return None
        position = self._hostnames.index(hostname)
        previous = self._hostnames[position - 1] if position else None

        async def wait() -> list[pulumi.Resource]:
            if previous is not None:
                await self._closed.wait()
                await self._steps[previous].urn.future()
            return []

        return pulumi.Output.from_input(wait())

    def close(self, steps: Mapping[str, pulumi.Resource]) -> None:
        """The hosts' last steps, by host name: whoever is through with it is back in service."""
        self._steps = steps
        self._closed.set()
