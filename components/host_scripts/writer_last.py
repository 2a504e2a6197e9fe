"""The node that takes the writes is changed last in a rolling change of the database.

Owns: which node that is, holding it back, and letting it go once all others are changed.
Leaves to others: the order of the others, one at a time (the engine), handing the writes over (the node, when
it is told to stop), when this is called (components/writer_last.py, components/galera.py).

The engine goes through the nodes of a global service in an order of its own, which differs from time to time
(swarmkit, manager/orchestrator/global: a map). But it changes nothing on a node whose availability is
`pause`, and once that is `active` again it replaces what is out of date there. So the writes move once, to a
node that stays, and not as often as nodes are changed. And in a change of MariaDB's version they are made on
the older one until all others are of the newer: what the older one writes the newer one can always apply.
"""

from __future__ import annotations

from components.host_scripts.shell import assign, body

LABEL = "swarm-galera.last"
"""Node label of the one that is held back; its value is the service."""


def hold(service: str) -> str:
    """Shell text for a manager, before `service` is changed. Prints nothing to standard output."""
    return f"{assign(service=service, label=LABEL)}\n{_HOLD}"


def only_held(service: str) -> str:
    """Shell text for a manager that ends the script in order where no host is held back; prints nothing."""
    return f"{assign(service=service, label=LABEL)}\n{_HELD}"


def free(service: str) -> str:
    """Shell text for a manager, before it waits for `service`: a held node that has died is let go.

    Prints nothing.
    """
    return f"{assign(service=service, label=LABEL)}\n{_FREE}"


def release() -> str:
    """Shell text to come behind `convergence.service_running`, whose variables it uses; prints nothing."""
    return f"{assign(label=LABEL)}\n{_RELEASE}"


_HOLD = body("writer_last_hold")

_HELD = body("writer_last_held")

_FREE = body("writer_last_free")

_RELEASE = body("writer_last_release")
