"""What is done on hosts whose upper layers were taken down: they leave the swarm; what is to go is removed.

Owns: what counts as done, and that nothing is done before Pulumi is through with what it knows of the swarm.
Leaves to others: removing services, networks and nodes (the docker resources, host_scripts/swarm_leaving.py),
in which order hosts come (components/taken_down.py).

Pulumi deletes last: in the run that takes a layer down these steps find it still there. They then say
`pending` and what they found, change nothing, and the next run has them look again. What would be in the way
of the deletions is refused by that first look, before anything is gone.
"""

from __future__ import annotations

from collections.abc import Sequence

from components.host_scripts import overlay
from components.host_scripts.shell import assign, body
from components.host_scripts.swarm_leaving import MARK, functions

CLEAR = "clear"
"""What a step prints when nothing is left to do."""
PENDING = "pending"
"""What the line of a step begins with that must look again; what it found comes behind."""
PATIENCE = 600
"""Seconds for the containers of services that are gone to end: a database writes out its buffer pool."""
LEAVES_WITHIN = 90
"""Seconds for an engine to be out of a swarm that it was told to leave."""


def look(own: str, *, swarm_stays: bool) -> str:
    """Shell text for any manager: whether Pulumi has removed what the state knows.

    Prints `CLEAR`, also on a host that is in no swarm, or `PENDING` and what is there. Fails where the swarm
    is to go and bears services, nodes, secrets or configs that are not the stack's.

    Args:
        own: `LABEL=VALUE` on the stack's services, secrets and configs.
        swarm_stays: only the services go.
    """
    facts = assign(
        own=own,
        network_label=overlay.LABEL,
        mark=MARK,
        swarm_stays="yes" if swarm_stays else "",
    )
    return f"{facts}\n{_LOOK}"


_LOOK = body("taken_down_look")


def without_lost(hostnames: Sequence[str], own: str) -> str:
    """Shell text for any manager: those of these hosts that are down are no nodes any more.

    To be run before Pulumi takes nodes out one by one: the majority must hold until the last of them. What
    `look` refuses is refused here, before any of them is lost for nothing. Args: own: as for `look`.
    """
    looked = f"(\n{look(own, swarm_stays=False)}\n) >/dev/null"
    return f"{looked}\n{functions(())}\n{assign(lost=list(hostnames))}\n{_LOST}"


_LOST = body("taken_down_lost")


def leave(hostname: str, *, alone: bool = False) -> str:
    """Shell text for any host: out of the swarm. Standard input: what `look` has printed; prints alike.

    Args:
        alone: it was down while the others left, so nobody else ends what came back with it.
    """
    facts = assign(hostname=hostname, patience=PATIENCE, leaves_within=LEAVES_WITHIN)
    return f"{facts}\n{_ALONE}\n{_LEAVE}" if alone else f"{facts}\n{_LEAVE}"


_LEAVE = body("taken_down_leave")
_ALONE = body("taken_down_alone")


def remove_volumes(hostname: str, volumes: Sequence[str]) -> str:
    """Shell text for any host: these volumes are removed, for good.

    Standard input: what `look` has printed; prints alike.
    """
    return f"{assign(hostname=hostname, volumes=list(volumes), patience=PATIENCE)}\n{_VOLUMES}"


_VOLUMES = body("taken_down_volumes")
