"""The stack's outputs: the contract that consumers of the cluster, operations and tests read.

Owns: names and shapes (docs/explanation/architecture.md, "Stack outputs"), and which of them are secret.
Leaves to others: exporting them (__main__.py), reading them (operations/outputs.py, examples/consumer).
"""

from __future__ import annotations

from typing import Any

import pulumi

from components.application import Application
from components.cluster_hosts import ClusterHosts
from components.galera import Galera
from components.key_value_store import KeyValueStore
from components.load_balancer import LoadBalancer
from components.overlay_network import OverlayNetwork
from components.softlayer.cost import Estimate
from components.ssh_access import SshAccess
from components.swarm import Swarm
from components.virtual_server import VirtualServer
from settings import Settings

CONTRACT_VERSION = 1
"""Rises when a field is removed or comes to mean something else; not for a further one."""


def contract(
    settings: Settings,
    hosts: ClusterHosts,
    ssh: SshAccess,
    swarm: Swarm,
    store: KeyValueStore,
    network: OverlayNetwork,
    galera: Galera,
    balancer: LoadBalancer | None,
    application: Application | None,
    estimate: Estimate,
) -> dict[str, Any]:
    """All outputs by name; `loadBalancer`, `application` and their passwords only where there is one."""
    passwords = {"root": galera.root_password, "app": galera.app_password}
    if balancer is not None:
        passwords["loadBalancer"] = balancer.password
    if application is not None and application.password is not None:
        passwords["application"] = application.password
    return {
        "contractVersion": CONTRACT_VERSION,
        "hosts": [
            _host(server, settings.servers.datacenter, "manager" if server in hosts.managers else "worker")
            for server in hosts.servers
        ],
        "managers": settings.servers.manager_names,
        "workers": settings.servers.worker_names,
        "joinTokens": {"manager": swarm.manager_token, "worker": swarm.worker_token},
        "discovery": {"kind": store.kind, "address": store.address, "port": store.port, "vip": store.vip},
        "network": {
            "name": network.name,
            "id": network.network_id,
            "subnet": network.subnet,
            "encrypted": settings.network.encrypted,
        },
        "galera": {
            "clusterName": galera.cluster_name,
            "service": galera.service,
            "vip": galera.vip,
            "port": galera.port,
            "size": galera.size,
            "members": galera.members,
            "database": settings.galera.database,
            "initdb": galera.initdb,
        },
        "estimatedCost": estimate.as_output(),
        "ssh": pulumi.Output.secret(
            {
                "user": "root",
                "privateKey": ssh.private_key,
                "addresses": {server.hostname: server.address for server in hosts.servers},
                "hostKeys": {server.hostname: server.host_key for server in hosts.servers},
            }
        ),
        "passwords": pulumi.Output.secret(passwords),
        **({} if balancer is None else {"loadBalancer": balancer.as_output()}),
        **({} if application is None else {"application": application.as_output()}),
    }


def _host(server: VirtualServer, datacenter: str, role: str) -> dict[str, Any]:
    return {
        "name": server.hostname,
        "id": server.guest_id,
        "publicIp": server.public_ip,
        "privateIp": server.private_ip,
        "datacenter": datacenter,
        "role": role,
    }
