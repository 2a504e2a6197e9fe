"""Waiting on a manager until a service really runs everywhere, and saying why when it does not.

Owns: what counts as running, when a rolling update is over and whether it went well, the lines of progress,
giving up with the failing tasks' own words, the service's virtual IP.
Leaves to others: creating and changing services (the docker resources), how they are updated
(components/services.py) and what a healthy container is (its image).

A task whose image has a health check is "Running" only once the check has passed, so that tasks need not be
asked one by one.

While a service is updated the old tasks run on, so running tasks alone prove nothing: the engine's own status
of the update does. Every change of a service clears it; the engine sets `updating` when it begins to replace
tasks, and never when none needs replacing; then `completed`, or `paused` after a failure. So an old pause is
never taken for one of the present update, unless nothing was changed since. Then the update goes on as soon
as all nodes run: to go on earlier would take down a second node.
"""

from __future__ import annotations

from collections.abc import Sequence

from components.host_scripts.shell import assign, body

GIVE_UP_AFTER_FAILURES = 6
"""Tasks of a service that failed on one node before waiting any longer is pointless."""
PORT_TAKEN = 2
"""Tasks that found their port taken on one node before it is somebody else who has it: the first one may have
come upon a predecessor that was about to end."""
PORT_HELD = 60
"""Seconds for which a task may wait for a port of its node before it is another service of the swarm that has
it: the former task of the same service needs its time to stop."""
BEGINS_WITHIN = 30
"""Seconds after which a changed service is not going to replace any task (an idle swarm takes one or two)."""


def service_running(
    service: str,
    nodes: int,
    network: str | None,
    minutes: int = 15,
    *,
    hopeless: str = "",
    ports: Sequence[int] = (),
) -> str:
    """Shell text that waits until `service` runs on `nodes` nodes; prints its virtual IP on `network`.

    Args:
        service: its name.
        nodes: how many tasks it has; of a global service, how many nodes it belongs on.
        network: name of the overlay network whose virtual IP is wanted; None for a service that has none, on
            the hosts' own network or with an address for each task: nothing is printed.
        minutes: how long a cluster that makes no progress is waited for; every task that comes to run, or is
            stopped for its successor, starts it anew.
        hopeless: text of a line in the service's log after which a service that has just been made is not
            waited for any longer: that line is shown. While a service is updated, tasks that are about to be
            replaced may say it.
        ports: of the hosts themselves, which another service of the swarm may have: it is looked for, and
            named.
    """
    variables = assign(
        service=service,
        wanted=nodes,
        network=network or "",
        patience=minutes * 60,
        most=GIVE_UP_AFTER_FAILURES,
        taken=PORT_TAKEN,
        begins=BEGINS_WITHIN,
        hopeless=hopeless,
    )
    wait = body("convergence_wait", pending="")
    if ports:
        held = f"{assign(ports=list(ports), held=PORT_HELD)}\n{_HELD}"
        wait = f"{held}\n{body('convergence_wait', pending=_ASKED)}"
    return f"{variables}\n{wait}\n{_NO_VIRTUAL_IP if network is None else _VIRTUAL_IP}"


def galera_formed(
    service: str, size: int, minutes: int = 15, *, arbitrator: bool = False, backup: bool = False
) -> str:
    """Shell text that waits until the local node sees `size` nodes in one Primary component.

    Args:
        arbitrator: one more may be there, or not yet.
        backup: the local node may be making one, for hours: then it is desynced by its own word, no donor.

    To run after `service_running`, which prints; this prints nothing. The container's root is the server's
    root over its socket: no password is needed.
    """
    variables = assign(service=service, size=size, patience=minutes * 60)
    if arbitrator:
        variables += f"\n{assign(more=size + 1)}"
    return f"{variables}\n{_formed(arbitrator=arbitrator, backup=backup)}"


def _formed(*, arbitrator: bool, backup: bool) -> str:
    sizes = ["$size", *(["$more"] if arbitrator else [])]
    fine = [f'$seen != "{size} nodes, Primary, Synced"' for size in sizes[1:]]
    if backup:
        desync = "${status[wsrep_desync]:-}"
        fine += [f'$seen{desync} != "{size} nodes, Primary, Donor/DesyncedON"' for size in sizes]
    return body(
        "convergence_formed",
        also="".join(f" && {each}" for each in fine),
        desync="; SHOW GLOBAL VARIABLES LIKE 'wsrep_desync'" if backup else "",
    )


_HELD = body("convergence_held")

_ASKED = "\n      Pending*) port_held ;;&"
"""What the wait does besides, with `_HELD`; without, its text stays what existing stacks have."""

_VIRTUAL_IP = body("convergence_virtual_ip")

_NO_VIRTUAL_IP = body("convergence_no_virtual_ip")
