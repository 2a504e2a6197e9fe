"""The load balancer: HAProxy as a global service, on every node of the swarm, before the database.

Owns: what the service is, the statistics' password, where clients connect.
Leaves to others: which node serves whom (its own program says so, images/galera), what is made of that
(images/haproxy), the database.

A client outside of the overlay network connects to any host's port; one on it to the name of the service. It
has no data and knows nothing that it could not ask for anew: a restart is a matter of seconds, on one host.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pulumi

from components import galera
from components.cluster_hosts import ClusterHosts
from components.password import Password
from components.service_spec import HealthCheck, Port, ServiceSpec, UpdatePolicy
from components.services import ServiceArgs, Services, declare
from settings import Settings

SERVICE = "haproxy"
USER = "admin"
"""Of the statistics page, as the image has it."""
PASSWORD = "haproxy-stats-password"  # noqa: S105 - the name of the secret
STOP_GRACE = 60
"""Seconds. The image leaves sessions five (haproxy.cfg, hard-stop-after); the rest is for busy hosts.
18 were seen, and Pulumi waits no longer for a container of a removed service, and fails."""


def specs(settings: Settings) -> list[ServiceSpec]:
    """The service, as far as it is known before the run; none without the section in the settings."""
    balancer = settings.load_balancer
    if balancer is None:
        return []
    return [
        ServiceSpec(
            name=SERVICE,
            image=balancer.image,
            env={
                "NODE_NAME": "{{.Node.Hostname}}",
                "PEERS": f"tasks.{galera.SERVICE}",
                # A node comes back with another address, and the former one is kept for half a minute.
                "SERVERS": str(2 * len(settings.servers.data_names) + 2),
                "WRITER_PORT": str(balancer.writer_port),
                "READER_PORT": str(balancer.reader_port),
                "STATS_PORT": str(balancer.stats_port),
            },
            secrets=[PASSWORD],
            # Not through the ingress network, which could lead to a task on another host.
            ports=[Port(port) for port in balancer.ports.values()],
            health=HealthCheck(["haproxy-node", "health"], start_period=30),
            update=UpdatePolicy(proven=10),
            stop_grace=STOP_GRACE,
        )
    ]


def wanted(
    settings: Settings,
    hosts: ClusterHosts,
    services: Services,
    after: Sequence[pulumi.Resource],
    opts: pulumi.ResourceOptions,
) -> LoadBalancer | None:
    """The load balancer on all hosts; None where the settings have none.

    Args:
        after: what it is made or changed after: the database where it serves, its image on the hosts.
    """
    if settings.load_balancer is None:
        return None
    return LoadBalancer(SERVICE, services.on(hosts.servers, SERVICE, *after), opts)


class LoadBalancer(pulumi.ComponentResource):
    """The load balancer, once it runs on all hosts.

    Attributes:
        service: its name on the overlay network.
        vip: the service's virtual IP there.
        writer_port, reader_port, stats_port: of the service, and of every host.
        password: of the statistics page; secret.
        running: depend on this to use it.
    """

    service: str = SERVICE
    user: str = USER
    vip: pulumi.Output[str]
    password: pulumi.Output[str]

    def __init__(self, name: str, args: ServiceArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        """`opts` bring the provider, which the service inherits."""
        super().__init__("swarm-galera:load_balancer:LoadBalancer", name, None, opts)
        self.writer_port, self.reader_port, self.stats_port = (port.published for port in args.spec.ports)
        self.password = Password(f"{name}-stats-password", opts=pulumi.ResourceOptions(parent=self)).value
        contested = [port.published for port in args.spec.ports]
        self.running = declare(name, args, self, {PASSWORD: self.password}, {}, contested=contested)
        self.vip = self.running.stdout
        self.register_outputs({"vip": self.vip})

    def as_output(self) -> dict[str, Any]:
        """What consumers need to know, without the password."""
        return {
            "service": self.service,
            "vip": self.vip,
            "writerPort": self.writer_port,
            "readerPort": self.reader_port,
            "statsPort": self.stats_port,
            "user": self.user,
        }
