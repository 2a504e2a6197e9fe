"""An empty SoftLayer account to a Galera cluster on Docker swarm: the stack's parts, wired together.

Owns: composition: settings in, components wired, outputs exported.
Leaves to others: everything that is done (components/) and what may be configured (settings/).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pulumi

import settings as stack_settings
from components import etcd, first_bootstrap, registration, stack_outputs
from components.cluster_hosts import ClusterHosts, ClusterHostsArgs
from components.commands.swarm_leaving import Membership
from components.docker_host_access import DockerHostAccess, DockerHostAccessArgs
from components.etcd import SERVICE as ETCD
from components.etcd import Etcd, EtcdArgs
from components.firewall import Firewall, FirewallArgs
from components.galera import LABEL, Galera, GaleraArgs
from components.galera import SERVICE as GALERA
from components.overlay_network import OverlayNetwork, OverlayNetworkArgs
from components.pinned_images import PinnedImages, PinnedImagesArgs
from components.plan import Plan
from components.softlayer.errors import SoftLayerFailed
from components.ssh_access import SshAccess, SshAccessArgs
from components.swarm import Swarm, SwarmArgs
from settings import Settings
from settings.database import initial_sql

GALERA_MEMBERSHIP = Membership(GALERA, "galera-node forget", votes=False)
"""After a full outage, a host that is still on the list would be waited for."""


def initial_sql_of(settings: Settings, former: Mapping[str, Any] | None) -> first_bootstrap.InitialSql:
    """What new nodes run; raises SettingsError for what can't be changed in a cluster that has formed.

    `former`: the output `galera` of the last complete run.
    """
    galera = settings.galera
    if problems := first_bootstrap.refusals(former, galera.cluster_name, galera.database):
        raise stack_settings.SettingsError(problems)
    archive = None if galera.initdb is None else initial_sql.bundle(galera.initdb)
    sql = first_bootstrap.initial_sql(former, archive)
    if sql.note:
        pulumi.log.warn(sql.note)
    return sql


def deploy(settings: Settings) -> None:
    """Declare the whole stack and its outputs."""
    sql = initial_sql_of(settings, first_bootstrap.former())
    plan = Plan.of(settings)
    owner = plan.identity.owner
    ssh = SshAccess(
        "ssh",
        SshAccessArgs(
            owner=owner,
            public_key=settings.ssh.public_key,
            label=settings.ssh.label,
            private_key_file=settings.ssh.private_key_file,
            upload_label=settings.ssh.upload_label,
            upload_notes=settings.ssh.upload_notes,
        ),
    )
    firewall = None
    if settings.servers.firewall:
        firewall = Firewall("firewall", FirewallArgs.of(owner, settings))
    hosts = ClusterHosts("hosts", ClusterHostsArgs(owner, settings, ssh, firewall, plan.in_turn, label=LABEL))
    first = hosts.managers[0]
    swarm = Swarm(
        "swarm", SwarmArgs(hosts.members, [etcd.MEMBERSHIP, GALERA_MEMBERSHIP], settings.engine.swarm_pool)
    )
    access = DockerHostAccess("docker", DockerHostAccessArgs(first, ssh.private_key, [swarm.started]))
    # When the stack is destroyed, the swarm goes with its hosts: none of this need be taken apart piece by
    # piece. (A first manager that is replaced stays this component, and the swarm stays with the others.)
    on_swarm = pulumi.ResourceOptions(providers=[access.provider], deleted_with=first)
    network = OverlayNetwork(
        "network",
        OverlayNetworkArgs(
            name=settings.network.name,
            subnet=settings.network.subnet,
            encrypted=settings.network.encrypted,
            manager=first.connection,
            services=[ETCD, GALERA],
            after=[swarm.started],
        ),
        on_swarm,
    )
    # Engines whose configuration changed have restarted, one by one, before any service is touched. And the
    # swarm is whole before images are unpacked: its votes are the first to suffer on hosts short of CPU.
    calm = [*swarm.nodes, *hosts.current_managers]
    images = PinnedImages(
        "images",
        PinnedImagesArgs({ETCD: settings.discovery.image, GALERA: settings.galera.image}, first, swarm.nodes),
    ).references
    fetched = hosts.fetch_on_managers([images[ETCD], images[GALERA]], swarm.nodes)
    store = Etcd(
        "etcd",
        EtcdArgs(
            image=images[ETCD],
            managers=hosts.managers,
            network=network,
            token=owner,
            after=calm,
            nodes=swarm.nodes,
        ),
        on_swarm,
    )
    galera = Galera(
        "galera",
        GaleraArgs(
            image=images[GALERA],
            cluster_name=settings.galera.cluster_name,
            database=settings.galera.database,
            nodes=hosts.managers,
            network=network,
            store=store,
            after=[*calm, *fetched],
            placed=swarm.nodes,
            options=settings.galera.config,
            provider=settings.galera.provider,
            strict_replication=settings.galera.strict_replication,
            stop_grace=settings.galera.stop_grace,
            initial_sql=sql,
        ),
        on_swarm,
    )

    everything = stack_outputs.contract(settings, hosts, ssh, swarm, store, network, galera, plan.estimate)
    for name, value in everything.items():
        pulumi.export(name, value)


def main() -> None:
    """Refuse bad settings and a refusing API with one message and no traceback, else deploy."""
    try:
        deploy(stack_settings.load())
        registration.begin()
    except (stack_settings.SettingsError, SoftLayerFailed, ValueError) as error:
        raise pulumi.RunError(str(error)) from None


main()
