"""Drills by schedule: one container that restores the latest backup now and then, and compares it.

Owns: what the service is, its files. Leaves to others: what it does (images/galera, `restore.scheduled`),
drills by hand (operations/restore/drill.py), the settings (settings/backup.py).

It is apart from the nodes, with limits of its own: a drill must not take memory from a database that serves.
And only it has the private key.
"""

from __future__ import annotations

from collections.abc import Mapping

import pulumi

from components import backup, galera, store_access
from components.cluster_hosts import ClusterHosts
from components.service_spec import ON_DATA_NODES, HealthCheck, Limits, ServiceSpec, UpdatePolicy
from components.services import ServiceArgs, Services, declare
from settings import Settings

SERVICE = "galera-drill"
IDENTITY = "drill-identity"
AUTHORITY = "galera-ca.crt"
VOLUME = "galera-drill"
LIMITS = Limits(cpus=1.0, memory=1024)
"""Of its container; the scratch server's buffer pool is a quarter of it."""


def specs(settings: Settings) -> list[ServiceSpec]:
    """The service, as far as it is known before the run; none without `backup.drill`."""
    if settings.backup is None or settings.backup.drill is None:
        return []
    database = galera.spec(settings)
    passwords = [f"galera-{user}-password" for user in galera.USERS]
    return [
        ServiceSpec(
            name=SERVICE,
            image=settings.galera.image,
            replicas=1,
            constraints=[ON_DATA_NODES],
            env={**database.env, "DRILL_EVERY": settings.backup.drill.every},
            secrets=[
                *passwords,
                AUTHORITY,
                IDENTITY,
                *store_access.FILES,
                *backup.secret_names(settings.backup),
            ],
            configs=[file for file in database.configs if file.name in ("galera-cnf", "galera-backup")],
            volumes={VOLUME: "/var/lib/mysql"},
            health=HealthCheck(["galera-node", "health"], start_period=60),
            update=UpdatePolicy(proven=10),
            stop_grace=60,
            limits=LIMITS,
        )
    ]


def wanted(
    settings: Settings,
    hosts: ClusterHosts,
    services: Services,
    database: galera.Galera,
    files: Mapping[str, pulumi.Input[str]],
    opts: pulumi.ResourceOptions,
) -> Drills | None:
    """The service; None where the settings have none. Args: files: of whoever asks the store."""
    if not specs(settings):
        return None
    args = services.on(hosts.bearing, SERVICE, database.settled)
    return Drills(SERVICE, settings, args, database, files, opts)


class Drills(pulumi.ComponentResource):
    """The service, once its container runs."""

    def __init__(
        self,
        name: str,
        settings: Settings,
        args: ServiceArgs,
        database: galera.Galera,
        files: Mapping[str, pulumi.Input[str]],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """`opts` bring the provider, which the service inherits."""
        super().__init__("swarm-galera:drill:Drills", name, None, opts)
        if settings.backup is None or settings.backup.drill is None:
            raise AssertionError("there is a service, so there is its section")
        identity = settings.backup.drill.identity.get_secret_value().strip()
        secrets: Mapping[str, pulumi.Input[str]] = {
            **{f"galera-{user}-password": value for user, value in database.passwords.items()},
            AUTHORITY: database.authority,
            IDENTITY: pulumi.Output.secret(identity),
            **files,
            **backup.secrets(settings.backup),
        }
        declare(name, args, self, secrets, {"STORE": database.store_url})
        self.register_outputs({})
