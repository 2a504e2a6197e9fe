"""The arbitrator: garbd as one task on a host without data, the odd vote of an even number of nodes.

Owns: what the service is. Leaves to others: when there may be one (settings/arbitrator.py), how it joins and
stays (images/arbitrator), the nodes, which wait for nobody of its name (images/galera, `component`).

It has no data. It moves to another such host when its own dies.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

import pulumi

from components import database_tls, galera
from components.cluster_hosts import ClusterHosts
from components.first_bootstrap import last_resources
from components.service_spec import ConfigFile, HealthCheck, ServiceSpec, UpdatePolicy
from components.services import ServiceArgs, Services, declare
from settings import Settings
from settings.planned import DATA_LABEL

SERVICE = "arbitrator"
PROVIDER = "/etc/arbitrator-node/provider.json"


def specs(settings: Settings) -> list[ServiceSpec]:
    """The service, as far as it is known before the run; none without the section in the settings."""
    if settings.arbitrator is None:
        return []
    provider = json.dumps(dict(settings.galera.provider), indent=1, sort_keys=True)
    return [
        ServiceSpec(
            name=SERVICE,
            image=settings.arbitrator.image,
            replicas=1,
            constraints=[f"node.labels.{DATA_LABEL}==false"],
            env={
                "CLUSTER_NAME": settings.galera.cluster_name,
                "PEERS": f"tasks.{galera.SERVICE}",
                "SUBNET": settings.network.subnet,
            },
            secrets=list(database_tls.FILES),
            configs=[ConfigFile("arbitrator-provider", PROVIDER, provider)]
            if settings.galera.provider
            else [],
            health=HealthCheck(["arbitrator-node", "health"], start_period=300),
            update=UpdatePolicy(proven=10),
            stop_grace=15,
        )
    ]


def votes(settings: Settings, *, serves: bool) -> bool:
    """Whether one votes while the database is made or changed.

    Also the one that goes in this run: Pulumi deletes last what is declared no more, so the nodes have it in
    their group until then, and whoever waits for them without it would wait in vain.

    Args:
        serves: there was a database before this run, and so a state.
    """
    if settings.arbitrator is not None:
        return True
    return serves and any(urn.endswith(f"::{SERVICE}-service") for urn in last_resources())


def wanted(
    settings: Settings,
    hosts: ClusterHosts,
    services: Services,
    files: Mapping[str, pulumi.Input[str]],
    after: Sequence[pulumi.Resource],
    opts: pulumi.ResourceOptions,
) -> Arbitrator | None:
    """The arbitrator; None where the settings have none.

    Args:
        files: by which the nodes know one another, by the secrets' names.
        after: what it is made or changed after: the database, its image on the hosts.
    """
    if settings.arbitrator is None:
        return None
    return Arbitrator(SERVICE, services.on(hosts.servers, SERVICE, *after), files, opts)


class Arbitrator(pulumi.ComponentResource):
    """An arbitrator that is in the group."""

    def __init__(
        self,
        name: str,
        args: ServiceArgs,
        files: Mapping[str, pulumi.Input[str]],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """`opts` bring the provider, which the service inherits."""
        super().__init__("swarm-galera:arbitrator:Arbitrator", name, None, opts)
        self.running = declare(name, args, self, files, {})
        self.register_outputs({})
