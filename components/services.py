"""What all services of the stack have in common.

Owns: the update and restart policies, TCP keepalive, the fingerprint that makes a wait run again.
Leaves to others: the services.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import pulumi
import pulumi_docker as docker

from components.virtual_server import VirtualServer

KEEPALIVE = {
    "net.ipv4.tcp_keepalive_time": "600",
    "net.ipv4.tcp_keepalive_intvl": "60",
    "net.ipv4.tcp_keepalive_probes": "5",
}
"""Seconds, seconds, count: IPVS forgets a connection through a virtual IP that is idle for 900 s."""


def one_at_a_time(proven: str) -> docker.ServiceUpdateConfigArgs:
    """One task after the other, the old one stopped first; stops at the first that fails.

    What the engine makes of it (swarmkit, manager/orchestrator/update): the next task's turn comes `delay`
    after the one before is running, which with a health check means healthy. `monitor` holds nobody up: it is
    how long a failure of a running task still counts, and how long the last one is watched. Only with a delay
    that is as long does a node that fails soon after its start keep the next one from being stopped.

    Not kept by the engine: when another manager becomes leader in the middle, or the state of a node changes
    that has its turn yet to come, it may replace that node's task without waiting for the others.

    Args:
        proven: how long a task must run before the next one's turn.
    """
    return docker.ServiceUpdateConfigArgs(
        parallelism=1,
        delay=proven,
        order="stop-first",
        failure_action="pause",
        max_failure_ratio="0.0",
        monitor=proven,
    )


def restart_always() -> docker.ServiceTaskSpecRestartPolicyArgs:
    """Restart for ever, five seconds apart."""
    return docker.ServiceTaskSpecRestartPolicyArgs(condition="any", delay="5s")


def health_check(program: str, start_period: int) -> docker.ServiceTaskSpecContainerSpecHealthcheckArgs:
    """`PROGRAM health` every 10 s; two minutes of failures in a row end the task.

    The swarm kills what is unhealthy, and a host that is only slow gains nothing by that: so a check may take
    30 s, and many must fail.

    Args:
        start_period: seconds in which failures do not count.
    """
    return docker.ServiceTaskSpecContainerSpecHealthcheckArgs(
        tests=["CMD", program, "health"],
        interval="10s",
        timeout="30s",
        retries=12,
        start_period=duration(start_period),
    )


def duration(seconds: int) -> str:
    """As the engine writes it, so that a refresh finds no difference: `5m0s`, `1h0m0s`."""
    hours, rest = divmod(seconds, 3600)
    return f"{hours}h{rest // 60}m{rest % 60}s" if hours else f"{rest // 60}m{rest % 60}s"


def tasks_fingerprint(
    image: str, env: Mapping[str, Any], files: Sequence[Any], servers: Sequence[VirtualServer]
) -> pulumi.Output[str]:
    """Changes whenever the service's tasks will be replaced, so that the wait for them runs again.

    Args:
        files: secrets and configs, as given to the container.
        servers: which have a task each: anew after they were replaced or interrupted.
    """
    hosts = [[server.guest_id, server.reboots] for server in servers]
    ids = [getattr(file, "secret_id", None) or getattr(file, "config_id", None) for file in files]
    return pulumi.Output.all(image, dict(env), ids, hosts).apply(
        lambda known: hashlib.sha256(repr(known).encode()).hexdigest()[:12]
    )
