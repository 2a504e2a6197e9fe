"""An empty SoftLayer account to a Galera cluster on Docker swarm: the stack's parts, wired together.

Owns: composition: settings in, components wired, outputs exported.
Leaves to others: everything that is done (components/) and what may be configured (settings/).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import pulumi

import settings as stack_settings
from components import cost_report, etcd, first_bootstrap, registration, stack_outputs
from components.cluster_hosts import ClusterHosts, ClusterHostsArgs
from components.commands.engine import daemon_json
from components.commands.swarm_leaving import Membership
from components.docker_host_access import DockerHostAccess, DockerHostAccessArgs
from components.etcd import SERVICE as ETCD
from components.etcd import Etcd, EtcdArgs
from components.firewall import Firewall, FirewallArgs
from components.galera import LABEL, Galera, GaleraArgs
from components.galera import SERVICE as GALERA
from components.overlay_network import OverlayNetwork, OverlayNetworkArgs
from components.pinned_images import PinnedImages, PinnedImagesArgs
from components.softlayer import changes, cost, subnets
from components.softlayer.client import Api, find_credentials
from components.softlayer.errors import SoftLayerFailed
from components.softlayer.guest_seen import Guest
from components.softlayer.stack_identity import StackIdentity
from components.softlayer.virtual_guest import VirtualGuestArgs
from components.ssh_access import SshAccess, SshAccessArgs
from components.swarm import Swarm, SwarmArgs
from components.turns import refuse_while_others_are_not_well
from settings import Settings
from settings.database import initial_sql

GALERA_MEMBERSHIP = Membership(GALERA, "galera-node forget", votes=False)
"""After a full outage, a host that is still on the list would be waited for."""


class StackConfig:
    """The stack's configuration as the SoftLayer client reads it: by full key."""

    def get(self, key: str) -> str | None:
        """The value of a key like `swarm-galera:endpoint`; None if it is not set."""
        value: str | None = pulumi.runtime.get_config(key)
        return value


def shape_of(settings: Settings) -> cost.Shape:
    """What each host is ordered as, as far as it has a price."""
    servers = settings.servers
    return cost.Shape(
        datacenter=servers.datacenter,
        cores=servers.cores,
        memory=servers.memory,
        disks=tuple(servers.disks),
        os=servers.os or "",
        image=servers.image or "",
        hourly=servers.hourly,
        local_disk=servers.local_disk,
        nic_speed=servers.nic_speed,
        private_only=servers.private_only,
    )


def planned_cost(settings: Settings, api: Api) -> cost.Estimate:
    """Ask for the price of all hosts; raises SoftLayerFailed, also above `maxMonthlyCost`."""
    servers = settings.servers
    limit = None if settings.max_monthly_cost is None else Decimal(str(settings.max_monthly_cost))
    ordered = [name for name in servers.hostnames if name not in servers.adopt]
    return cost.estimate(api, dict.fromkeys(ordered, shape_of(settings)), limit)


def hosts_in_turn(settings: Settings, now: Mapping[str, Guest]) -> list[str]:
    """The hosts that this run interrupts; raises SettingInvalid for a plan that costs the majority.

    `now`: the stack's servers in the account.
    """
    servers = settings.servers
    planned = dict.fromkeys(servers.hostnames, shape_of(settings))
    turns = changes.interrupted(now, planned, {*(servers.reload_token.keys() & now.keys()), *servers.adopt})
    changes.refuse_loss_of_majority(now, servers.manager_names, servers.worker_names, servers.replace, turns)
    return turns


def hosts_of(
    settings: Settings, identity: StackIdentity, ssh: SshAccess, in_turn: Sequence[str]
) -> ClusterHosts:
    """Order the hosts, behind their firewall, and bring them to a running engine."""
    servers, engine = settings.servers, settings.engine
    public_groups: list[pulumi.Input[str]] = []
    private_groups: list[pulumi.Input[str]] = []
    if servers.firewall:
        by_address = {settings.ssh.address: tuple(settings.ssh.allowed_cidrs)}
        firewall = Firewall(
            "firewall",
            FirewallArgs(
                owner=identity.owner,
                public_ssh_from=by_address.get("public", ()),
                private_ssh_from=by_address.get("private", ()),
                published_ports=servers.published_ports,
                encrypted_overlay=settings.network.encrypted,
            ),
        )
        private_groups = [firewall.private_group_id]
        public_groups = [] if servers.private_only else [firewall.public_group_id]
    labels = {"datacenter": servers.datacenter}
    size = f"{servers.cores}x{servers.memory}"
    return ClusterHosts(
        "hosts",
        ClusterHostsArgs(
            managers=servers.manager_names,
            workers=servers.worker_names,
            guest=VirtualGuestArgs(
                owner=identity.owner,
                hostname="",
                domain=servers.domain,
                datacenter=servers.datacenter,
                cores=servers.cores,
                memory=servers.memory,
                os=servers.os,
                image=servers.image,
                hourly=servers.hourly,
                local_disk=servers.local_disk,
                nic_speed=servers.nic_speed,
                private_only=servers.private_only,
                public_vlan=servers.public_vlan,
                private_vlan=servers.private_vlan,
                public_subnet=servers.public_subnet,
                private_subnet=servers.private_subnet,
                public_security_groups=public_groups,
                private_security_groups=private_groups,
                tags=servers.tags,
                notes=servers.notes,
                user_data=servers.user_data,
                post_install_url=servers.post_install_url,
                placement_group=servers.placement_group,
            ),
            disks=servers.disks,
            adopt=servers.adopt,
            reload_token=servers.reload_token,
            replace=servers.replace,
            in_turn=in_turn,
            ssh=ssh,
            ssh_address=settings.ssh.address,
            protect=servers.protect,
            subnet=settings.network.subnet,
            engine_config=daemon_json(
                {**labels, "size": size, **engine.labels},
                engine.dns,
                engine.registry_mirrors,
                engine.insecure_registries,
                engine.bridge,
                engine.address_pools,
            ),
            manager_labels={**labels, LABEL: "true"},
            worker_labels={**labels, LABEL: "false"},
        ),
    )


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
    # Nothing has begun and somebody is watching: an API that cannot be reached is no reason to wait for long.
    api = Api(find_credentials(StackConfig())).patient_for(cost.PATIENCE)
    subnets.refuse_overlap(api, settings.network.subnet)
    plan = planned_cost(settings, api)
    identity = StackIdentity()
    estimate = cost.compared(api, plan, identity.owner_now())
    pulumi.log.info(cost_report.table(estimate, sorted(settings.servers.adopt)))
    in_turn = hosts_in_turn(settings, estimate.guests)
    refuse_while_others_are_not_well([*in_turn, *settings.servers.replace])
    ssh = SshAccess(
        "ssh",
        SshAccessArgs(
            owner=identity.owner,
            public_key=settings.ssh.public_key,
            label=settings.ssh.label,
            private_key_file=settings.ssh.private_key_file,
            upload_label=settings.ssh.upload_label,
            upload_notes=settings.ssh.upload_notes,
        ),
    )
    hosts = hosts_of(settings, identity, ssh, in_turn)
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
            token=identity.owner,
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

    everything = stack_outputs.contract(settings, hosts, ssh, swarm, store, network, galera, estimate)
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
