"""What must hold of Consul: facts in, checks out.

Owned here: the checks, each with what was wanted and what was found. Left to others: gathering the facts
(facts/consul.py), etcd (cluster.py).
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator, Mapping

from operations.checks.check import Check
from operations.checks.tls import RENEWED, SOON
from operations.facts.cluster import HostFacts
from operations.facts.consul import ConsulFacts
from operations.outputs import Outputs

AT_MOST = 3
"""Addresses that Consul names in one answer; of more it names some, others each time."""
RIGHTS = {
    "nobody": ("without a token nobody reads the records", "denied"),
    "consumer": ("the consumers' token does not read the records", "denied"),
    "galera": ("the nodes' token reads the records", "allowed"),
    "galera-elsewhere": ("the nodes' token reads nothing else", "denied"),
}
"""What each token may, in words, and what is the answer then."""
SET_AGAIN = (
    "the server that leads makes policies and tokens every five minutes, and whenever one comes to lead: "
    "docker service logs consul says what kept it from that; docker kill of its container has another one "
    "lead, at once"
)
NO_DNS = (
    "see the first nameserver of /etc/resolv.conf on that host (127.0.0.1), docker service logs consul, and "
    "who has the port: ss -lnup 'sport = :53'. If somebody has written the file anew (a DHCP client at the "
    "last boot, for one): have that program name 127.0.0.1 first. A plain `up` sees no change there; `pulumi "
    "up --replace '**consul-asked-{name}'` puts the line there once more"
)
NOT_SYNCED = (
    "a node registers itself, and is passing only while it serves: `galera-node status` and docker service "
    "logs galera on its host say what it makes of itself"
)
SEATS = (
    "one too few: docker service logs consul says what keeps it from voting. One too many: a server that is "
    "gone still counts; in a server's container: consul-member forget NAME, or, if it is unknown there, "
    "consul operator raft list-peers, then remove-peer -id=ID, each with "
    "-token-file=/run/secrets/consul-management-token"
)
NEWER_IMAGE = "name the present image (discovery.image), then `up`: its `consul-member certificates` says it"
OLD_RECORDS = (
    "records of before the change to Consul; a later change back would find them again. Remove them: docker "
    "volume rm etcd-data on that host"
)


def of_consul(outputs: Outputs, facts: Mapping[str, HostFacts]) -> list[Check]:
    """A member on each host, with certificates that last, servers with one leader, names that lead to who
    serves, tokens with no more rights than needed.
    """
    today = dt.datetime.now(dt.UTC).date()
    return [
        *_members(outputs, facts),
        *(_certificates(host.name, facts[host.name].consul, today) for host in outputs.hosts),
        _servers(outputs, facts),
        *_resolvers(outputs, facts),
        _database(outputs, facts),
        *_rights(outputs, facts),
        *_old_records(outputs, facts),
    ]


def _members(outputs: Outputs, facts: Mapping[str, HostFacts]) -> Iterator[Check]:
    names = {host.name for host in outputs.hosts}
    for host in outputs.hosts:
        seen = facts[host.name].consul
        alive = {name for name, status in seen.members.items() if status == "alive"}
        others = [f"{name} {status}" for name, status in sorted(seen.members.items()) if status != "alive"]
        missing = [f"{name} unknown" for name in sorted(names - seen.members.keys())]
        found = ", ".join([f"{len(alive)} alive", *others, *missing])
        yield Check(
            host.name,
            f"consul healthy, {len(names)} members alive",
            # Who has left is listed for some days, and does no harm.
            seen.healthy and alive == names,
            f"{'healthy' if seen.healthy else 'not healthy'}, {found}" if seen.members else "no answer",
        )


def _certificates(name: str, seen: ConsulFacts, today: dt.date) -> Check:
    """Expired, they let nobody in, and members that were changed one by one would be parted from the rest."""
    what = f"Consul's certificates are good for {SOON} days"
    told = seen.certificates
    if seen.members and not told:
        return Check(name, what, True, "an older image, which does not say", warns=True, remedy=NEWER_IMAGE)
    found = re.fullmatch(r"until (\d{4}-\d\d-\d\d)", told)
    days = (dt.date.fromisoformat(found[1]) - today).days if found else -1
    return Check(
        name,
        what,
        days >= SOON,
        f"{days} days, {told}" if found else told or "no answer",
        warns=days < RENEWED,
        remedy="`up` renews them; members take them one by one" if days < RENEWED else "",
    )


def _servers(outputs: Outputs, facts: Mapping[str, HostFacts]) -> Check:
    views = {host.name: facts[host.name].consul.servers for host in outputs.managers}
    seen = next((servers for servers in views.values() if servers), {})
    leaders = {name for servers in views.values() for name, state in servers.items() if state == "leader"}
    unlike = [name for name, servers in views.items() if set(servers) != set(seen)]
    wanted = set(outputs.store_servers)
    found = f"{', '.join(sorted(seen)) or 'none'}; leader {' and '.join(sorted(leaders)) or 'none'}"
    ok = set(seen) == wanted and len(leaders) == 1 and not unlike
    return Check(
        "cluster",
        f"{len(wanted)} servers of consul vote, one of them leads",
        ok,
        found + (f"; seen otherwise by {', '.join(unlike)}" if unlike else ""),
        remedy="" if ok else SEATS,
    )


def _resolvers(outputs: Outputs, facts: Mapping[str, HostFacts]) -> Iterator[Check]:
    for host in outputs.hosts:
        seen = facts[host.name].consul
        yield Check(
            host.name,
            "the host asks Consul for names",
            seen.resolves,
            "consul.service.consul is found" if seen.resolves else "consul.service.consul is not found",
            remedy="" if seen.resolves else NO_DNS.format(name=host.name),
        )


def _database(outputs: Outputs, facts: Mapping[str, HostFacts]) -> Check:
    """On no host a node that does not serve, and every one that does, as far as one answer names them all."""
    address = {host.name: host.private_ip for host in outputs.hosts}
    synced = {
        address[name]
        for name in outputs.members
        if facts[name].galera.get("wsrep_local_state_comment") in ("Synced", "Donor/Desynced")
    }
    names = {ip: name for name, ip in address.items()}
    answers = {
        host.name: facts[host.name].consul.named for host in outputs.hosts if not facts[host.name].error
    }
    few = min(len(synced), AT_MOST)
    wrong = {
        name: ", ".join(sorted(names.get(ip, ip) for ip in named)) or "nobody"
        for name, named in answers.items()
        if not named <= synced or len(named) < few
    }
    serving = ", ".join(sorted(names[ip] for ip in synced)) or "no node"
    told = "; ".join(f"{found} on {name}" for name, found in wrong.items())
    return Check(
        "cluster",
        "db.service.consul names the Synced nodes and no other",
        bool(synced) and bool(answers) and not wrong,
        f"{told}; Synced: {serving}" if wrong else serving,
        remedy=NOT_SYNCED if wrong else "",
    )


def _rights(outputs: Outputs, facts: Mapping[str, HostFacts]) -> Iterator[Check]:
    asked = next(
        (facts[host.name].consul.rights for host in outputs.managers if facts[host.name].consul.rights), {}
    )
    for key, (what, wanted) in RIGHTS.items():
        found = asked.get(key, "not asked")
        yield Check("cluster", what, found == wanted, found, remedy="" if found == wanted else SET_AGAIN)


def _old_records(outputs: Outputs, facts: Mapping[str, HostFacts]) -> Iterator[Check]:
    for host in outputs.hosts:
        if "etcd-data" in facts[host.name].volumes:
            what = "no records of a former store"
            yield Check(host.name, what, ok=True, found="etcd-data", warns=True, remedy=OLD_RECORDS)
