"""An empty SoftLayer account to a Galera cluster on Docker swarm: the stack's parts, wired together.

Owns: composition: settings in, components wired, outputs exported.
Leaves to others: everything that is done (components/) and what may be configured (settings/).
"""

from __future__ import annotations

import pulumi

import settings as stack_settings
from components import application, etcd, galera, load_balancer, registration, stack_outputs
from components.cluster_hosts import ClusterHosts, ClusterHostsArgs
from components.docker_host_access import DockerHostAccess, DockerHostAccessArgs
from components.firewall import Firewall, FirewallArgs
from components.first_bootstrap import initial_sql_of
from components.overlay_network import OverlayNetwork, OverlayNetworkArgs
from components.pinned_images import PinnedImages, PinnedImagesArgs
from components.plan import Plan
from components.services import Services
from components.ssh_access import SshAccess, SshAccessArgs
from components.swarm import Swarm, SwarmArgs
from settings.errors import UserError


def deploy(settings: stack_settings.Settings) -> None:
    """Declare the whole stack and its outputs."""
    sql = initial_sql_of(settings.galera)
    plan = Plan.of(settings)
    owner = plan.identity.owner
    services = [etcd.spec(settings), galera.spec(settings, sql)]
    services += [*load_balancer.specs(settings), *application.specs(settings)]
    ssh = SshAccess("ssh", SshAccessArgs.of(owner, settings.ssh))
    firewall = None
    if settings.servers.firewall:
        firewall = Firewall("firewall", FirewallArgs.of(owner, settings, services))
    moving = [spec.name for spec in services if spec.replicas is not None]
    hosts = ClusterHosts(
        "hosts", ClusterHostsArgs(owner, settings, ssh, firewall, plan.in_turn, galera.LABEL, moving)
    )
    first = hosts.managers[0]
    memberships = [spec.membership for spec in services if spec.membership]
    swarm = Swarm("swarm", SwarmArgs(hosts.members, memberships, settings.engine.swarm_pool))
    access = DockerHostAccess("docker", DockerHostAccessArgs(first, ssh.private_key, [swarm.started]))
    # When the stack is destroyed, the swarm goes with its hosts: none of this need be taken apart piece by
    # piece. (A first manager that is replaced stays this component, and the swarm stays with the others.)
    on_swarm = pulumi.ResourceOptions(providers=[access.provider], deleted_with=first)
    attached = [spec.name for spec in services if spec.network == "overlay"]
    network = OverlayNetwork(
        "network",
        OverlayNetworkArgs(settings.network, first.connection, attached, [swarm.started]),
        on_swarm,
    )
    # Engines whose configuration changed have restarted, one by one, before any service is touched. And the
    # swarm is whole before images are unpacked: its votes are the first to suffer on hosts short of CPU.
    calm = [*swarm.nodes, *hosts.current_managers]
    wanted = {spec.name: spec.image for spec in services}
    images = PinnedImages("images", PinnedImagesArgs(wanted, first, swarm.nodes)).references
    fetched = hosts.fetch_on_managers(list(images.values()), swarm.nodes)
    made = Services(services, images, first, network, swarm.nodes)
    store = etcd.Etcd("etcd", etcd.EtcdArgs(made.on(hosts.managers, etcd.SERVICE, *calm), owner), on_swarm)
    nodes = made.on(hosts.managers, galera.SERVICE, *calm, *fetched)
    given = None if settings.root_password is None else settings.root_password.get_secret_value()
    database = galera.Galera("galera", galera.GaleraArgs(nodes, store, sql.digest, given), on_swarm)
    anywhere = [images[spec.name] for spec in services if not spec.constraints]
    on_workers = hosts.fetch_on_workers(anywhere, swarm.nodes)
    balancer = load_balancer.wanted(settings, hosts, made, database, on_workers, on_swarm)
    site = application.wanted(settings, hosts, made, database, balancer, on_workers, on_swarm)

    for name, value in stack_outputs.contract(
        settings, hosts, ssh, swarm, store, network, database, balancer, site, plan.estimate
    ).items():
        pulumi.export(name, value)


def main() -> None:
    """Refuse what the user can mend with one message and no traceback, else deploy."""
    try:
        deploy(stack_settings.load())
        registration.begin()
    except UserError as error:
        raise pulumi.RunError(str(error)) from None


main()
