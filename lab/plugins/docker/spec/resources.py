"""What a task may use of a node, and what is kept free for it: processors, memory, generic resources."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lab.plugins.docker.schema import block, integer, string, unordered
from lab.plugins.docker.translation import present

RESOURCES = block(
    {
        "limits": block({"nanoCpus": integer(), "memoryBytes": integer()}),
        "reservation": block(
            {
                "nanoCpus": integer(),
                "memoryBytes": integer(),
                "genericResources": block(
                    {
                        "namedResourcesSpecs": unordered(string()),
                        "discreteResourcesSpecs": unordered(string()),
                    }
                ),
            }
        ),
    }
)


def to_spec(resources: Mapping[str, Any]) -> dict[str, Any]:
    """Resources for canonical inputs."""
    limits, reservation = resources.get("limits"), resources.get("reservation")
    generic = (reservation or {}).get("genericResources", {})
    named = (entry.split("=", 1) for entry in generic.get("namedResourcesSpecs", []))
    discrete = (entry.split("=", 1) for entry in generic.get("discreteResourcesSpecs", []))
    return present(
        Limits=present(NanoCPUs=limits.get("nanoCpus"), MemoryBytes=limits.get("memoryBytes"))
        if limits
        else None,
        Reservations=present(
            NanoCPUs=reservation.get("nanoCpus"),
            MemoryBytes=reservation.get("memoryBytes"),
            GenericResources=[{"NamedResourceSpec": {"Kind": k, "Value": v}} for k, v in named]
            + [{"DiscreteResourceSpec": {"Kind": k, "Value": int(v)}} for k, v in discrete],
        )
        if reservation
        else None,
    )


def to_inputs(resources: Mapping[str, Any]) -> dict[str, Any]:
    """Plain inputs that describe inspected Resources."""
    limits, reservation = resources.get("Limits") or {}, resources.get("Reservations") or {}
    generic = reservation.get("GenericResources") or []
    named = [g["NamedResourceSpec"] for g in generic if "NamedResourceSpec" in g]
    discrete = [g["DiscreteResourceSpec"] for g in generic if "DiscreteResourceSpec" in g]
    return present(
        limits=present(nanoCpus=limits.get("NanoCPUs"), memoryBytes=limits.get("MemoryBytes")),
        reservation=present(
            nanoCpus=reservation.get("NanoCPUs"),
            memoryBytes=reservation.get("MemoryBytes"),
            genericResources=present(
                namedResourcesSpecs=[f"{n['Kind']}={n['Value']}" for n in named],
                discreteResourcesSpecs=[f"{d['Kind']}={d['Value']}" for d in discrete],
            ),
        ),
    )
