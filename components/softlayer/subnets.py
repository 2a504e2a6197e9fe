"""The account's own networks, against the overlay network that a stack wants, before anything is ordered.

Owns: one question to the API. Leaves to others: what else a host routes (components/host_scripts/host.py).
"""

from __future__ import annotations

import ipaddress

from components.softlayer.client import Api
from components.softlayer.errors import SettingInvalid, explaining

MASK = "mask[id,networkIdentifier,cidr,addressSpace,datacenter[name]]"


def refuse_overlap(api: Api, subnet: str) -> None:
    """Refuse an overlay `subnet` that shares addresses with any subnet of the account, private or public.

    New hosts may be placed in any of them, and with VLAN spanning each reaches all others.

    Raises:
        SettingInvalid: names the subnet and its datacenter; nothing has been ordered.
        SoftLayerFailed: the API cannot be asked.
    """
    overlay = ipaddress.ip_network(subnet)
    with explaining("looking at the account's subnets", left="Nothing has been ordered."):
        rows = api.list("getSubnets", mask=MASK)
    for row in rows:
        if "networkIdentifier" not in row:
            continue
        taken = ipaddress.ip_network(f"{row['networkIdentifier']}/{row['cidr']}", strict=False)
        if overlay.version == taken.version and overlay.overlaps(taken):
            kind = "private" if row.get("addressSpace") == "PRIVATE" else "public"
            place = (row.get("datacenter") or {}).get("name", "an unknown datacenter")
            raise SettingInvalid(
                "swarm-galera:network.subnet",
                f"{subnet} overlaps {taken}, a {kind} network of the account's hosts in {place}, so "
                "containers and hosts would not find one another; nothing was ordered",
                "set it to a private network that the account does not use, like 172.30.0.0/24",
            )
