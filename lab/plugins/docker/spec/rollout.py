"""How changes reach a service's tasks: the update config, and the rollback config of the same form.

Leaves waiting for a rollout's end to `docker/waiting.py`.
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
    """An UpdateConfig (or RollbackConfig: the same fields) for planned inputs."""
    return {
        "Parallelism": rollout["parallelism"],
        "Delay": durations.parse(rollout["delay"]),
        "FailureAction": rollout["failureAction"],
        "Monitor": durations.parse(rollout["monitor"]),
        "MaxFailureRatio": float(rollout["maxFailureRatio"]),
        "Order": rollout["order"],
    }


def found(rollout: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """What an inspected UpdateConfig says, in the inputs' words; None when the service has none."""
    if rollout is None:
        return None
    return {
        "parallelism": rollout.get("Parallelism", 0),
        "delay": durations.render(rollout.get("Delay", 0)),
        "failureAction": rollout.get("FailureAction", ""),
        "monitor": durations.render(rollout.get("Monitor", 0)),
        # One digit, as in the official plugin.
        "maxFailureRatio": f"{rollout.get('MaxFailureRatio', 0.0):.1f}",
        "order": rollout.get("Order", ""),
    }
