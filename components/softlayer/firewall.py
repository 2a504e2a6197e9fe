"""The rules of the hosts' security groups, as data.

Owns: the rules, and that they are no more than a group takes.
Leaves to others: which ports are open (components/swarm_ports.py), the groups that hold the rules.
Source of the limits: IBM's documentation of security groups ("Performance limitations").
"""

from __future__ import annotations

import ipaddress
import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

Direction = Literal["ingress", "egress"]

MAX_RULES = 50
MAX_REMOTE_RULES = 5
"""What SoftLayer takes for one group: rules in all, and rules whose source is a group, itself included."""

SSH_PORTS = (22,)
"""What operators may reach on the hosts."""
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


def private_rules(
    ssh_from: Iterable[str] = (),
    ports: Iterable[tuple[str, int]] | None = None,
    others: Iterable[str] = (),
    reached: Sequence[int] = SSH_PORTS,
) -> list[Rule]:
    """Rules of the private side.

    Args:
        ssh_from: CIDRs that may reach SSH on the private addresses.
        reached: the TCP ports that these may reach, SSH's the first.
        ports: protocol and number of what hosts of the group open to one another; None for any protocol,
            which lets the ESP of an encrypted overlay through: the API has no protocol of that name.
        others: addresses of hosts that can be in no group, because they are not ordered: they get the same.
    """
    known = None if ports is None else list(ports)
    own = [rule for source in (SELF, *(f"{each}/32" for each in others)) for rule in _between(known, source)]
    return own + _operators(ssh_from, reached) + egress()


def _between(ports: list[tuple[str, int]] | None, source: str) -> list[Rule]:
    """What hosts of the cluster open to `source`."""
    if ports is None:
        return [Rule("ingress", source=source)]
    own = [Rule("ingress", protocol, first, last, source) for protocol, first, last in _ranges(ports)]
    return [*own, Rule("ingress", "icmp", source=source)]


def _ranges(ports: Iterable[tuple[str, int]]) -> list[tuple[str, int, int]]:
    """Protocol, first and last port: each one by itself as long as a group takes that many and ICMP, else the
    nearest are joined, with what lies between them.
    """
    ranges = [(protocol, port, port) for protocol, port in ports]
    while len(ranges) >= MAX_REMOTE_RULES:
        one, other = min(
            (pair for pair in itertools.combinations(ranges, 2) if pair[0][0] == pair[1][0]),
            key=lambda pair: max(pair[0][1], pair[1][1]) - min(pair[0][2], pair[1][2]),
        )
        ranges[ranges.index(one)] = (one[0], min(one[1], other[1]), max(one[2], other[2]))
        ranges.remove(other)
    return ranges


def public_rules(
    ssh_from: Iterable[str] = (), published: Sequence[int] = (), reached: Sequence[int] = SSH_PORTS
) -> list[Rule]:
    """Rules of the public side: what operators reach from the given CIDRs only, the published TCP ports from
    anywhere.
    """
    return (
        _operators(ssh_from, reached) + [Rule("ingress", "tcp", port, port) for port in published] + egress()
    )


def _operators(cidrs: Iterable[str], ports: Sequence[int]) -> list[Rule]:
    return [
        Rule("ingress", "tcp", port, port, cidr, f"IPv{ipaddress.ip_network(cidr).version}")
        for port in ports
        for cidr in dict.fromkeys(cidrs)
    ]
