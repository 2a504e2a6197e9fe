"""A service's spec as Pulumi declares it: the docker resource, and a wait that sees each change of it.

Owns: the resource, what makes the wait run again.
Leaves to others: what can be said of a service (service_spec.py), what each one is (etcd.py, galera.py),
counting changes that the program did not ask for (rollouts.py), the wait's text
(components/host_scripts/convergence.py).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_docker as docker

from components import remote, swarm_files
from components.cluster_host import ClusterHost
from components.host_scripts import convergence
from components.overlay_network import OverlayNetwork
from components.rollouts import Rollout, Watch
from components.service_spec import RESTART, ServiceSpec, duration

CHOSEN_BY_THE_PLUGIN = "taskSpec.placement.platforms"
"""When it makes a service, the official plugin enters what the registry says of the image's platforms."""
CHOSEN_BY_THE_ENGINE = "taskSpec.networksAdvanceds"
"""Of a service on the host network: its name is sent, and found is the id that this swarm has for it."""


@dataclass(frozen=True)
class ServiceArgs:
    """A service and where it runs.

    Attributes:
        spec: all that is known before the run.
        image: the spec's, with its digest.
        servers: the hosts that its tasks may be on.
        manager: who is asked whether all run.
        network: the overlay network.
        nodes: the swarm's nodes. The service does not wait for them, its tasks start as they come.
        after: what must be there before the service is made or changed.
    """

    spec: ServiceSpec
    image: pulumi.Input[str]
    servers: Sequence[ClusterHost]
    manager: remote.Where
    network: OverlayNetwork
    nodes: Sequence[pulumi.Resource]
    after: Sequence[pulumi.Resource]


@dataclass(frozen=True)
class Services:
    """The stack's services, with what all of them share.

    Attributes:
        images: with their digests, by the services' names.
        manager, network, nodes: as in `ServiceArgs`.
    """

    specs: Sequence[ServiceSpec]
    images: Mapping[str, pulumi.Input[str]]
    manager: remote.Where
    network: OverlayNetwork
    nodes: Sequence[pulumi.Resource]

    def on(self, servers: Sequence[ClusterHost], name: str, *after: pulumi.Resource) -> ServiceArgs:
        """One of them on these hosts, made or changed after what is named."""
        spec = next(spec for spec in self.specs if spec.name == name)
        return ServiceArgs(spec, self.images[name], servers, self.manager, self.network, self.nodes, after)


def declare(
    name: str,
    args: ServiceArgs,
    parent: pulumi.Resource,
    secrets: Mapping[str, pulumi.Input[str]],
    env: Mapping[str, pulumi.Input[str]],
    *,
    after: Sequence[pulumi.Resource] = (),
    step: str = "running",
    hopeless: str = "",
    then: str = "",
    first: str = "",
    before: pulumi.ResourceHook | None = None,
    contested: Sequence[int] = (),
) -> remote.Step:
    """The service, its files and the wait for it, as children of `parent`, whose provider they inherit.

    Args:
        secrets: contents by the spec's names.
        env: what comes to the spec's.
        after: what comes to that of `args`.
        step: ends the name of the wait.
        hopeless: text in the log after which a service that was just made is not waited for any longer.
        first, then: shell texts to run before the wait, and once all tasks run; they print nothing.
        before: called before a change of the service.
        contested: ports of the hosts that another service of the swarm may have.

    Returns: the wait. Depend on it to start once the service runs, and to change once a change of it is
        through. Its `stdout` is the service's virtual IP, and empty for a service that has none.
    """
    spec, child = args.spec, pulumi.ResourceOptions(parent=parent)
    arguments = service_args(name, args, secrets, env, child)
    watch = Watch(f"{name}-service", before)
    service = docker.Service(
        f"{name}-service",
        **arguments,
        opts=pulumi.ResourceOptions(
            parent=parent,
            depends_on=[*args.network.ready, *args.after, *after],
            delete_before_replace=True,
            ignore_changes=[CHOSEN_BY_THE_PLUGIN] + [CHOSEN_BY_THE_ENGINE] * (spec.network == "host"),
            hooks=watch.hooks,
        ),
    )
    rollout = Rollout(f"{name}-rollout", watch.seen(service), child)
    tasks = len(args.servers) if spec.replicas is None else spec.replicas
    network = args.network.name if spec.has_virtual_ip else None
    text = convergence.service_running(spec.name, tasks, network, hopeless=hopeless, ports=contested)
    text = f"{first}\n{text}" if first else text
    return remote.run(
        f"{name}-{step}",
        args.manager,
        f"{text}\n{then}" if then else text,
        pulumi.ResourceOptions(parent=parent, depends_on=[service, *args.nodes]),
        triggers=[service.id, fingerprint(arguments, args.servers), rollout.changes],
    )


