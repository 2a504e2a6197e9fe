"""What a host of the cluster says of itself, as facts, and what clients of the database are told to do there.

Owned here: how the answers read, and the clients' scripts. Left to others: what hosts are asked
(host_looks.py), what must hold (checks/cluster.py and checks/galera.py).
"""

from __future__ import annotations

import json
import re
import shlex
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from components.host_scripts.disk import MOUNT_POINT
from components.host_scripts.shell import assign, body
from operations.facts import consul as consul_facts
from operations.facts import rotation as rotation_facts
from operations.facts.consul import ConsulFacts
from operations.facts.rotation import RotationFacts
from operations.outputs import Outputs
from operations.remote_hosts import SCRIPTS


@dataclass(frozen=True)
class Manager:
    """A node with a vote: its id, its host's name, and `Leader`, `Reachable` or `Unreachable`.

    A host that was replaced may be here twice under one name, and both votes count.
    """

    node: str
    name: str
    status: str


@dataclass(frozen=True)
class Space:
    """A file system, in bytes; 0 is what could not be found out.

    Attributes:
        size, free: of all of it.
        unallocated: what btrfs has given to neither data nor metadata; None for other file systems.
        metadata, metadata_used: what btrfs has given to metadata, and what of it is in use.
        reserve: whether the file is there that may be deleted when nothing else can.
    """

    size: int = 0
    free: int = 0
    unallocated: int | None = None
    metadata: int = 0
    metadata_used: int = 0
    reserve: bool = False


@dataclass(frozen=True)
class HostFacts:
    """One host as it is; empty values are what could not be found out.

    Attributes:
        mount: source and type of what is mounted at /var/lib/docker.
        volume: volume group and logical volume behind it.
        engine: the engine's unit as systemd has it: active, activating, failed, inactive.
        kept: the engine was there before the program, which uses it as it is.
        driver, swarm: the engine's storage driver; the swarm's state on this host.
        node: the id under which the swarm knows this host.
        managers: of every node with a vote, as this host sees them. Before a run one manager is asked, and
            all others if it does not say (around_run/care.py); so with `paused` and `node_status`.
        paused: hosts on which the engines start no containers.
        network_options: names of the overlay's options. ipsec_peers: addresses there are IPsec states to.
        swarm_error: the engine's word on that, often none.
        autolock: `true` or `false`, as a manager says; asked only where the stack has autolock.
        unlock_digest: SHA-256 of the swarm's unlock key, likewise.
        ghosts: containers that the engine lists as running though they have ended, or besides another one of
            the same service, if that has one on each host.
        images: content of what each service runs here, by the service's name.
        volumes: names of the engine's volumes; asked for only where no database has them.
        space: of /var/lib/docker. system: of the system's disk. beside: of
            what the engine's data shares with others, where it has no disk of its own.
        galera: `STATUS`, `VARIABLES` and `NOT_REPLICATED`.
        node_status: what `galera-node status --json` says.
        etcd_healthy: a read that needs a majority came through. etcd_members: how many there are.
        etcd_clients: whom the member lets in (`etcd-member clients`).
        etcd_cluster: the cluster's id. etcd_content: what the member says of its content at some revisions,
            a hash, and the revision from which on it counts.
        error: why the host could not be asked at all.
    """

    mount: tuple[str, ...] = ()
    volume: str = ""
    engine: str = ""
    kept: bool = False
    driver: str = ""
    swarm: str = ""
    swarm_error: str = ""
    autolock: str = ""
    unlock_digest: str = ""
    node: str = ""
    ghosts: tuple[str, ...] = ()
    images: Mapping[str, str] = field(default_factory=dict)
    volumes: frozenset[str] = frozenset()
    space: Space = Space()
    system: Space = Space()
    beside: Space = Space()
    managers: tuple[Manager, ...] = ()
    paused: tuple[str, ...] = ()
    network_options: frozenset[str] = frozenset()
    ipsec_peers: frozenset[str] = frozenset()
    galera: Mapping[str, str] = field(default_factory=dict)
    node_status: Mapping[str, Any] = field(default_factory=dict)
    etcd_healthy: bool = False
    etcd_members: int = 0
    etcd_clients: str = ""
    etcd_cluster: str = ""
    etcd_content: Mapping[int, tuple[int, int]] = field(default_factory=dict)
    consul: ConsulFacts = field(default_factory=ConsulFacts)
    rotation: RotationFacts = field(default_factory=RotationFacts)
    error: str = ""

    @property
    def store_healthy(self) -> bool:
        """Of whichever store there is."""
        return self.etcd_healthy or (self.consul.healthy and bool(self.consul.servers))


