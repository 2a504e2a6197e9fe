"""A service's tasks: restart policy, placement, networks, log driver.

Leaves the container of each to `container`, and what it may use of a node to `resources`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lab.plugins.docker.schema import block, duration, integer, string, strings, unordered
from lab.plugins.docker.spec import container, resources
from lab.plugins.docker.translation import nanoseconds, present, rendered

TASK = block(
    {
        "containerSpec": container.CONTAINER,
        "resources": resources.RESOURCES,
        "restartPolicy": block(
            {
                "condition": string(one_of=("none", "on-failure", "any")),
                "delay": duration(),
                "maxAttempts": integer(),
                "window": duration(),
            },
            computed=True,
        ),
        "placement": block(
            {
                "constraints": unordered(string()),
                "prefs": unordered(string()),
                "maxReplicas": integer(),
                "platforms": unordered(
                    block({"architecture": string(required=True), "os": string(required=True)})
                ),
            },
            computed=True,
        ),
        "forceUpdate": integer(computed=True),
        "runtime": string(one_of=("container", "plugin"), computed=True),
        "networksAdvanceds": unordered(
            block(
                {
                    "name": string(replaces=True),
                    "id": string(replaces=True),
                    "aliases": unordered(string(), replaces=True),
                    "driverOpts": unordered(string(), replaces=True),
                }
            )
        ),
        "logDriver": block({"name": string(required=True), "options": strings()}),
    },
    required=True,
)


def to_spec(task: Mapping[str, Any]) -> dict[str, Any]:
    """A TaskTemplate for planned inputs; what is not said is said to be nothing, as officially."""
    policy, log = task["restartPolicy"], task["logDriver"]
    spec = present(
        ForceUpdate=task["forceUpdate"],
        Runtime=task["runtime"],
        Networks=[
            present(
                Target=network["id"] or network["name"],
                Aliases=network["aliases"],
                DriverOpts=dict(option.split("=", 1) for option in network["driverOpts"]),
            )
            for network in task["networksAdvanceds"]
        ],
        LogDriver=present(Name=log["name"], Options=log["options"]) if log else None,
    )
    return {
        **spec,
        "ContainerSpec": container.to_spec(task["containerSpec"]),
        "Resources": resources.to_spec(task["resources"]),
        "RestartPolicy": {
            **present(Condition=policy["condition"]),
            "Delay": nanoseconds(policy["delay"]),
            "MaxAttempts": policy["maxAttempts"],
            "Window": nanoseconds(policy["window"]),
        }
        if policy
        else {},
        "Placement": _placement(task["placement"] or {}),
    }


def _placement(placement: Mapping[str, Any]) -> dict[str, Any]:
    return present(
        Constraints=placement.get("constraints"),
        Preferences=[{"Spread": {"SpreadDescriptor": pref}} for pref in placement.get("prefs") or []],
        MaxReplicas=placement.get("maxReplicas"),
        Platforms=[
            {"Architecture": platform["architecture"], "OS": platform["os"]}
            for platform in placement.get("platforms") or []
        ],
    )


def found(task: Mapping[str, Any]) -> dict[str, Any]:
    """What an inspected TaskTemplate says, in the inputs' words."""
    policy, log, placement = task.get("RestartPolicy"), task.get("LogDriver"), task.get("Placement")
    limits = task.get("Resources")
    return {
        "containerSpec": container.found(task.get("ContainerSpec", {})),
        "resources": None if limits is None else resources.found(limits),
        "restartPolicy": None
        if policy is None
        else {
            "condition": policy.get("Condition"),
            "delay": rendered(policy.get("Delay")),
            "maxAttempts": policy.get("MaxAttempts"),
            "window": rendered(policy.get("Window")),
        },
        "placement": None
        if placement is None
        else {
            "constraints": placement.get("Constraints"),
            "prefs": [pref["Spread"]["SpreadDescriptor"] for pref in placement.get("Preferences") or []],
            "maxReplicas": placement.get("MaxReplicas", 0),
            "platforms": [
                {"architecture": p.get("Architecture", ""), "os": p.get("OS", "")}
                for p in placement.get("Platforms") or []
            ],
        },
        "forceUpdate": task.get("ForceUpdate", 0),
        "runtime": task.get("Runtime"),
        "networksAdvanceds": [
            {
                "id": network["Target"],
                "aliases": network.get("Aliases"),
                "driverOpts": [f"{k}={v}" for k, v in sorted((network.get("DriverOpts") or {}).items())],
            }
            for network in task.get("Networks") or []
        ],
        "logDriver": None if log is None else {"name": log.get("Name"), "options": log.get("Options")},
    }
