"""A whole service: its name, labels and mode, and the parts put together.

Leaves what runs to `task`, how changes reach it to `rollout`, and how it is reached to `endpoint`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lab.plugins.docker.schema import Schema, block, boolean, duration, integer, labels, string
from lab.plugins.docker.spec import endpoint, rollout, task
from lab.plugins.docker.translation import label_inputs, pairs, present

SERVICE: Schema = {
    "name": string(replaces=True),
    "labels": labels(),
    "taskSpec": task.TASK,
    "mode": block(
        {"replicated": block({"replicas": integer(default=1)}), "global": boolean()}, replaces=True
    ),
    "updateConfig": rollout.config("pause", "continue", "rollback"),
    "rollbackConfig": rollout.config("pause", "continue"),
    "endpointSpec": endpoint.ENDPOINT,
    "convergeConfig": block({"delay": duration(default="7s"), "timeout": duration(default="3m")}),
}


def to_spec(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """The engine's specification for canonical `inputs`."""
    spec: dict[str, Any] = {
        "Name": inputs["name"],
        "Labels": pairs(inputs.get("labels")),
        "TaskTemplate": task.to_spec(inputs["taskSpec"]),
        "Mode": _mode(inputs.get("mode", {})),
        "EndpointSpec": endpoint.to_spec(inputs.get("endpointSpec", {})),
    }
    for key, name in (("updateConfig", "UpdateConfig"), ("rollbackConfig", "RollbackConfig")):
        if key in inputs:
            spec[name] = rollout.to_spec(inputs[key])
    return spec


def _mode(mode: Mapping[str, Any]) -> dict[str, Any]:
    if mode.get("global"):
        return {"Global": {}}
    return {"Replicated": {"Replicas": mode.get("replicated", {}).get("replicas", 1)}}


def to_inputs(service: Mapping[str, Any]) -> dict[str, Any]:
    """Plain inputs (not canonical: durations as text) that describe an inspected service."""
    spec = service["Spec"]
    mode = spec.get("Mode", {})
    replicas = mode.get("Replicated", {}).get("Replicas", 1)
    return present(
        name=spec["Name"],
        labels=label_inputs(spec.get("Labels")),
        taskSpec=task.to_inputs(spec["TaskTemplate"]),
        mode={"global": True} if "Global" in mode else {"replicated": {"replicas": replicas}},
        updateConfig=rollout.to_inputs(spec.get("UpdateConfig")),
        rollbackConfig=rollout.to_inputs(spec.get("RollbackConfig")),
        endpointSpec=endpoint.to_inputs(spec.get("EndpointSpec", {}), service.get("Endpoint", {})),
    )
