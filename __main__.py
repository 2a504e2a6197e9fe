"""An empty SoftLayer account to a Galera cluster on Docker swarm: the stack's parts, wired together.

Owns: composition: settings in, components wired, outputs exported.
Leaves to others: everything that is done (components/) and what may be configured (settings/).
"""

from __future__ import annotations

import pulumi

import settings as stack_settings
from components import (
    application,
    autolock,
    backup,
    data_layer,
    database_tls,
    discovery,
    disk_encryption,
    engine_tls,
    first_bootstrap,
    registration,
    rotation,
    stack_outputs,
)
from components.any_manager import AnyManager
from components.cluster_hosts import ClusterHosts, ClusterHostsArgs
from components.data_layer import DataLayer
from components.firewall import Firewall, FirewallArgs
from components.in_state import InState
from components.layers import Layers
from components.plan import Plan
from components.ssh_access import SshAccess, SshAccessArgs
from components.swarm_layer import SwarmLayer
from components.taken_down import TakenDown, TakenDownArgs
from settings.errors import UserError


def deploy(settings: stack_settings.Settings) -> None:
    """Declare the stack up to the layer that the settings name, and its outputs."""
    last = first_bootstrap.last_outputs()
    sql = first_bootstrap.initial_sql_of(settings.galera, last)
    database_tls.refuse_a_leap(settings.galera.tls, last)
    if settings.deploys("data"):
        database_tls.refuse_an_image_without(settings.galera.image)
        backup.refuse_an_image_without(settings)
    autolock.refuse_going_back(settings.swarm, last)
    rotation.refuse_a_leap(settings, last)
    rotation.refuse_an_image_without(settings)
    engine_tls.refuse_to_leave(settings, last)
    layers = Layers.of(settings, last)
    plan = Plan.of(settings, last)
    anew = {*plan.replaced, *plan.estimate.adds}
    disks = disk_encryption.Disks.of(settings, last, first_bootstrap.last_resources, anew, plan.opened)
    if layers.note:
        pulumi.log.warn(layers.note)
    disks.tell()
    owner = plan.identity.owner
    # Also of layers that are not deployed: what hosts open to one another must not close while one of them is
    # only being taken down.
    expired = {"at_once": database_tls.have_expired(last), "store_at_once": discovery.have_expired(last)}
    data_specs = data_layer.specs(settings, sql, **expired)
    services = [*data_specs, *application.specs(settings)]
    ssh = SshAccess("ssh", SshAccessArgs.of(owner, settings))
    firewall = None
    if settings.servers.firewall and settings.servers.orders:
        firewall = Firewall("firewall", FirewallArgs.of(owner, settings, services))
    moving = [spec.name for spec in services if spec.replicas is not None]
    before = InState.read(last)
    listened = engine_tls.ended(settings, last, first_bootstrap.last_resources)
    asks = layers.hosts_ask_the_swarm
    locks = autolock.counts(settings, last)
    of_hosts = ClusterHostsArgs(
        *(owner, settings, ssh, plan.own, firewall, plan.in_turn, moving, asks, before, listened, locks),
        *(disks.encrypted, plan.replaced),
    )
    hosts = ClusterHosts("hosts", of_hosts)
    any_manager = AnyManager.of(hosts.managers, ssh, last, locks=locks)
    manager = any_manager if AnyManager.reached(last) else hosts.managers[0].connection
    swarm = data = site = down = None
    if settings.deploys("swarm"):
        swarm = SwarmLayer.declare(settings, hosts, any_manager, manager, services, before, last)
    if swarm and settings.deploys("data"):
        deployed = services if settings.deploys("application") else data_specs
        data = DataLayer.declare(settings, owner, hosts, manager, swarm, deployed, sql.digest, layers.serves)
    if data and settings.deploys("application"):
        site = application.wanted(settings, hosts, data)
    else:
        application.keep_secrets(settings, hosts)
    if not data:
        data_layer.keep_secrets(settings, hosts)
        away = plan.own.away if plan.own else ()
        of_down = TakenDownArgs.of(settings, hosts, manager, layers, leave=not swarm, away=away)
        down = TakenDown("taken-down", of_down)
    for name, value in stack_outputs.contract(
        settings, plan.estimate, hosts, ssh, manager, swarm, data, site, layers, down, listened
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
