"""The application: any image as a service with replicas, on any host, behind one port of all of them.

Owns: what the service is, its database and account in the cluster, its secrets, where it is told to connect.
Leaves to others: what an application does (its image; images/wordpress is one), how an account is made
(host_scripts/account.py), the database and the load balancer.

Visitors come to the published port of any host: the ingress network leads them to a container, wherever that
runs. So the swarm may move one of a host that fails. What moves with it is what is in the database; uploads
are in a volume of each host (docs/adr/0016-application.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pulumi

from components import galera, load_balancer, remote, rotation
from components.cluster_hosts import ClusterHosts
from components.data_layer import DataLayer
from components.host_scripts import account
from components.password import Password
from components.service_spec import HealthCheck, Port, ServiceSpec, UpdatePolicy
from components.services import ServiceArgs, declare
from settings import Application as Wanted
from settings import Settings
from settings.application import VOLUME, Database

SERVICE = "application"
TYPE = "swarm-galera:application:Application"
PASSWORD = "application-database-password"  # noqa: S105 - the name of the secret
CA = "application-database-ca.crt"
"""A secret only by its way into the containers: whose certificate the database shows."""
SALT = "application-salt"
"""A secret for whatever an application signs or encrypts with, the same for all its containers."""
SALT_LENGTH = 64
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
            secrets=[SALT, *([PASSWORD, CA] if wanted.database else []), *wanted.secrets],
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
        "DATABASE_CA": f"/run/secrets/{CA}",
    }


def wanted(settings: Settings, hosts: ClusterHosts, data: DataLayer) -> Application | None:
    """The application, made or changed after all that it uses; None where the settings have none."""
    if settings.application is None:
        return None
    balancer = [data.balancer.running] if data.balancer else []
    before = [data.database.settled, *balancer, *data.fetched]
    service = data.services.on(hosts.servers, SERVICE, *before)
    args = ApplicationArgs(service, settings.application, data.database, endpoint(settings))
    return Application(SERVICE, args, data.options)


def keep_secrets(settings: Settings, hosts: ClusterHosts) -> None:
    """Without the layer: salt and password stay in the state, where `Application` finds them again.

    What it has signed, and its account, are in the rows, and those are kept.
    """
    if settings.application is None:
        return
    opts = pulumi.ResourceOptions(deleted_with=hosts.managers[0].takes_along)
    child = pulumi.ResourceOptions(parent=pulumi.ComponentResource(TYPE, SERVICE, None, opts))
    drawn_salt(SERVICE, child)
    passwords_of(SERVICE, settings.application, child)


def drawn_salt(name: str, child: pulumi.ResourceOptions) -> pulumi.Output[str]:
    """The text of which it derives what it signs with."""
    return Password(f"{name}-salt", SALT_LENGTH, child).value


def passwords_of(name: str, wanted: Wanted, child: pulumi.ResourceOptions) -> list[pulumi.Output[str]]:
    """Those of its account in the database that count, the newest first: given or drawn. None without one."""
    if wanted.database is None:
        return []
    if wanted.database.password is not None:
        return [pulumi.Output.secret(wanted.database.password.get_secret_value())]
    names = [rotation.numbered(f"{name}-database-password", n) for n in wanted.database.passwords.counting]
    return [pulumi.Output.secret(Password(each, opts=child).value) for each in names]


def uploads_volumes(settings: Settings) -> list[str]:
    """What bears its uploads, or those of an earlier setting, on every host; none without the section."""
    return [VOLUME] if settings.application else []


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
        super().__init__(TYPE, name, None, opts)
        self._args, child = args, pulumi.ResourceOptions(parent=self)
        given = {file: value.get_secret_value() for file, value in args.settings.secrets.items()}
        contents: dict[str, pulumi.Input[str]] = {SALT: drawn_salt(name, child), **given}
        passwords, made = passwords_of(name, args.settings, child), []
        self.password = passwords[0] if passwords else None
        if args.settings.database and passwords:
            contents |= {PASSWORD: passwords[0], CA: args.database.authority}
            made = [self._account(name, args.settings.database, passwords, child)]
        running = declare(name, args.service, self, contents, {}, after=made)
        self.vip = running.stdout
        self.register_outputs({"vip": self.vip})

    def _account(
        self,
        name: str,
        wanted: Database,
        passwords: Sequence[pulumi.Output[str]],
        child: pulumi.ResourceOptions,
    ) -> pulumi.Resource:
        """Its database and account; depend on it to use them.

        Made again whenever the cluster is another: that may have been made anew, empty.
        """
        database = self._args.database
        return remote.run(
            f"{name}-database",
            self._args.service.manager,
            account.made(database.service, wanted.name, wanted.account, former=len(passwords) > 1),
            pulumi.ResourceOptions.merge(child, pulumi.ResourceOptions(depends_on=[database.settled])),
            values=pulumi.Output.all(*passwords).apply(lambda told: "\n".join(map(account.stored, told))),
            triggers=[database.formed.id],
        )

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
                **rotation.shown(wanted.database.passwords, rotation.PASSWORDS),
            }
        return told
