"""Which ports the hosts of a swarm need open, as data.

Owns: the port table and the rules made of it. Leaves to others: the groups that hold the rules.
Source of the table: Docker's and etcd's documentation of their ports; of the limits: IBM's documentation of
security groups ("Performance limitations").
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

Direction = Literal["ingress", "egress"]

PRIVATE_PORTS: tuple[tuple[str, int, int, str], ...] = (
    ("tcp", 2377, 2380, "swarm management (2377), etcd's clients and peers (2379, 2380)"),
    ("tcp", 7946, 7946, "swarm gossip"),
    ("udp", 7946, 7946, "swarm gossip"),
    ("udp", 4789, 4789, "overlay networks (VXLAN)"),
)
"""Protocol, first and last port, purpose: what hosts of the group open to one another on the private side.

With ICMP these are as many rules as a group may have that name a group: 2377 to 2380 are one range for that.
"""

MAX_RULES = 50
MAX_REMOTE_RULES = 5
"""What SoftLayer takes for one group: rules in all, and rules whose source is a group, itself included."""

SELF = "self"
"""In `Rule.source`: the group itself."""


@dataclass(frozen=True, order=True)
class Rule:
    """One permission.

    Attributes:
        direction: `ingress` or `egress`.
        protocol: `tcp`, `udp`, `icmp`, or None for any (which is how ESP gets through).
        first_port, last_port: inclusive; None for all.
        source: a CIDR, `self` for the group itself, or None for anywhere.
        ethertype: `IPv4` or `IPv6`.
    """

    direction: Direction
    protocol: str | None = None
    first_port: int | None = None
    last_port: int | None = None
    source: str | None = None
    ethertype: str = "IPv4"

    def as_props(self) -> dict[str, Any]:
        """For the state: only what is given."""
        return {key: value for key, value in vars(self).items() if value is not None}


def egress() -> list[Rule]:
    """Everything outwards: groups block egress too unless told otherwise."""
    return [Rule("egress", ethertype="IPv4"), Rule("egress", ethertype="IPv6")]


def private_rules(ssh_from: Iterable[str] = (), encrypted_overlay: bool = True) -> list[Rule]:
    """Rules of the private side.

    Args:
        ssh_from: CIDRs that may reach SSH on the private addresses.
        encrypted_overlay: let ESP through. The API has no protocol of that name, so then any protocol is
            allowed within the group, by one rule in place of the port table.
    """
    if encrypted_overlay:
        own = [Rule("ingress", source=SELF)]
    else:
        own = [Rule("ingress", p, first, last, SELF) for p, first, last, _ in PRIVATE_PORTS]
        own.append(Rule("ingress", "icmp", source=SELF))
    return own + _ssh(ssh_from) + egress()


def public_rules(ssh_from: Iterable[str] = (), published: Sequence[int] = ()) -> list[Rule]:
    """Rules of the public side: SSH from the given CIDRs only, the published TCP ports from anywhere."""
    return _ssh(ssh_from) + [Rule("ingress", "tcp", port, port) for port in published] + egress()


def _ssh(cidrs: Iterable[str]) -> list[Rule]:
    return [
        Rule("ingress", "tcp", 22, 22, cidr, f"IPv{ipaddress.ip_network(cidr).version}")
        for cidr in dict.fromkeys(cidrs)
    ]
