"""What a host must be before anything is installed: itself, reachable, free of the overlay's subnet.

Owns: the host's name, sshd's limits, whom it asks for names, its words for who logs in, the check of the
hosts' networks against the overlay's.
Leaves to others: packages, disk, engine.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from components.host_scripts.shell import assign, body, words

AGENT_NOTE = "# Written by swarm-galera: Consul on this host is asked first (discovery.kind)."
"""The line of resolv.conf before Consul's."""
AGENT_WITHIN = 60
"""Seconds for Consul to answer the host's questions."""


@dataclass(frozen=True)
class Places:
    """Where things are on the host; other values are for tests."""

    resolv_conf: str = "/etc/resolv.conf"
    resolved_dropin: str = "/etc/systemd/resolved.conf.d/10-swarm-galera.conf"
    agent_dropin: str = "/etc/systemd/resolved.conf.d/20-swarm-galera-consul.conf"
    motd: str = "/etc/motd.d/swarm-galera"
    leases: str = "/var/lib/dhcp"
    hooks: str = "/etc/dhcp"


def name_and_limits(
    hostname: str,
    sshd_dropin: str = "/etc/ssh/sshd_config.d/10-swarm-galera.conf",
    kernel_hostname: str = "/proc/sys/kernel/hostname",
) -> str:
    """Shell text that gives the host its short name and lets sshd serve many sessions at a time.

    The swarm, etcd and Galera know a host by this name, and some of SoftLayer's images set the full one.
    Every Docker resource of the stack opens SSH sessions on a manager, more than sshd's default of
    ten unauthenticated ones.
    """
    limits = "# Written by swarm-galera: its Docker resources connect side by side.\nMaxStartups 100:30:300\n"
    limits += "MaxSessions 100"
    variables = assign(
        hostname=hostname, sshd_dropin=sshd_dropin, limits=limits, kernel_hostname=kernel_hostname
    )
    return f"\n{variables}\n{body('host_name')}\n"


def resolver(
    hostname: str, resolvers: Sequence[str], search: Sequence[str], places: Places | None = None
) -> str:
    """Shell text that has the host ask these DNS servers and look for short names in these domains.

    What is not given stays as the host has it. A host with systemd-resolved gets a drop-in, one with a plain
    resolv.conf that file, and the former one is kept beside it; where another program writes it, it fails.
    """
    variables = assign(hostname=hostname, resolvers=list(resolvers), search=" ".join(search))
    return f"{_resolver_places(places)}\n{variables}\n{_agent(places)}\n{body('host_resolver')}"


def resolver_gone(places: Places | None = None) -> str:
    """Shell text that takes back what `resolver` did."""
    return f"{_resolver_places(places)}\n{_agent(places)}\n{body('host_resolver_gone')}"


def agent_first(
    hostname: str,
    search: Sequence[str],
    resolvers: Sequence[str],
    places: Places | None = None,
    *,
    own: bool = False,
) -> str:
    """Shell text that has the host ask Consul on its own loopback first, then the servers that it asks now.

    Of a plain resolv.conf nothing but one line changes, so whoever else has a hand in the file keeps it:
    `resolver` too, before or after this. A host with systemd-resolved gets a drop-in that counts instead of
    that of `resolver`; after Consul it asks the interfaces' servers. Where another program writes resolv.conf
    and does not name Consul first, it fails. Waits until Consul answers.

    Args:
        search: domains in which the host looks for short names (`hosts.searchDomains`).
        resolvers: `hosts.resolvers`; they stand in the same file, so this runs again when they change.
        own: the host was not ordered: dhclient may write the file. Ordered ones have fixed addresses.
    """
    at = places or Places()
    variables = assign(
        hostname=hostname,
        agent_dropin=at.agent_dropin,
        search=" ".join(search),
        resolvers=list(resolvers),
        patience=AGENT_WITHIN,
    )
    refused = f"{assign(leases=at.leases, hooks=at.hooks)}\n{body('host_dhclient')}\n" if own else ""
    return f"{_agent(places)}\n{variables}\n{refused}{body('host_agent_first')}"


def agent_gone(places: Places | None = None) -> str:
    """Shell text that takes back what `agent_first` did."""
    at = places or Places()
    return f"{_agent(places)}\n{assign(agent_dropin=at.agent_dropin)}\n{body('host_agent_gone')}"


def _agent(places: Places | None) -> str:
    at = places or Places()
    return f"{assign(resolv_conf=at.resolv_conf, agent_note=AGENT_NOTE)}\n{body('host_agent')}"


def _resolver_places(places: Places | None) -> str:
    at = places or Places()
    former = f"{at.resolv_conf}.before-swarm-galera"
    return assign(resolv_conf=at.resolv_conf, former=former, dropin=at.resolved_dropin)


def motd(text: str, places: Places | None = None) -> str:
    """Shell text that shows `text` to whoever logs in, after the system's own words."""
    variables = assign(motd_file=(places or Places()).motd, motd=text.rstrip("\n"))
    return f"{variables}\n{body('host_motd')}"


def motd_gone(places: Places | None = None) -> str:
    """Shell text that takes back what `motd` did."""
    return f"rm -f {words([(places or Places()).motd])}"


def refuse_overlap(subnet: str, hostname: str) -> str:
    """Shell text that fails when the host itself is in the overlay's subnet, or routes part of it elsewhere.

    Containers would then reach the overlay instead of the host's neighbours. Wide routes through a gateway
    do not count: SoftLayer's hosts route the whole of 10.0.0.0/8 to the private network, and an overlay may
    well be a corner of it that the account does not use. The engine's own networks do not count either:
    they may be this very overlay on a second run.
    """
    network = ipaddress.IPv4Network(subnet)
    bounds = assign(
        first=int(network.network_address),
        last=int(network.broadcast_address),
        overlay_length=network.prefixlen,
    )
    variables = assign(subnet=subnet, hostname=hostname)
    return f"\n{variables}\n{bounds.replace(chr(10), ' ')}\n{body('host_overlap')}\n"


def refuse_engine_overlap(networks: Mapping[str, str], hostname: str) -> str:
    """Shell text of a function `refuse_engine_overlap`, which fails when the host routes a network that its
    engine would take. Which routes count is as for the overlay's subnet.

    Args:
        networks: to the setting that moves them.
    """
    taken = [(ipaddress.IPv4Network(network), setting) for network, setting in networks.items()]
    lines = words(
        f"{network}={int(network.network_address)}={int(network.broadcast_address)}={setting}"
        for network, setting in taken
    )
    return body("host_engine_overlap", hostname=words([hostname]), taken=lines)
