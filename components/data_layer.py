"""The layer `data`: key-value store, database, load balancer, drills; or what is kept of it without.

Owns: composing these, in the order in which they are made and changed.
Leaves to others: each of them, the swarm below (swarm_layer.py), whether data is kept (layers.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi

from components import arbitrator, discovery, drill, galera, load_balancer, remote
from components.cluster_hosts import ClusterHosts
from components.first_bootstrap import InitialSql
from components.key_value_store import KeyValueStore
from components.pinned_images import PinnedImages, PinnedImagesArgs
from components.service_spec import ServiceSpec
from components.services import ServiceArgs, Services
from components.swarm_layer import SwarmLayer
from settings import Settings

VOLUMES = (*discovery.VOLUMES.values(), galera.VOLUME)
"""What may bear the data on every manager: the records of a cluster, in one of the stores, and its rows."""
EVERYWHERE = (discovery.VOLUMES["consul"],)
"""What of it is on workers, too."""


def specs(
    settings: Settings, sql: InitialSql, *, at_once: bool = False, store_at_once: bool = False
) -> list[ServiceSpec]:
    """Its services, as far as they are known before the run. `at_once`: see `galera.spec`; `store_at_once`:
    likewise of the store.
    """
    database = galera.spec(settings, sql, at_once=at_once)
    store = discovery.spec(settings, at_once=store_at_once)
    return [
        store,
        database,
        *load_balancer.specs(settings),
        *arbitrator.specs(settings),
        *drill.specs(settings),
    ]


@dataclass(frozen=True)
class DataLayer:
    """A database that serves.

    Attributes:
        services: of this layer and those above.
        store, database: what they are. balancer: None where the settings have none.
        fetched: images of services that run on any host are on the workers then; managers have them earlier.
        options: for what is made on it, as of the swarm.
    """

    services: Services
    store: KeyValueStore
    database: galera.Galera
    balancer: load_balancer.LoadBalancer | None
    fetched: Sequence[pulumi.Resource]
    options: pulumi.ResourceOptions

    @classmethod
    def declare(
        cls,
        settings: Settings,
        owner: pulumi.Input[str],
        hosts: ClusterHosts,
        manager: remote.Where,
        below: SwarmLayer,
        services: Sequence[ServiceSpec],
        initdb: str,
        serves: bool,
    ) -> DataLayer:
        """All of it.

        Args:
            owner: `StackIdentity.owner`; tells the store's members from another stack's.
            manager: any of them.
            services: those that are deployed, of this layer and of those above.
            initdb: which initial SQL was or will be run.
            serves: as in `Layers`.
        """
        swarm = below.swarm
        # Engines whose configuration changed have restarted, one by one, before any service is touched. And
        # the swarm is whole before images are unpacked: its votes are the first to suffer on hosts short of
        # CPU.
        calm = [*swarm.nodes, *hosts.current_managers]
        wanted = {spec.name: spec.image for spec in services}
        images = PinnedImages("images", PinnedImagesArgs(wanted, manager, swarm.nodes)).references
        fetched = hosts.fetch_on_managers(list(images.values()), swarm.nodes)
        made = Services(services, images, manager, below.network, swarm.nodes)
        store = discovery.wanted(settings, owner, hosts, made, calm, below.options)
        nodes = made.on(hosts.bearing, galera.SERVICE, *calm, *fetched)
        args = _database(settings, nodes, store, initdb, serves)
        database = galera.Galera("galera", args, below.options)
        database.settle(store.settle([database.formed]))
        # The arbitrator's is for workers, too.
        anywhere = [
            images[spec.name] for spec in services if not spec.constraints or spec.replicas is not None
        ]
        on_workers = hosts.fetch_on_workers(anywhere, swarm.nodes)
        before = [database.settled] if serves else [*calm, *fetched]
        balancer = load_balancer.wanted(settings, hosts, made, [*before, *on_workers], below.options)
        after = [database.settled, *on_workers]
        arbitrator.wanted(settings, hosts, made, database.files, after, below.options)
        drill.wanted(settings, hosts, made, database, store.access.files(), below.options)
        return cls(made, store, database, balancer, on_workers, below.options)


def _database(
    settings: Settings, nodes: ServiceArgs, store: KeyValueStore, initdb: str, serves: bool
) -> galera.GaleraArgs:
    # All are changed at the same time where their certificates have expired, and none takes writes.
    last = (
        settings.load_balancer is not None and nodes.spec.update.parallelism == 1 and len(nodes.servers) > 1
    )
    said = settings.galera
    return galera.GaleraArgs(
        nodes,
        store,
        not serves,
        initdb,
        said.tls,
        _given(settings),
        said.passwords,
        writer_last=last,
        arbitrator=arbitrator.votes(settings, serves=serves),
        backup=settings.backup,
        source=settings.bootstrap_from,
    )


def keep_secrets(settings: Settings, hosts: ClusterHosts) -> None:
    """Without the layer: what its data can't be used without stays in the state.

    So it does while no data is kept, or none was there yet: a password that is drawn anew at the wrong time
    locks everybody out of the rows, and one that is drawn early harms nobody.
    """
    opts = pulumi.ResourceOptions(deleted_with=hosts.managers[0].takes_along)
    discovery.keep_secrets(settings, opts)
    wanted = settings.galera
    galera.keep_secrets("galera", _given(settings), wanted.passwords, wanted.tls, opts)


def _given(settings: Settings) -> str | None:
    return None if settings.root_password is None else settings.root_password.get_secret_value()
