"""The `docker … create` lines that people type: pure, a spec in, words out.

Owns: a service's spec in the command line's words. The bench compares what the engine made of that and of
Pulumi's rendering.
Leaves to others: what the services are (components/etcd.py, components/galera.py), the order in which the
lines are typed (by_hand.py).
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from typing import Any

from components.service_spec import RESTART, ServiceSpec, duration
from settings import Settings


def network(settings: Settings) -> str:
    """The overlay network."""
    words = ["docker", "network", "create", "--driver", "overlay", "--attachable"]
    words += ["--subnet", settings.network.subnet]
    words += ["--opt", "encrypted"] if settings.network.encrypted else []
    return shlex.join([*words, settings.network.name])


def secret(name: str) -> str:
    """A secret whose content is on standard input."""
    return shlex.join(["docker", "secret", "create", name, "-"])


def config(name: str) -> str:
    """A config whose content is on standard input."""
    return shlex.join(["docker", "config", "create", name, "-"])


def service(spec: ServiceSpec, overlay: str, env: Mapping[str, str]) -> str:
    """A service whose secrets and configs are in the swarm under their own names.

    Args:
        overlay: name of the overlay network.
        env: what comes to the spec's.
    """
    words = ["docker", "service", "create", "--detach", "--quiet", "--no-resolve-image"]
    for option, value in _options(spec, overlay, env):
        words += [f"--{option}", str(value)]
    return shlex.join([*words, spec.image])


def _options(spec: ServiceSpec, overlay: str, env: Mapping[str, str]) -> Iterator[tuple[str, Any]]:
    yield "name", spec.name
    yield from [("mode", "global")] if spec.replicas is None else [("replicas", spec.replicas)]
    yield "network", overlay if spec.network == "overlay" else "host"
    yield "endpoint-mode", spec.endpoint
    for volume, path in spec.volumes.items():
        yield "mount", f"type=volume,source={volume},target={path}"
    for constraint in spec.constraints:
        yield "constraint", constraint
    policies = {"restart": RESTART, "update": spec.update.options()}
    if spec.health is not None:
        yield "health-cmd", shlex.join(spec.health.command)
        policies = {"health": spec.health.options(), **policies}
    for kind, options in policies.items():
        for option, value in options.items():
            yield f"{kind}-{option.replace('_', '-')}", value
    for port in spec.published:
        target = port.target or port.published
        yield (
            "publish",
            f"mode={port.mode},protocol={port.protocol},target={target},published={port.published}",
        )
    yield "stop-grace-period", duration(spec.stop_grace)
    if spec.limits:
        yield from [("limit-cpu", spec.limits.cpus), ("limit-memory", f"{spec.limits.memory}M")]
    for key, value in spec.sysctls.items():
        yield "sysctl", f"{key}={value}"
    for key, value in {**spec.env, **env}.items():
        yield "env", f"{key}={value}"
    for file in spec.secrets:
        yield "secret", f"source={file},target={file},mode=0444"
    for config in spec.configs:
        yield "config", f"source={config.name},target={config.path},mode=0444"
