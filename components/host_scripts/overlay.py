"""What is asked of the swarm before an overlay network is replaced.

Owns: refusing while services of others are attached; whether the network then is as wanted; waiting for the
last tasks of services that were removed. Leaves to others: the network (the docker resource), single
containers that somebody attached by hand: the engine then refuses to remove the network.
"""

from __future__ import annotations

from collections.abc import Sequence

from components.host_scripts.shell import assign, body

LABEL = "swarm-galera.encrypted"
"""On the network: `true` or `false`."""


def free_of_others(name: str, subnet: str, encrypted: bool, own: Sequence[str]) -> str:
    """Shell text, for a manager, that fails if the stack's network differs and serves others than `own`.

    To run before anything is taken down: a network cannot be changed, only removed and made again, and the
    engine removes none that a service uses.
    """
    wanted = f"{name} {subnet} {str(encrypted).lower()}"
    return f"{assign(label=LABEL, wanted=wanted, own=own)}\n{_REFUSE}"


def as_wanted(name: str, subnet: str) -> str:
    """Shell text, for a manager, that fails if the network has another subnet.

    The network's trigger is compared with the one that the last run has left. A state from before there was
    one has none: then a change of the subnet is not seen.
    """
    return f"{assign(name=name, subnet=subnet)}\n{_AS_WANTED}"


_AS_WANTED = body("overlay_as_wanted")


def tasks_gone(minutes: int = 10) -> str:
    """Shell text, for a manager, that waits until no task of a removed service is left on a node that is up.

    The docker plugin waits for containers of its own host at most. But the engine removes no network that a
    task is still attached to, and a service that is made anew must not meet its predecessor in the volume.
    """
    return f"{assign(patience=minutes * 60)}\n{_GONE}"


_GONE = body("overlay_tasks_gone")

_REFUSE = body("overlay_refuse")
