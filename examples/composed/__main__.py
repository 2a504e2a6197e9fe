"""Another project that composes the cluster's components itself: own hosts, no application, a service more.

The cluster is this project's own, in its own stack; what the project above this folder says in its stack's
file is said here in Python, as far as it is not the default.

    cd examples/composed
    python3 -m venv .venv && .venv/bin/pip install -r requirements.txt
    pulumi stack init dev                       then its settings, as README.md has them
    pulumi preview                              looks at the hosts, changes nothing
    .venv/bin/swarm-galera up --stack dev       what `python -m operations up` is in the project above
    .venv/bin/swarm-galera verify --stack dev

Owns: which parts there are, and the service (reports.py). Leaves to others: the parts (swarm_galera).
"""

from __future__ import annotations

import pulumi
import reports
from swarm_galera import image
from swarm_galera.components import (
    autolock,
    data_layer,
    database_tls,
    discovery,
    engine_tls,
    first_bootstrap,
    registration,
    rotation,
    stack_outputs,
)
from swarm_galera.components.any_manager import AnyManager
from swarm_galera.components.cluster_hosts import ClusterHosts, ClusterHostsArgs
from swarm_galera.components.data_layer import DataLayer
from swarm_galera.components.layers import Layers
from swarm_galera.components.plan import Plan
from swarm_galera.components.ssh_access import SshAccess, SshAccessArgs
from swarm_galera.components.swarm_layer import SwarmLayer
from swarm_galera.settings import Settings, parse
from swarm_galera.settings.errors import UserError


def wanted(config: pulumi.Config) -> Settings:
    """What the components are told. Raises SettingsError with all that is wrong with it."""
    registry, key = config.require("registry"), config.get("privateKeyFile")
    return parse(
        {
            "servers": {"kind": "existing", "hosts": config.require_object("hosts")},
            **({"ssh": {"privateKeyFile": key}} if key else {}),
            "discovery": {"image": image("etcd", registry)},
            "galera": {"image": image("galera", registry), "database": config.require("database")},
        }
    )


def deploy(settings: Settings, own_image: str) -> None:
    """Declare hosts, swarm, database and the service on them, and what others may read of it."""
    last = first_bootstrap.last_outputs()
    sql = first_bootstrap.initial_sql_of(settings.galera, last)
    # What can't follow on the last run: it may be a setting that `wanted` has only later.
    database_tls.refuse_a_leap(settings.galera.tls, last)
    autolock.refuse_going_back(settings.swarm, last)
    rotation.refuse_a_leap(settings, last)
    engine_tls.refuse_to_leave(settings, last)
    layers = Layers.of(settings, last)
    # Looks at the hosts: what is wrong with any of them is told before anything is declared.
    plan = Plan.of(settings, last)
    owner = plan.identity.owner
    own = reports.spec(settings, own_image)
    expired = {"at_once": database_tls.have_expired(last), "store_at_once": discovery.have_expired(last)}
    services = [*data_layer.specs(settings, sql, **expired), own]
    locks = autolock.counts(settings, last)
    ssh = SshAccess("ssh", SshAccessArgs.of(owner, settings))
    hosts = ClusterHosts(
        "hosts",
        ClusterHostsArgs(
            owner,
            settings,
            ssh,
            plan.own,
            firewall=None,
            in_turn=plan.in_turn,
            replicated=[own.name],
            locks=locks,
        ),
    )
    manager = AnyManager.of(hosts.managers, ssh, last, locks=locks)
    swarm = SwarmLayer.declare(settings, hosts, manager, manager, services, last=last)
    data = DataLayer.declare(settings, owner, hosts, manager, swarm, services, sql.digest, layers.serves)
    site = reports.Reports(hosts, data)
    # The same outputs as the project above: by them the next run knows this one, `swarm-galera verify` checks
    # the cluster, and the examples beside this one read it.
    outputs = stack_outputs.contract(
        settings, plan.estimate, hosts, ssh, manager, swarm, data, None, layers, None
    )
    for name, value in outputs.items():
        pulumi.export(name, value)
    pulumi.export("reports", {"vip": site.vip, "port": own.ports[0].published})


def main() -> None:
    """Refuse what the user can mend with one message and no traceback, else deploy."""
    config = pulumi.Config()
    try:
        deploy(wanted(config), config.require("reports"))
        registration.begin()
    except UserError as error:
        raise pulumi.RunError(str(error)) from None


main()
