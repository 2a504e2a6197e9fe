"""Which key-value store the stack runs: etcd on the managers, or Consul on every host.

Owns: the choice. Leaves to others: the stores (etcd.py, consul.py), a change from one to the other
(store_change.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pulumi

from components import consul, etcd, peer_authority, rotation
from components.cluster_hosts import ClusterHosts
from components.key_value_store import KeyValueStore
from components.service_spec import ServiceSpec
from components.services import Services
from settings import Settings
from settings.discovery import Kind

VOLUMES: Mapping[Kind, str] = {"etcd": etcd.VOLUME, "consul": consul.VOLUME}
"""What bears the records, by the kind of store."""


def spec(settings: Settings, *, at_once: bool = False) -> ServiceSpec:
    """Its service, as far as it is known before the run.

    Args:
        at_once: a change replaces all members at the same time; else one after the other.
    """
    made = consul.spec(settings) if settings.discovery.kind == "consul" else etcd.spec(settings)
    if not at_once:
        return made
    return replace(made, update=replace(made.update, parallelism=len(settings.servers.hostnames)))


def have_expired(outputs: Mapping[str, Any]) -> bool:
    """Whether the members' certificates have expired; then a warning says so.

    As with the database's (database_tls.py): one that is given new certificates alone is parted from the
    others, and the change stands still. `outputs`: of the stack's last complete run. They have the authority
    of the clients, which was made together with that of the members.
    """
    authority = (outputs.get("discoveryAccess") or {}).get("caCertificate")
    return peer_authority.has_expired(
        authority,
        "the certificates of the store's members have expired: no member lets in another one any more. All "
        "get new ones at the same time, and start anew; the database serves meanwhile",
    )


def wanted(
    settings: Settings,
    owner: pulumi.Input[str],
    hosts: ClusterHosts,
    services: Services,
    after: Sequence[pulumi.Resource],
    opts: pulumi.ResourceOptions,
) -> KeyValueStore:
    """The store, made or changed after `after`.

    Args:
        owner: `StackIdentity.owner`; tells the store's members from another stack's.
    """
    if settings.discovery.kind == "etcd":
        service = services.on(hosts.managers, etcd.SERVICE, *after)
        wanted = settings.discovery.certificates
        return etcd.Etcd("etcd", etcd.EtcdArgs(service, owner, wanted), opts)
    service = services.on(hosts.servers, consul.SERVICE, *after)
    args = consul.ConsulArgs(service, owner, settings.servers.place, settings.hosts, settings.discovery)
    return consul.Consul("consul", args, opts)


def keep_secrets(settings: Settings, opts: pulumi.ResourceOptions) -> None:
    """Without the layer: what the store's records can't be used without stays in the state."""
    if settings.discovery.kind == "consul":
        consul.keep_secrets("consul", settings.discovery, opts)
    else:
        etcd.keep_secrets("etcd", settings.discovery.certificates, opts)


def shown(settings: Settings, store: KeyValueStore) -> dict[str, Any]:
    """What consumers need to know of it, without what lets them in; a virtual IP only where there is one."""
    told = {"kind": store.kind, "address": store.address, "port": store.port}
    told |= rotation.shown(settings.discovery.certificates, rotation.CERTIFICATES)
    if settings.discovery.kind == "etcd":
        return {**told, "vip": store.vip}
    servers = settings.discovery.members(settings.servers.manager_names)
    if key := rotation.generation_shown(settings.discovery.gossip_key_generation):
        told[rotation.GOSSIP_KEY] = key
    return {
        **told,
        "serverName": consul.SERVER_NAME,
        "service": consul.DATABASE,
        "servers": servers,
        "datacenter": settings.servers.place.lower(),
    }
