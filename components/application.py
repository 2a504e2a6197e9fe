"""The application: any image as a service with replicas, on any host, behind one port of all of them.

Owns: what the service is, its database and account in the cluster, its secrets, where it is told to connect.
Leaves to others: what an application does (its image; images/wordpress is one), how an account is made
(host_scripts/account.py), the database and the load balancer.

Visitors come to the published port of any host: the ingress network leads them to a container, wherever that
runs. So the swarm may move one of a host that fails. What moves with it is what is in the database; uploads
are in a volume of each host (docs/adr/0015-application.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pulumi

from components import galera, load_balancer, remote
from components.cluster_hosts import ClusterHosts
from components.host_scripts import account
from components.load_balancer import LoadBalancer
from components.password import Password
from components.service_spec import HealthCheck, Port, ServiceSpec, UpdatePolicy
from components.services import ServiceArgs, Services, declare
from settings import Application as Wanted
from settings import Settings

SERVICE = "application"
PASSWORD = "application-database-password"
SALT = "application-salt"
"""A secret for whatever an application signs or encrypts with, the same for all its containers."""
SALT_LENGTH = 64
VOLUME = "application-uploads"
START_PERIOD = 120
"""Seconds in which a failing health check does not count."""
STOP_GRACE = 30
"""Seconds that a container has for the requests it is at."""


def specs(settings: Settings) -> list[ServiceSpec]:
    """The service, as far as it is known before the run; none without the section in the settings."""
    wanted = settings.application
    if wanted is None:
        return []
    return [
        ServiceSpec(
            name=SERVICE,
            image=wanted.image,
            replicas=wanted.replicas,
            env={**wanted.env, **database_env(settings)},
            secrets=[SALT, *([PASSWORD] if wanted.database else []), *wanted.secrets],
            volumes={VOLUME: wanted.uploads} if wanted.uploads else {},
            ports=[Port(wanted.port, wanted.target_port, mode="ingress")],
            health=HealthCheck(wanted.health, START_PERIOD) if wanted.health else None,
            # A new container serves before an old one ends: with one replica, too, visitors notice nothing.
            update=UpdatePolicy(proven=10, order="start-first"),
            stop_grace=STOP_GRACE,
        )
    ]


def endpoint(settings: Settings) -> tuple[str, int]:
    """Name and port on the overlay network by which it reaches the node that takes the writes.

    Without a load balancer it is the database's own service, which gives each connection any node.
    """
    if settings.load_balancer is None:
        return galera.SERVICE, galera.PORT
    return load_balancer.SERVICE, settings.load_balancer.writer_port


def database_env(settings: Settings) -> dict[str, str]:
    """What it is told of its database; nothing where it has none."""
    wanted = settings.application
    if wanted is None or wanted.database is None:
        return {}
    host, port = endpoint(settings)
    return {
        "DATABASE_HOST": host,
        "DATABASE_PORT": str(port),
        "DATABASE_NAME": wanted.database.name,
        "DATABASE_USER": wanted.database.account,
    }


def wanted(
    settings: Settings,
    hosts: ClusterHosts,
    services: Services,
    database: galera.Galera,
    balancer: LoadBalancer | None,
    fetched: Sequence[pulumi.Resource],
    opts: pulumi.ResourceOptions,
) -> Application | None:
    """The application, made or changed after all that it uses; None where the settings have none.

    Args:
        fetched: its image is on the workers then; managers have theirs already.
    """
    if settings.application is None:
        return None
    before = [database.formed, *([balancer.running] if balancer else []), *fetched]
    args = ApplicationArgs(
        services.on(hosts.servers, SERVICE, *before), settings.application, database, endpoint(settings)
    )
    return Application(SERVICE, args, opts)


@dataclass(frozen=True)
class ApplicationArgs:
    """The application.

    Attributes:
        service: on any of its servers.
        settings: as they are.
        database: the cluster, in which it may have a database of its own.
        endpoint: name and port by which it reaches that.
    """

    service: ServiceArgs
    settings: Wanted = field(repr=False)
    database: galera.Galera
    endpoint: tuple[str, int]


class Application(pulumi.ComponentResource):
    """The application, once all its containers run.

    Attributes:
        service: its name on the overlay network.
        vip: the service's virtual IP there.
        password: of its account in the database, None without one; secret.
    """

    service: str = SERVICE
    vip: pulumi.Output[str]
    password: pulumi.Output[str] | None

    def __init__(self, name: str, args: ApplicationArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        """`opts` bring the provider, which the service inherits."""
        super().__init__("swarm-galera:application:Application", name, None, opts)
        self._args, child = args, pulumi.ResourceOptions(parent=self)
        salt = Password(f"{name}-salt", SALT_LENGTH, child).value
        given = {file: value.get_secret_value() for file, value in args.settings.secrets.items()}
        contents: dict[str, pulumi.Input[str]] = {SALT: salt, **given}
        self.password, made = self._account(name, child)
        if self.password is not None:
            contents[PASSWORD] = self.password
        running = declare(name, args.service, self, contents, {}, after=made)
        self.vip = running.stdout
        self.register_outputs({"vip": self.vip})

    def _account(
        self, name: str, child: pulumi.ResourceOptions
    ) -> tuple[pulumi.Output[str] | None, list[pulumi.Resource]]:
        """The password of its account, and what to depend on to use it; made again whenever the database is
        another: it may have been made anew, empty."""
        wanted, database = self._args.settings.database, self._args.database
        if wanted is None:
            return None, []
        content: pulumi.Input[str]
        if wanted.password is None:
            content = Password(f"{name}-database-password", opts=child).value
        else:
            content = wanted.password.get_secret_value()
        password = pulumi.Output.secret(content)
        step = remote.run(
            f"{name}-database",
            self._args.service.manager.connection,
            account.made(database.service, wanted.name, wanted.account),
            pulumi.ResourceOptions.merge(child, pulumi.ResourceOptions(depends_on=[database.formed])),
            values=password.apply(account.stored),
            triggers=[database.formed.id],
        )
        return password, [step]

    def as_output(self) -> dict[str, Any]:
        """What consumers need to know, without the password."""
        wanted, (host, port) = self._args.settings, self._args.endpoint
        told: dict[str, Any] = {
            "service": self.service,
            "vip": self.vip,
            "port": wanted.port,
            "targetPort": wanted.target_port,
            "replicas": wanted.replicas,
        }
        if wanted.database is not None:
            told["database"] = {
                "host": host,
                "port": port,
                "name": wanted.database.name,
                "user": wanted.database.account,
            }
        return told
