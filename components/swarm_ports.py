"""Which ports the hosts of a swarm open to one another, as data.

Owns: the swarm's own ports, and that a service's are open because its spec has them and for no other reason.
Leaves to others: the rules made of them (components/softlayer/firewall.py).
Source: Docker's documentation, "Getting started with Swarm mode".
"""

from __future__ import annotations

from collections.abc import Iterable

from components.service_spec import ServiceSpec

SWARM = {
    ("tcp", 2377): "management",
    ("tcp", 7946): "gossip",
    ("udp", 7946): "gossip",
    ("udp", 4789): "overlay networks (VXLAN)",
}
"""Purpose by protocol and port."""


def opened(services: Iterable[ServiceSpec]) -> list[tuple[str, int]]:
    """Protocol and port: the swarm's, and those of the services that are there for the other hosts."""
    return list(dict.fromkeys([*SWARM, *(port for service in services for port in service.open_ports)]))
