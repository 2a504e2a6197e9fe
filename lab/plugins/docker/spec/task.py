"""A service's tasks: restart policy, placement, networks, log driver.

Leaves the container of each to `container`, and what it may use of a node to `resources`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lab.plugins.docker.schema import block, duration, integer, string, strings, unordered
from lab.plugins.docker.spec import container, resources
from lab.plugins.docker.translation import present, rendered

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
            }
        ),
        "placement": block(
            {
                "constraints": unordered(string()),
                "prefs": unordered(string()),
                "maxReplicas": integer(),
                "platforms": unordered(
                    block({"architecture": string(required=True), "os": string(required=True)})
                ),
            }
        ),
        "forceUpdate": integer(),
        "runtime": string(one_of=("container", "plugin")),
        "networksAdvanceds": unordered(
            block(
                {
                    "name": string(),
                    "id": string(),
                    "aliases": unordered(string()),
                    "driverOpts": unordered(string()),
                }
            )
        ),
        "logDriver": block({"name": string(required=True), "options": strings()}),
    },
    required=True,
)


def to_spec(task: Mapping[str, Any]) -> dict[str, Any]:
    """A TaskTemplate for canonical inputs."""
    policy, log = task.get("restartPolicy", {}), task.get("logDriver")
    return present(
        ContainerSpec=container.to_spec(task["containerSpec"]),
        Resources=resources.to_spec(task.get("resources", {})),
        RestartPolicy=present(
            Condition=policy.get("condition"),
            Delay=policy.get("delay"),
            MaxAttempts=policy.get("maxAttempts"),
            Window=policy.get("window"),
        ),
        Placement=_placement(task.get("placement", {})),
        ForceUpdate=task.get("forceUpdate", 0),
        Runtime=task.get("runtime"),
        Networks=[
            present(
                Target=network.get("id") or network.get("name"),
                Aliases=network.get("aliases"),
                DriverOpts=dict(option.split("=", 1) for option in network.get("driverOpts", [])),
            )
            for network in task.get("networksAdvanceds", [])
        ],
        LogDriver=present(Name=log["name"], Options=log.get("options")) if log else None,
    )


def _placement(placement: Mapping[str, Any]) -> dict[str, Any]:
    return present(
        Constraints=placement.get("constraints"),
        Preferences=[{"Spread": {"SpreadDescriptor": pref}} for pref in placement.get("prefs", [])],
        MaxReplicas=placement.get("maxReplicas"),
        Platforms=[
            {"Architecture": platform["architecture"], "OS": platform["os"]}
            for platform in placement.get("platforms", [])
        ],
    )


def to_inputs(task: Mapping[str, Any]) -> dict[str, Any]:
    """Plain inputs that describe an inspected TaskTemplate."""
    policy, log = task.get("RestartPolicy", {}), task.get("LogDriver")
    placement = task.get("Placement", {})
    return present(
        containerSpec=container.to_inputs(task.get("ContainerSpec", {})),
        resources=resources.to_inputs(task.get("Resources", {})),
        restartPolicy=present(
            condition=policy.get("Condition"),
            delay=rendered(policy.get("Delay")),
            maxAttempts=policy.get("MaxAttempts"),
            window=rendered(policy.get("Window")),
        ),
        placement=present(
            constraints=placement.get("Constraints"),
            prefs=[pref["Spread"]["SpreadDescriptor"] for pref in placement.get("Preferences") or []],
            maxReplicas=placement.get("MaxReplicas"),
            platforms=[
                {"architecture": p.get("Architecture", ""), "os": p.get("OS", "")}
                for p in placement.get("Platforms") or []
            ],
        ),
        forceUpdate=task.get("ForceUpdate"),
        runtime=task.get("Runtime"),
        networksAdvanceds=[
            present(
                id=network["Target"],
                aliases=network.get("Aliases"),
                driverOpts=[f"{k}={v}" for k, v in sorted((network.get("DriverOpts") or {}).items())],
            )
            for network in task.get("Networks") or []
        ],
        logDriver=present(name=log.get("Name"), options=log.get("Options")) if log else None,
    )
