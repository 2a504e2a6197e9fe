"""A service of this project's own: pages of what is in the database, on any two hosts.

Owns: what the service is, and what its containers are told. Leaves to others: the pages (its image), the
database, the docker resource and the wait for it (swarm_galera).

The image listens on port 8080, has a health check of its own, and finds the database by DATABASE_HOST,
DATABASE_PORT, DATABASE_NAME, DATABASE_USER and the file /run/secrets/database-password.
"""

from __future__ import annotations

import pulumi
from swarm_galera.components import galera
from swarm_galera.components.cluster_hosts import ClusterHosts
from swarm_galera.components.data_layer import DataLayer
from swarm_galera.components.service_spec import Limits, Port, ServiceSpec, UpdatePolicy
from swarm_galera.components.services import declare
from swarm_galera.settings import Settings

SERVICE = "reports"
PASSWORD = "database-password"  # noqa: S105 - the name of the secret


def spec(settings: Settings, image: str) -> ServiceSpec:
    """The service, as far as it is known before the run."""
    return ServiceSpec(
        name=SERVICE,
        image=image,
        replicas=2,
        env={
            "DATABASE_HOST": galera.SERVICE,
            "DATABASE_PORT": str(galera.PORT),
            "DATABASE_NAME": settings.galera.database,
            # The user is called like the database.
            "DATABASE_USER": settings.galera.database,
        },
        secrets=[PASSWORD],
        # On every host, wherever the two containers are.
        ports=[Port(8080, mode="ingress")],
        # The image says itself how it is.
        health=None,
        update=UpdatePolicy(proven=10, order="start-first", failure_action="rollback"),
        stop_grace=30,
        limits=Limits(cpus=0.5, memory=256),
    )


class Reports(pulumi.ComponentResource):
    """The service, once both containers run, made or changed after the database. vip: its virtual IP."""

    vip: pulumi.Output[str]

    def __init__(self, hosts: ClusterHosts, data: DataLayer) -> None:
        super().__init__("swarm-galera-composed:reports:Reports", SERVICE, None, data.options)
        service = data.services.on(hosts.servers, SERVICE, data.database.settled, *data.fetched)
        running = declare(SERVICE, service, self, {PASSWORD: data.database.app_password}, {})
        self.vip = running.stdout
        self.register_outputs({"vip": self.vip})
