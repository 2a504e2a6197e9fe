"""A whole service: its name, labels and mode, and the parts put together.

Leaves what runs to `task`, how changes reach it to `rollout`, and how it is reached to `endpoint`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lab.plugins.docker.schema import Schema, block, boolean, duration, integer, labels, string
from lab.plugins.docker.spec import endpoint, rollout, task
from lab.plugins.docker.translation import label_inputs, pairs

SERVICE: Schema = {
    "name": string(replaces=True),
    "labels": labels(computed=True),
    "taskSpec": task.TASK,
    "mode": block(
        {
            "replicated": block({"replicas": integer(default=1)}, computed=True),
            "global": boolean(),
        },
        computed=True,
        replaces=True,
    ),
    "updateConfig": rollout.config("pause", "continue", "rollback"),
    "rollbackConfig": rollout.config("pause", "continue"),
    "endpointSpec": endpoint.ENDPOINT,
    "convergeConfig": block({"delay": duration(default="7s"), "timeout": duration(default="3m")}),
}


def to_spec(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """The engine's specification for planned inputs."""
    spec: dict[str, Any] = {
        "Name": inputs["name"],
        "Labels": pairs(inputs["labels"]),
        "TaskTemplate": task.to_spec(inputs["taskSpec"]),
        "Mode": _mode(inputs["mode"] or {}),
        "EndpointSpec": endpoint.to_spec(inputs["endpointSpec"]),
    }
    for key, name in (("updateConfig", "UpdateConfig"), ("rollbackConfig", "RollbackConfig")):
        if inputs[key]:
            spec[name] = rollout.to_spec(inputs[key])
    return spec


def _mode(mode: Mapping[str, Any]) -> dict[str, Any]:
    if mode.get("global"):
        return {"Global": {}}
    # Said or not, the engine takes one.
    return {"Replicated": {"Replicas": (mode.get("replicated") or {}).get("replicas", 1)}}


def found(service: Mapping[str, Any]) -> dict[str, Any]:
    """What an inspected service says, in the inputs' words."""
    spec = service["Spec"]
    mode = spec.get("Mode", {})
    replicated = mode.get("Replicated")
    return {
        "name": spec["Name"],
        "labels": label_inputs(spec.get("Labels")),
        "taskSpec": task.found(spec["TaskTemplate"]),
        "mode": {
            "global": "Global" in mode,
            "replicated": None if replicated is None else {"replicas": replicated.get("Replicas", 1)},
        },
        "updateConfig": rollout.found(spec.get("UpdateConfig")),
        "rollbackConfig": rollout.found(spec.get("RollbackConfig")),
        "endpointSpec": endpoint.found(spec.get("EndpointSpec") or {}, service.get("Endpoint") or {}),
    }