def parse(text: str, error: str = "") -> HostFacts:
    """Facts from what `look` printed; `error` of a host that could not be asked."""
    if error:
        return HostFacts(error=error)
    found: dict[str, list[str]] = defaultdict(list)
    for line in text.splitlines():
        name, _, value = line.partition("\t")
        found[name].append(value.strip())
    members: dict[str, Any] = next((json.loads(line) for line in found["etcd"] if line.startswith("{")), {})
    return HostFacts(
        mount=tuple(_first(found["mount"]).split()),
        volume=_first(found["volume"]),
        engine=_first(found["engine"]),
        kept=bool(_first(found["kept"])),
        driver=_first(found["driver"]),
        swarm=_first(found["swarm"]),
        swarm_error=_first(found["trouble"]),
        autolock=_first(found["autolock"]),
        unlock_digest=_first(found["unlock_digest"]),
        node=_first(found["node"]),
        ghosts=tuple(found["ghost"]),
        images=dict(line.split(" ", 1) for line in found["image"] if " " in line),
        volumes=frozenset(found["stored"]),
        space=_space(MOUNT_POINT, found),
        beside=_beside(found),
        system=_space("/", found),
        managers=tuple(
            Manager(*fields[:3])
            for line in found["manager"]
            if len(fields := line.split("=")) in (3, 4) and fields[2]
        ),
        paused=tuple(line.split("=")[1] for line in found["manager"] if line.endswith(("=Pause", "=Drain"))),
        network_options=frozenset(option for option in found["option"] if option),
        ipsec_peers=frozenset(found["ipsec"]),
        galera=dict(line.split("\t", 1) for line in found["galera"] if "\t" in line),
        node_status=json_object("\n".join(found["status"])),
        etcd_healthy="healthy" in found["etcd"],
        etcd_members=len(members.get("members", [])),
        etcd_clients=_first([line[8:].strip() for line in found["etcd"] if line.startswith("clients ")]),
        etcd_cluster=str(members.get("header", {}).get("cluster_id", "")),
        etcd_content=dict(map(_content, found["content"])),
        consul=consul_facts.parse(found),
        rotation=rotation_facts.parse(found),
    )


def _content(line: str) -> tuple[int, tuple[int, int]]:
    """A revision, and what `etcdctl endpoint hashkv` says of it."""
    revision, _, said = line.partition(" ")
    (member,) = json.loads(said)
    content = member["HashKV"]
    return int(revision), (int(content["hash"]), int(content.get("compact_revision", 0)))


def _space(target: str, found: Mapping[str, Sequence[str]]) -> Space:
    """A file system from what df and btrfs printed."""
    rows = [line.split() for line in found["space"]]
    size, free = next(((int(row[1]), int(row[2])) for row in rows if row[0] == target), (0, 0))
    if target != MOUNT_POINT:
        return Space(size, free)
    report = "\n".join(found["btrfs"])
    unallocated = re.search(r"Device unallocated:\s+(\d+)", report)
    metadata = re.search(r"^Metadata,\w+: Size:(\d+), Used:(\d+)", report, re.MULTILINE)
    return Space(
        size,
        free,
        int(unallocated[1]) if unallocated else None,
        int(metadata[1]) if metadata else 0,
        int(metadata[2]) if metadata else 0,
        bool(found["reserve"]),
    )


