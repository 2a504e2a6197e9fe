"""The stack's outputs: the contract that consumers of the cluster, operations and tests read.

Owns: names and shapes (docs/explanation/architecture.md, "Stack outputs"), and which of them are secret.
Leaves to others: exporting them (__main__.py), reading them (operations/outputs.py, examples/consumer).
"""

from __future__ import annotations

from typing import Any

import pulumi

from components import (
    autolock,
    backup,
    discovery,
    disk_encryption,
    engine_tls,
    remote,
    rotation,
    server_version,
    store_change,
)
from components.any_manager import AnyManager
from components.application import Application
from components.cluster_host import SSH_PORT, ClusterHost
from components.cluster_hosts import ClusterHosts
from components.data_layer import DataLayer
from components.layers import Layers
from components.own_hosts import look as own_hosts
from components.softlayer.cost import Estimate
from components.ssh_access import SshAccess
from components.ssh_files import ALIAS
from components.swarm_layer import SwarmLayer
from components.taken_down import TakenDown
from settings import Settings
from settings.planned import PlannedHost

CONTRACT_VERSION = 2
"""Rises when a field is removed or comes to mean something else; not for a further one.

2: `discovery.port` speaks TLS, to clients that have what the output `discoveryAccess` says.
"""


def contract(
    settings: Settings,
    estimate: Estimate,
    hosts: ClusterHosts,
    ssh: SshAccess,
    manager: remote.Where,
    swarm: SwarmLayer | None,
    data: DataLayer | None,
    application: Application | None,
    layers: Layers,
    down: TakenDown | None,
    listened: bool = False,
) -> dict[str, Any]:
    """All outputs by name; those of a layer only where it is deployed.

    Args:
        listened: as in `ClusterHostsArgs`.
    """
    return {
        "contractVersion": CONTRACT_VERSION,
        "hosts": [
            {
                **_host(server, host),
                **({disk_encryption.OUTPUT: True} if host.name in hosts.disk_keys else {}),
            }
            for server, host in zip(hosts.servers, settings.servers.planned, strict=True)
        ],
        "managers": settings.servers.manager_names,
        "workers": settings.servers.worker_names,
        "estimatedCost": estimate.as_output(),
        "ssh": pulumi.Output.secret(
            {
                "user": "root",
                "privateKey": ssh.private_key,
                "addresses": {server.hostname: server.address for server in hosts.servers},
                "hostKeys": {server.hostname: server.host_key for server in hosts.servers},
                **_other_ways(hosts),
                # By this the next run knows without another look that the state is of this kind.
                **({"manager": ALIAS} if isinstance(manager, AnyManager) else {}),
            }
        ),
        **({disk_encryption.KEYS: pulumi.Output.secret(dict(hosts.disk_keys))} if hosts.disk_keys else {}),
        **engine_tls.shown(hosts.engine_tls, listened, None if swarm is None else swarm.asked),
        **({} if swarm is None else _of_swarm(settings, swarm)),
        **({} if data is None else _of_data(settings, data, application)),
        **({} if down is None else _of_taken_down(settings, layers, down)),
    }


def _of_swarm(settings: Settings, layer: SwarmLayer) -> dict[str, Any]:
    swarm, network = layer.swarm, layer.network
    return {
        "joinTokens": {
            "manager": swarm.manager_token,
            "worker": swarm.worker_token,
            **rotation.generation_shown(settings.swarm.join_token_generation),
        },
        "network": {
            "name": network.name,
            "id": network.network_id,
            "subnet": network.subnet,
            "encrypted": settings.network.encrypted,
        },
        # For the look at them; nothing else of the program needs it.
        **({own_hosts.SWARM: {"id": swarm.cluster}} if settings.servers.own else {}),
        **({} if layer.autolock is None else {autolock.OUTPUT: layer.autolock.as_output(settings.swarm)}),
    }


def _of_data(settings: Settings, layer: DataLayer, application: Application | None) -> dict[str, Any]:
    """`publishedPort`, `dataPath`, `loadBalancer`, `application`, `backup`: only if there is one."""
    store, galera, balancer = layer.store, layer.database, layer.balancer
    passwords = {"root": galera.root_password, "app": galera.app_password}
    if balancer is not None:
        passwords["loadBalancer"] = balancer.password
    if application is not None and application.password is not None:
        passwords["application"] = application.password
    return {
        "discovery": discovery.shown(settings, store),
        "discoveryAccess": pulumi.Output.secret(dict(store.consumer_access)),
        "galera": {
            "clusterName": galera.cluster_name,
            "service": galera.service,
            "vip": galera.vip,
            "port": galera.port,
            "size": galera.size,
            "members": galera.members,
            "database": settings.galera.database,
            "initdb": galera.initdb,
            server_version.OUTPUT: server_version.shown(settings),
            "tls": galera.tls_as_output(),
            **rotation.shown(settings.galera.passwords, rotation.PASSWORDS),
            **({} if galera.published_port is None else {"publishedPort": galera.published_port}),
            **({} if settings.galera.data_path is None else {"dataPath": settings.galera.data_path}),
            **({} if settings.arbitrator is None else {"arbitrator": True}),
        },
        "passwords": pulumi.Output.secret(passwords),
        **({} if balancer is None else {"loadBalancer": balancer.as_output()}),
        **({} if application is None else {"application": application.as_output()}),
        **(
            {}
            if settings.backup is None
            else {"backup": backup.as_output(settings.backup, galera.cluster_name)}
        ),
    }


def _of_taken_down(settings: Settings, layers: Layers, down: TakenDown) -> dict[str, Any]:
    """Which layer this is, what is left of those above, and what is known of the data that nothing serves."""
    record = layers.record or None
    # What has gone of data that is kept are the records of a former store (store_change.py).
    left = store_change.after(layers.record, settings) if layers.record and settings.keep_data else None
    return {
        "layer": layers.top,
        "takenDown": {
            "done": down.left.apply(lambda left: not left),
            "left": down.left,
            "round": layers.round,
            # Only of a stack that had to go down without some of its hosts.
            **({"missed": down.missed} if down.missed else {}),
            **({"returned": down.returned} if down.returned else {}),
        },
        "keptData": down.volumes_gone.apply(lambda gone: left if gone else record),
    }


def _other_ways(hosts: ClusterHosts) -> dict[str, Any]:
    """Who logs in and at which port, of hosts where that is not root and 22."""
    users = {server.hostname: server.user for server in hosts.servers if server.user != "root"}
    ports = {server.hostname: server.port for server in hosts.servers if server.port != SSH_PORT}
    return {**({"users": users} if users else {}), **({"ports": ports} if ports else {})}


def _host(server: ClusterHost, host: PlannedHost) -> dict[str, Any]:
    """Of one's own also `hostKey`, which the next run believes, and whether its engine has a `disk`."""
    own = {} if host.own is None else {"hostKey": server.host_key, "disk": host.own.disk is not None}
    return {
        "name": server.hostname,
        "id": server.guest_id,
        "publicIp": server.public_ip,
        "privateIp": server.private_ip,
        "datacenter": host.datacenter,
        "role": host.role,
        **own,
    }