def service_args(
    name: str,
    args: ServiceArgs,
    secrets: Mapping[str, pulumi.Input[str]],
    env: Mapping[str, pulumi.Input[str]],
    child: pulumi.ResourceOptions,
) -> dict[str, Any]:
    """Arguments of `docker.Service`; declares the secrets and configs that are in them, as `child` says."""
    spec, network = args.spec, args.network
    kept = pulumi.ResourceOptions.merge(child, pulumi.ResourceOptions(ignore_changes=["data"]))
    overlay = spec.network == "overlay"
    return {
        "name": network.service(spec.name) if overlay else spec.name,
        "labels": [docker.ServiceLabelArgs(label=swarm_files.LABEL, value=swarm_files.stack())],
        "mode": docker.ServiceModeArgs(global_=True)
        if spec.replicas is None
        else docker.ServiceModeArgs(replicated=docker.ServiceModeReplicatedArgs(replicas=spec.replicas)),
        "task_spec": docker.ServiceTaskSpecArgs(
            container_spec=docker.ServiceTaskSpecContainerSpecArgs(
                image=args.image,
                env={**spec.env, **env} or None,
                secrets=[swarm_files.secret(name, file, secrets[file], child) for file in spec.secrets]
                or None,
                configs=[
                    swarm_files.config(name, file.name, file.path, file.content, kept if file.kept else child)
                    for file in spec.configs
                ]
                or None,
                mounts=[
                    docker.ServiceTaskSpecContainerSpecMountArgs(type="volume", source=source, target=target)
                    for source, target in spec.volumes.items()
                ]
                or None,
                healthcheck=health(spec),
                stop_grace_period=duration(spec.stop_grace),
                sysctl=spec.sysctls or None,
            ),
            networks_advanceds=[
                docker.ServiceTaskSpecNetworksAdvancedArgs(id=network.network_id if overlay else "host")
            ],
            placement=docker.ServiceTaskSpecPlacementArgs(constraints=list(spec.constraints))
            if spec.constraints
            else None,
            resources=limits(spec),
            # The plugin reads the window back.
            restart_policy=docker.ServiceTaskSpecRestartPolicyArgs(window=duration(0), **RESTART),
        ),
        "endpoint_spec": docker.ServiceEndpointSpecArgs(mode=spec.endpoint, ports=ports(spec) or None),
        "update_config": docker.ServiceUpdateConfigArgs(**spec.update.options()),
    }


def health(spec: ServiceSpec) -> docker.ServiceTaskSpecContainerSpecHealthcheckArgs | None:
    """None where the image's own counts."""
    if spec.health is None:
        return None
    return docker.ServiceTaskSpecContainerSpecHealthcheckArgs(
        tests=["CMD", *spec.health.command], **spec.health.options()
    )


def limits(spec: ServiceSpec) -> docker.ServiceTaskSpecResourcesArgs | None:
    """None without any."""
    if spec.limits is None:
        return None
    limits = docker.ServiceTaskSpecResourcesLimitsArgs(
        nano_cpus=round(spec.limits.cpus * 10**9), memory_bytes=spec.limits.memory << 20
    )
    return docker.ServiceTaskSpecResourcesArgs(limits=limits)


def ports(spec: ServiceSpec) -> list[docker.ServiceEndpointSpecPortArgs]:
    """What the engine publishes."""
    return [
        docker.ServiceEndpointSpecPortArgs(
            target_port=port.target or port.published,
            published_port=port.published,
            protocol=port.protocol,
            publish_mode=port.mode,
        )
        for port in spec.published
    ]


def fingerprint(arguments: Mapping[str, Any], servers: Sequence[ClusterHost]) -> pulumi.Output[str]:
    """Changes with anything that is said of the service, and with the hosts of its tasks: when they were
    replaced or interrupted.
    """
    hosts = [[server.guest_id, server.reboots] for server in servers]
    return pulumi.Output.json_dumps([arguments, hosts], sort_keys=True, default=vars).apply(
        lambda text: hashlib.sha256(text.encode()).hexdigest()[:12]
    )
