"""Where hosts come from, and what may be said of those that are ordered and of those that are one's own.

Owns: what is refused of `servers` because of that, of the section itself and of its pools.
Leaves to others: which hosts that makes (all_hosts.py).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator

from pydantic.alias_generators import to_camel

from settings import own_hosts, server_values, values
from settings.all_hosts import AllHosts
from settings.planned import DATA_LABEL
from settings.pools import Pool
from settings.rules import contradictions
from settings.server import Server


def problems(servers: AllHosts) -> Iterable[str]:
    """All of them, as `KEY: what and why. Remedy: …`."""
    yield from _of_kind("", servers.kind == "existing", bool(servers.hosts), servers)
    if servers.kind == "softlayer" and servers.managers + servers.workers:
        yield from _orders("", servers.each)
    elif servers.kind == "existing":
        yield from _place("", servers.datacenter)
    for number, pool in enumerate(servers.pools):
        yield from _of_pool(f"pools.{number}.", servers, pool)
    yield from own_hosts.twice(list(_own(servers)))
    yield from _without_disk(servers)
    yield from _names(servers)
    yield from _quorum(servers)


def _own(servers: AllHosts) -> Iterator[tuple[str, own_hosts.OwnHost]]:
    for number, host in enumerate(servers.hosts):
        yield f"hosts.{number}", host
    for at, pool in enumerate(servers.pools):
        for number, host in enumerate(pool.hosts):
            yield f"pools.{at}.hosts.{number}", host


def _without_disk(servers: AllHosts) -> Iterable[str]:
    """Hosts of one's own whose data would not be encrypted although that is asked for."""
    plain = [host.name for host in servers.planned if host.own and host.encrypted and host.own.disk is None]
    if plain:
        yield (
            f"encryptedDisk: {', '.join(plain)} {'has' if len(plain) == 1 else 'have'} no disk for the "
            "engine's data, which would be in plain on the file system that is there. Remedy: name one "
            "(disk), or have these hosts in a pool with encryptedDisk: false"
        )


def _of_kind(at: str, existing: bool, hosts: bool, section: AllHosts | Pool) -> Iterable[str]:
    """What only belongs to the other kind."""
    said = section.model_fields_set
    if not existing:
        if hosts:
            yield f"{at}hosts: they are none to order. Remedy: set {at}kind: existing, or remove them"
        return
    if not hosts:
        yield (
            f"{at}hosts: kind is existing, and no host is named. Remedy: name them, each with name and "
            "address"
        )
    count = ("prefix", "managers", "workers") if not at else ("count", "role")
    of_orders = [name for name in Server.model_fields if name not in ("datacenter", "encrypted_disk")]
    if foreign := [
        to_camel(name) for name in (*count, *of_orders) if name in said and not _for_pools(name, section)
    ]:
        yield (
            f"{at}{foreign[0]}: {', '.join(foreign)} {'is' if len(foreign) == 1 else 'are'} said of orders, "
            "and these hosts are there already: hosts has their names and roles, and they are what they "
            "are. Remedy: remove it"
        )


def _for_pools(name: str, section: AllHosts | Pool) -> bool:
    """Whether the section says it of pools, some of which are ordered."""
    pools = getattr(section, "pools", ())
    counts = ("managers", "workers", "count", "role")
    return name not in counts and any(pool.kind == "softlayer" for pool in pools)


def _of_pool(at: str, servers: AllHosts, pool: Pool) -> Iterable[str]:
    existing = pool.kind == "existing"
    yield from _of_kind(at, existing, bool(pool.hosts), pool)
    if existing:
        yield from _place(at, servers.of_pool(pool).datacenter)
    elif pool.count:
        yield from _orders(at, servers.of_pool(pool))
    else:
        yield f"{at}count: a pool of no hosts. Remedy: say how many, or remove the pool"
    roles = [host.role for host in pool.hosts] if existing else [pool.role]
    if "manager" in roles and pool.labels.get(DATA_LABEL) == "false":
        yield (
            f"{at}labels: {DATA_LABEL} is false, and every manager bears a node of the database: through it "
            "the program asks the cluster. Remedy: remove the label, or make them workers"
        )


def _orders(at: str, server: Server) -> Iterable[str]:
    """What can't be ordered so."""
    for key in ("domain", "datacenter"):
        if not getattr(server, key):
            yield f"{at}{key}: this is missing. Remedy: add it to the stack's file, as in Pulumi.dev.yaml"
    if server.datacenter:
        try:
            server_values.datacenter(server.datacenter)
        except values.Refused as refused:
            yield f"{at}datacenter: {refused}"
    if len(server.disks) < 2:
        yield (
            f"{at}disks: the engine's data needs a second disk. Remedy: give two sizes in GB, like [25, 25]"
        )
    found = contradictions(lambda name: getattr(server, name))
    yield from (f"{at}{to_camel(name)}: {reason}" for name, reason in found)


def _place(at: str, datacenter: str) -> Iterable[str]:
    """Of hosts of one's own it is any word that a label, and Consul, takes."""
    if datacenter and not re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?", datacenter):
        yield (
            f"{at}datacenter: {datacenter!r} is no name of a place. Remedy: use lower-case letters, digits "
            "and hyphens, like rack-7, or leave it out"
        )


def _names(servers: AllHosts) -> Iterable[str]:
    """Hosts of one name."""
    pools = Counter(pool.name for pool in servers.pools)
    for name, count in pools.items():
        if count > 1:
            yield f"pools: {count} pools are called {name}. Remedy: give each a name of its own"
    own = Counter(host.name for host in servers.own)
    ordered = Counter(host.name for host in servers.planned if host.ordered)
    for name in sorted({each for each in ordered if each in own}):
        yield f"hosts: {name} is also the name of one that is ordered. Remedy: set another prefix"
    if not any(count > 1 for count in pools.values()):
        for name, count in ordered.items():
            if count > 1:
                yield f"pools: {count} hosts would be called {name}. Remedy: give the pool another name"


def _quorum(servers: AllHosts) -> Iterable[str]:
    """Of all managers; of the nodes of the database see arbitrator.py."""
    key = "hosts" if servers.kind == "existing" and not servers.pools else "managers"
    if servers.kind == "existing" and not servers.hosts:
        return  # that is told already
    managers = len(servers.manager_names)
    try:
        server_values.managers(managers)
    except values.Refused as refused:
        yield f"{key}: {refused}"
