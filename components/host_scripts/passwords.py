"""The wait until the database's own accounts have the passwords that count, and no other.

Owns: that wait on a manager. Leaves to others: setting them, which the nodes do once all of them have the
same secrets (images/galera, `accounts`).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence

from components.host_scripts.account import stored
from components.host_scripts.shell import assign, body

PATIENCE = 600
"""Seconds. The nodes wait a minute for a member that is away, before they act without it."""

OVERLAP = "*THEFORMERPASSWORDCOUNTSASWELLFORALITTLEX"
"""In an account whose former password counts as well; as in images/galera."""


def count(service: str) -> str:
    """Shell text for a manager with a node. Standard input: `lines`."""
    return f"{assign(service=service, patience=PATIENCE, overlap=OVERLAP)}\n{_COUNT}"


_COUNT = body("passwords")


def lines(passwords: Mapping[str, Sequence[str]], database: str, subnet: str) -> str:
    """What `count` compares with: of each account the stored forms of its passwords. Keep it secret.

    Args:
        passwords: by user, `app` for the one that is called like the database.
        database: its name. subnet: of the overlay network, from which root may come.
    """
    network = ipaddress.ip_network(subnet)
    accounts = (
        ("root", "localhost", "root"),
        ("root", f"{network.network_address}/{network.netmask}", "root"),
        ("monitor", "%", "monitor"),
        (database, "%", "app"),
    )
    return "".join(
        f"{user} {host} {' '.join(stored(each) for each in passwords[whose])}\n"
        for user, host, whose in accounts
    )
