"""What is asked of Consul on a host, and how the answers read.

Owned here: the scripts and their parsing. Left to others: what must hold (checks/consul.py), when it is asked
(cluster.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from components.host_scripts.shell import body
from operations.remote_hosts import SCRIPTS

_IN_CONSUL = body("facts_in_consul", SCRIPTS)
LOOK = f"{_IN_CONSUL}\n{body('facts_consul', SCRIPTS)}"
"""Shell text for any host, behind that of the host's own facts."""
RIGHTS = body("facts_consul_rights", SCRIPTS)
"""Shell text for a manager, behind `LOOK`."""
HEALTH = f"{_IN_CONSUL}\n{body('facts_consul_health', SCRIPTS)}"
"""Shell text for a manager, instead of both: whether its server is well."""


@dataclass(frozen=True)
class ConsulFacts:
    """Consul as a host has it; empty values are what could not be found out.

    Attributes:
        healthy: its member says that it is.
        certificates: until when its certificates last (`consul-member certificates`).
        members: status (`alive`, `left`, `failed`) by host name, servers and agents.
        servers: `leader` or `follower` by host name, of those that have a vote.
        resolves: the host's own resolver finds Consul.
        named: addresses that the host's resolver has for db.service.consul.
        rights: whether a read is `allowed` or `denied`, by whose and where; asked for only on managers.
    """

    healthy: bool = False
    certificates: str = ""
    members: Mapping[str, str] = field(default_factory=dict)
    servers: Mapping[str, str] = field(default_factory=dict)
    resolves: bool = False
    named: frozenset[str] = frozenset()
    rights: Mapping[str, str] = field(default_factory=dict)


def parse(found: Mapping[str, Sequence[str]]) -> ConsulFacts:
    """Facts from the lines, by their names."""
    told = [line.split() for line in found.get("consul", ())]
    # "member NAME ADDRESS STATUS TYPE …", "server NAME ID ADDRESS STATE VOTER …", each below its headings;
    # errors have no address there.
    members = [row for row in told if row[:1] == ["member"] and len(row) > 4 and ":" in row[2]]
    servers = [row for row in told if row[:1] == ["server"] and len(row) > 5 and ":" in row[3]]
    return ConsulFacts(
        healthy=["healthy"] in told,
        certificates=next((" ".join(row[1:]) for row in told if row[:1] == ["certificates"]), ""),
        members={row[1]: row[3] for row in members},
        servers={row[1]: row[4] for row in servers if row[5] == "true"},
        resolves=bool(found.get("resolves")),
        named=frozenset(found.get("named", ())),
        rights=dict(line.split(" ", 1) for line in found.get("right", ()) if " " in line),
    )
