"""Changes of services that have a container on a host which does not answer: they wait until it does.

Owned here: which steps of a preview these are. Left to others: saying so and leaving them out (left_out.py),
how a service is changed (components/services.py).

A global service has a container on every host that it belongs on. The engine changes those of the hosts that
answer, one after the other, and passes over the rest; the wait behind the change, which wants all of them,
would end in an error a quarter of an hour later. Meanwhile each one that is left is stopped beside the one
that is missing, which costs a store of three members its majority.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from components.service_spec import ON_DATA_NODES, ON_MANAGERS
from operations.around_run.resource_types import COMMAND, NETWORK, SERVICE
from operations.outputs import Host, Outputs

REPLACES = ("replace", "create-replacement", "delete-replaced")
"""Steps by which a network goes and comes anew, with the services on it."""


def held(
    found: Outputs,
    resources: Iterable[Mapping[str, Any]],
    changed: Iterable[Mapping[str, Any]],
    away: Collection[str],
) -> list[str]:
    """URNs of the steps that want a container on one of the hosts `away`: of services, of what waits for
    them, and of their network, if that is replaced.

    Args:
        resources: of the state.
        changed: steps of a preview that do something.
    """
    by_urn = {str(step["urn"]): step for step in changed}
    steps = {urn: step for urn, step in by_urn.items() if step.get("op") != "delete"}
    planned = {str(each["urn"]): each for each in resources if each["urn"] not in by_urn}
    planned |= {urn: step.get("newState") or step.get("oldState") or {} for urn, step in steps.items()}
    silent = [host for host in found.hosts if host.name in away]
    there = {urn for urn, each in planned.items() if any(_belongs(each, host, found) for host in silent)}
    return [
        urn
        for urn, step in steps.items()
        if urn in there
        or (
            planned[urn].get("type") == COMMAND
            and not there.isdisjoint(planned[urn].get("dependencies") or ())
        )
        or (planned[urn].get("type") == NETWORK and there and step.get("op") in REPLACES)
    ]


def _belongs(resource: Mapping[str, Any], host: Host, found: Outputs) -> bool:
    """Whether it is a service that has a container on this very host, and can't have that elsewhere."""
    inputs = resource.get("inputs") or {}
    if resource.get("type") != SERVICE or not (inputs.get("mode") or {}).get("global"):
        return False
    constraints = ((inputs.get("taskSpec") or {}).get("placement") or {}).get("constraints") or ()
    manages, bears = host.role == "manager", host.name in found.members
    return (manages or ON_MANAGERS not in constraints) and (bears or ON_DATA_NODES not in constraints)
