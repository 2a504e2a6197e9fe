"""How changes reach a service's tasks: the update config, and the rollback config of the same form.

Leaves waiting for a rollout's end to the resource, `docker/service.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lab.plugins.docker import durations
from lab.plugins.docker.schema import Field, block, duration, integer, string


def config(*actions: str) -> Field:
    """The input block; `actions` are what may be done when tasks of the new version fail."""
    return block(
        {
            "parallelism": integer(default=1),
            "delay": duration(default="0s"),
            "failureAction": string(default="pause", one_of=actions),
            "monitor": duration(default="5s"),
            "maxFailureRatio": Field("ratio", default="0.0"),
            "order": string(default="stop-first", one_of=("stop-first", "start-first")),
        }
    )


def to_spec(rollout: Mapping[str, Any]) -> dict[str, Any]:
    """An UpdateConfig (or RollbackConfig: the same fields) for canonical inputs."""
    return {
        "Parallelism": rollout.get("parallelism", 0),
        "Delay": rollout.get("delay", 0),
        "FailureAction": rollout["failureAction"],
        "Monitor": rollout.get("monitor", 0),
        "MaxFailureRatio": rollout.get("maxFailureRatio", 0.0),
        "Order": rollout["order"],
    }


def to_inputs(rollout: Mapping[str, Any] | None) -> dict[str, Any]:
    """Plain inputs that describe an inspected UpdateConfig; empty when the service has none."""
    if not rollout:
        return {}
    return {
        "parallelism": rollout.get("Parallelism", 0),
        "delay": durations.render(rollout.get("Delay", 0)),
        "failureAction": rollout.get("FailureAction") or "pause",
        "monitor": durations.render(rollout.get("Monitor", 0)),
        "maxFailureRatio": f"{round(rollout.get('MaxFailureRatio', 0.0), 6)}",
        "order": rollout.get("Order") or "stop-first",
    }
