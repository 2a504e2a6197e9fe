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
    },
    computed=True,
)


def to_spec(resources: Mapping[str, Any] | None) -> dict[str, Any]:
    """Resources for planned inputs."""
    limits, reservation = (resources or {}).get("limits"), (resources or {}).get("reservation")
    generic = (reservation or {}).get("genericResources") or {}
    named = (entry.split("=", 1) for entry in generic.get("namedResourcesSpecs", []))
    discrete = (entry.split("=", 1) for entry in generic.get("discreteResourcesSpecs", []))
    spec = {}
    if limits:
        spec["Limits"] = present(NanoCPUs=limits["nanoCpus"], MemoryBytes=limits["memoryBytes"])
    if reservation:
        spec["Reservations"] = present(
            NanoCPUs=reservation["nanoCpus"],
            MemoryBytes=reservation["memoryBytes"],
            GenericResources=[{"NamedResourceSpec": {"Kind": k, "Value": v}} for k, v in named]
            + [{"DiscreteResourceSpec": {"Kind": k, "Value": int(v)}} for k, v in discrete],
        )
    return spec


def found(resources: Mapping[str, Any]) -> dict[str, Any]:
    """What inspected Resources say, in the inputs' words."""
    limits, reservation = resources.get("Limits"), resources.get("Reservations")
    generic = (reservation or {}).get("GenericResources") or []
    named = [g["NamedResourceSpec"] for g in generic if "NamedResourceSpec" in g]
    discrete = [g["DiscreteResourceSpec"] for g in generic if "DiscreteResourceSpec" in g]
    return {
        "limits": None
        if limits is None
        else {"nanoCpus": limits.get("NanoCPUs"), "memoryBytes": limits.get("MemoryBytes")},
        "reservation": None
        if reservation is None
        else {
            "nanoCpus": reservation.get("NanoCPUs"),
            "memoryBytes": reservation.get("MemoryBytes"),
            "genericResources": {
                "namedResourcesSpecs": [f"{n['Kind']}={n['Value']}" for n in named],
                "discreteResourcesSpecs": [f"{d['Kind']}={d['Value']}" for d in discrete],
            }
            if generic
            else None,
        },
    }
