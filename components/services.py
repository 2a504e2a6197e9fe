"""What all services of the stack have in common: a service is one table, and each change of it is seen.

Owns: the docker resource of a service with its update and restart policies, TCP keepalive, health check; what
makes the wait for it run again.
Leaves to others: what each service is (etcd.py, galera.py), counting changes that the program did not ask for
(rollouts.py), the wait itself (components/commands/convergence.py).

Everything is written as the docker plugin finds it at the engine: durations without zero parts, and defaults
where the plugin reads them back (`window`). What is written otherwise would differ in every run, and each
time all tasks would be replaced.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pulumi
import pulumi_docker as docker

from components import swarm_files
from components.overlay_network import OverlayNetwork
from components.rollouts import Rollout, Watch
from components.virtual_server import VirtualServer

KEEPALIVE = {
    "net.ipv4.tcp_keepalive_time": "600",
    "net.ipv4.tcp_keepalive_intvl": "60",
    "net.ipv4.tcp_keepalive_probes": "5",
}
"""Seconds, seconds, count: IPVS forgets a connection through a virtual IP that is idle for 900 s.

Think twice: for the docker plugin another sysctl is another service, so both would be removed and made anew.
"""
CHOSEN_BY_THE_PLUGIN = ["taskSpec.placement.platforms"]
"""When it makes a service, the official plugin enters what the registry says of the image's platforms."""


@dataclass(frozen=True)
class ServiceSpec:
    """One global service.

    Attributes:
        service: its name in the swarm.
        image: reference with a digest.
        env: environment of its containers.
        secrets, configs: from `swarm_files`.
        volume: name of a local volume, and where it is in the container.
        program: of the image; `PROGRAM health` tells how the container is.
        start_period: seconds in which failures of the health check do not count.
        stop_grace: seconds until a container that is told to stop is killed.
        constraint: which nodes it runs on.
        proven: seconds that a changed task must run well before the next one's turn.
        host_ports: TCP ports that are published on the hosts as they are.
    """

    service: str
    image: pulumi.Input[str]
    env: Mapping[str, pulumi.Input[str]]
    secrets: Sequence[docker.ServiceTaskSpecContainerSpecSecretArgs]
    volume: tuple[str, str]
    program: str
    start_period: int
    stop_grace: int
    constraint: str
    proven: int
    configs: Sequence[docker.ServiceTaskSpecContainerSpecConfigArgs] = ()
    host_ports: Sequence[int] = field(default=())


class GlobalService:
    """A service that runs on every node that it belongs on.

    Attributes:
        resource: the service.
        changes: triggers for the wait: they differ whenever its tasks may have been replaced.
    """

    resource: docker.Service
    changes: list[pulumi.Input[Any]]

    def __init__(
        self,
        name: str,
        spec: ServiceSpec,
        network: OverlayNetwork,
        servers: Sequence[VirtualServer],
        parent: pulumi.Resource,
        after: Sequence[pulumi.Resource],
    ) -> None:
        """
        Args:
            servers: the hosts that have a task each.
            parent: whose provider the service inherits.
            after: what must be there before the service is made or changed.
        """
        args = service_args(spec, network)
        watch = Watch(f"{name}-service")
        self.resource = docker.Service(
            f"{name}-service",
            **args,
            opts=pulumi.ResourceOptions(
                parent=parent,
                depends_on=[*network.ready, *after],
                delete_before_replace=True,
                ignore_changes=CHOSEN_BY_THE_PLUGIN,
                hooks=watch.hooks,
            ),
        )
        rollout = Rollout(f"{name}-rollout", watch.seen(self.resource), pulumi.ResourceOptions(parent=parent))
        self.changes = [self.resource.id, fingerprint(args, servers), rollout.changes]


def service_args(spec: ServiceSpec, network: OverlayNetwork) -> dict[str, Any]:
    """Arguments of `docker.Service`."""
    source, target = spec.volume
    ports = [
        docker.ServiceEndpointSpecPortArgs(
            target_port=port, published_port=port, protocol="tcp", publish_mode="host"
        )
        for port in spec.host_ports
    ]
    return {
        "name": network.service(spec.service),
        "labels": [docker.ServiceLabelArgs(label=swarm_files.LABEL, value=swarm_files.stack())],
        "mode": docker.ServiceModeArgs(global_=True),
        "task_spec": docker.ServiceTaskSpecArgs(
            container_spec=docker.ServiceTaskSpecContainerSpecArgs(
                image=spec.image,
                env=dict(spec.env),
                secrets=list(spec.secrets),
                configs=list(spec.configs) or None,
                mounts=[
                    docker.ServiceTaskSpecContainerSpecMountArgs(type="volume", source=source, target=target)
                ],
                healthcheck=health_check(spec.program, spec.start_period),
                stop_grace_period=duration(spec.stop_grace),
                sysctl=KEEPALIVE,
            ),
            networks_advanceds=[docker.ServiceTaskSpecNetworksAdvancedArgs(id=network.network_id)],
            placement=docker.ServiceTaskSpecPlacementArgs(constraints=[spec.constraint]),
            restart_policy=restart_always(),
        ),
        "endpoint_spec": docker.ServiceEndpointSpecArgs(mode="vip", ports=ports or None),
        "update_config": one_at_a_time(spec.proven),
    }


def one_at_a_time(proven: int) -> docker.ServiceUpdateConfigArgs:
    """One task after the other, the old one stopped first; stops at the first that fails.

    What the engine makes of it (swarmkit, manager/orchestrator/update): the next task's turn comes `delay`
    after the one before is running, which with a health check means healthy. `monitor` holds nobody up: it is
    how long a failure of a running task still counts, and how long the last one is watched. Only with a delay
    that is as long does a node that fails soon after its start keep the next one from being stopped.

    Not kept by the engine: when another manager becomes leader in the middle, or the state of a node changes
    that has its turn yet to come, it may replace that node's task without waiting for the others.

    Args:
        proven: seconds that a task must run before the next one's turn.
    """
    return docker.ServiceUpdateConfigArgs(
        parallelism=1,
        delay=duration(proven),
        order="stop-first",
        failure_action="pause",
        max_failure_ratio="0.0",
        monitor=duration(proven),
    )


def restart_always() -> docker.ServiceTaskSpecRestartPolicyArgs:
    """Restart for ever, five seconds apart."""
    return docker.ServiceTaskSpecRestartPolicyArgs(condition="any", delay="5s", window=duration(0))


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
    """As the docker plugin writes what it finds at the engine: `0s`, `30s`, `2m`, `1h`, `1h0m5s`."""
    minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    parts = [f"{hours}h" if hours else "", f"{minutes}m" if minutes or (hours and rest) else ""]
    if rest or seconds == 0:
        parts.append(f"{rest}s")
    return "".join(parts)


def fingerprint(args: Mapping[str, Any], servers: Sequence[VirtualServer]) -> pulumi.Output[str]:
    """Changes with anything that is said of the service, and with the hosts of its tasks.

    Args:
        servers: which have a task each: anew after they were replaced or interrupted.
    """
    hosts = [[server.guest_id, server.reboots] for server in servers]
    return pulumi.Output.json_dumps([args, hosts], sort_keys=True, default=vars).apply(
        lambda text: hashlib.sha256(text.encode()).hexdigest()[:12]
    )