def _beside(found: Mapping[str, Sequence[str]]) -> Space:
    """The file system that the engine's data shares with others: df was asked for it after that of /."""
    rows = [row for line in found["space"] if (row := line.split()) and row[1].isdigit()]
    if not rows or any(row[0] == MOUNT_POINT for row in rows):
        return Space()
    return Space(int(rows[-1][1]), int(rows[-1][2]))


def told_by_store(facts: Iterable[HostFacts]) -> Mapping[str, Any]:
    """The status of the first of these nodes whose store answers it; nothing if none does."""
    return next((each.node_status for each in facts if each.node_status.get("cluster")), {})


def json_object(text: str) -> dict[str, Any]:
    """A JSON object; empty for anything else, such as the words of an image that has no such command."""
    try:
        told = json.loads(text)
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}


def _first(lines: Sequence[str]) -> str:
    return lines[0] if lines else ""


def write_row(outputs: Outputs, table: str) -> str:
    """Shell text for a manager: a client in a container of its own writes a row through the virtual IP.

    A client of its own, because a node can't always reach the virtual IP of the service it belongs to.
    Standard input: the password.
    """
    sql = f"CREATE TABLE `{table}` (id INT PRIMARY KEY) ENGINE=InnoDB; INSERT INTO `{table}` VALUES (1);"
    return (
        f"{client_container(outputs, outputs.network, outputs.vip, outputs.port)}\n{assign(sql=sql)}\n{_ROW}"
    )


_ROW = body("row_client", SCRIPTS)


def client_container(outputs: Outputs, network: str, host: str = "", port: int = 0) -> str:
    """Shell text that defines `in_client` for what follows. Standard input: the password.

    Args:
        network: of the engine's, that the client is on.
        host, port: to connect to, unless what runs in the container sets these variables itself.
    """
    facts = assign(
        service=outputs.service,
        network=network,
        database=outputs.database,
        host=host,
        port=port,
        ca=outputs.authority,
    )
    return f"{facts}\n{_CLIENT_CONTAINER}"


_CLIENT_CONTAINER = body("client_container", SCRIPTS)


def read_row(outputs: Outputs, table: str) -> str:
    """Shell text for a node's host: prints the row's id, read on this node after all that came before it, and
    the node's position then.
    """
    query = f"SET SESSION wsrep_sync_wait = 1; SELECT id FROM `{outputs.database}`.`{table}`; "
    query += "SHOW GLOBAL STATUS LIKE 'wsrep_last_committed'"
    return _on_node(outputs, query)


def drop_table(outputs: Outputs, table: str) -> str:
    """Shell text for any node's host: takes the table away again, everywhere."""
    query = f"SET SESSION lock_wait_timeout = 20; DROP TABLE IF EXISTS `{outputs.database}`.`{table}`"
    return _on_node(outputs, query)


def keep_dropped(outputs: Outputs) -> str:
    """Shell text for a node's host: what was dropped before is not there again, should its power go now.

    MariaDB has a table's end on disk at once, but for the file that names it (.frm): the file system notes
    its removal later, btrfs within 30 s. After a power cut this one node would have a table without rows.
    """
    query = "SET SESSION wsrep_sync_wait = 1; SELECT 1"
    return _on_node(outputs, query, f"sh -c '{_CLIENT} && sync -f /var/lib/mysql'")


FIND_CONTAINER = body("find_container", SCRIPTS)
"""Shell text: `container` becomes the one of `service` that runs on this host."""


def client(outputs: Outputs, command: Sequence[str]) -> str:
    """Shell text for a node's host: a client of its database for a long talk, errors among the answers."""
    return f"""
{assign(service=outputs.service, client=f"exec {shlex.join(command)} 2>&1")}
{FIND_CONTAINER}
exec docker exec -u 0 -i "$container" bash -c "$client"
"""


_CLIENT = "mariadb --skip-ssl -NB"


def _on_node(outputs: Outputs, query: str, command: str = _CLIENT) -> str:
    """Shell text for a node's host: `command` in its container, which gets the query."""
    return f"""
{assign(service=outputs.service, query=query)}
{FIND_CONTAINER}
docker exec -u 0 -i "$container" {command} <<<"$query"
"""
