"""What is asked on a host of the cluster, in one SSH session, and how the answers read.

Owned here: the scripts and their parsing. Left to others: what must hold (cluster_checks.py).
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from components.commands.disk import MOUNT_POINT
from components.commands.shell import assign
from operations.outputs import Outputs

STATUS = (
    "wsrep_local_state_comment",
    "wsrep_cluster_size",
    "wsrep_cluster_state_uuid",
    "wsrep_cluster_status",
    "wsrep_connected",
    "wsrep_ready",
)


@dataclass(frozen=True)
class Manager:
    """A node with a vote: its id, its host's name, and `Leader`, `Reachable` or `Unreachable`.

    A host that was replaced may be here twice under one name, and both votes count.
    """

    node: str
    name: str
    status: str


@dataclass(frozen=True)
class HostFacts:
    """One host as it is; empty values are what could not be found out.

    Attributes:
        mount: source and type of what is mounted at /var/lib/docker.
        volume: volume group and logical volume behind it.
        driver, swarm: the engine's storage driver; the swarm's state on this host.
        node: the id under which the swarm knows this host.
        managers: of every node with a vote, as this host sees them.
        network_options: names of the overlay's options. ipsec_peers: addresses there are IPsec states to.
        galera: `STATUS` variables.
        etcd_healthy: a read that needs a majority came through. etcd_members: how many there are.
        etcd_cluster: the cluster's id.
        error: why the host could not be asked at all.
    """

    mount: tuple[str, ...] = ()
    volume: str = ""
    driver: str = ""
    swarm: str = ""
    node: str = ""
    managers: tuple[Manager, ...] = ()
    network_options: frozenset[str] = frozenset()
    ipsec_peers: frozenset[str] = frozenset()
    galera: Mapping[str, str] = field(default_factory=dict)
    etcd_healthy: bool = False
    etcd_members: int = 0
    etcd_cluster: str = ""
    error: str = ""


def look(outputs: Outputs, manager: bool, member: bool) -> str:
    """Shell text that prints a host's facts as lines `name<TAB>value`; a part that fails prints nothing."""
    quoted = ", ".join(f"'{name}'" for name in STATUS)
    parts = [
        assign(
            mount=MOUNT_POINT,
            network=outputs.network,
            service=outputs.service,
            store=outputs.store,
            query=f"SHOW GLOBAL STATUS WHERE Variable_name IN ({quoted})",
        ),
        _HOST,
    ]
    if manager:
        parts += [_MANAGER, _STORE]
    if member:
        parts.append(_GALERA)
    # What could not be found out is missing from the answer; it is no reason to lose the rest.
    return "\n".join([*parts, ":"])


_HOST = r"""
set +e
tell() { local name=$1 line; while IFS= read -r line; do printf '%s\t%s\n' "$name" "$line"; done; }
read -r source type < <(findmnt -n -o SOURCE,FSTYPE --mountpoint "$mount")
if [[ $source ]]; then
  printf 'mount\t%s %s\n' "$source" "$type"
  device=${source%%\[*}
  # Mounted by UUID at boot, the kernel's own name is what findmnt knows; LVM knows only the mapper's.
  if [[ $device == /dev/dm-* ]]; then device=/dev/mapper/$(<"/sys/block/${device#/dev/}/dm/name"); fi
  lvs --noheadings --separator / -o vg_name,lv_name "$device" | tell volume
fi
IFS='|' read -r driver swarm node < <(
  docker info --format '{{.Driver}}|{{.Swarm.LocalNodeState}}|{{.Swarm.NodeID}}')
printf 'driver\t%s\nswarm\t%s\nnode\t%s\n' "$driver" "$swarm" "$node"
options='{{range $name, $value := .Options}}{{println $name}}{{end}}'
docker network inspect --format "$options" "$network" | tell option
while read -r word _ _ destination _; do
  [[ $word != src ]] || printf 'ipsec\t%s\n' "$destination"
done < <(ip xfrm state)
declare -A container=()
while read -r id name; do [[ ! $name ]] || container[$name]=$id; done < <(
  docker ps -f status=running --format '{{.ID}} {{.Label "com.docker.swarm.service.name"}}')
""".strip()

_MANAGER = r"""
docker node ls --format '{{.ID}}={{.Hostname}}={{.ManagerStatus}}' | tell manager
""".strip()

_STORE = r"""
[[ ! ${container[$store]:-} ]] || docker exec -e ETCDCTL_API=3 "${container[$store]}" sh -c '
  at="--endpoints=http://127.0.0.1:2379 --command-timeout=10s"
  etcdctl $at endpoint health >/dev/null 2>&1 && echo healthy
  etcdctl $at member list -w json' | tell etcd
""".strip()

_GALERA = r"""
[[ ! ${container[$service]:-} ]] || docker exec -u 0 -i "${container[$service]}" mariadb -NB <<<"$query" \
  | tell galera
""".strip()


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
        driver=_first(found["driver"]),
        swarm=_first(found["swarm"]),
        node=_first(found["node"]),
        managers=tuple(
            Manager(*fields) for line in found["manager"] if len(fields := line.split("=")) == 3 and fields[2]
        ),
        network_options=frozenset(option for option in found["option"] if option),
        ipsec_peers=frozenset(found["ipsec"]),
        galera=dict(line.split("\t", 1) for line in found["galera"] if "\t" in line),
        etcd_healthy="healthy" in found["etcd"],
        etcd_members=len(members.get("members", [])),
        etcd_cluster=str(members.get("header", {}).get("cluster_id", "")),
    )


def _first(lines: Sequence[str]) -> str:
    return lines[0] if lines else ""


def write_row(outputs: Outputs, table: str) -> str:
    """Shell text for a manager: a client in a container of its own writes a row through the virtual IP.

    A client of its own, because a node can't always reach the virtual IP of the service it belongs to.
    Standard input: the password.
    """
    values = assign(
        service=outputs.service,
        network=outputs.network,
        database=outputs.database,
        host=outputs.vip,
        port=outputs.port,
        sql=f"CREATE TABLE `{table}` (id INT PRIMARY KEY) ENGINE=InnoDB; INSERT INTO `{table}` VALUES (1);",
    )
    return f"{values}\n{_CLIENT}"


_CLIENT = r"""
IFS= read -r password
image=$(docker service inspect --format '{{.Spec.TaskTemplate.ContainerSpec.Image}}' "$service")
docker run --rm -i --network "$network" --entrypoint bash "$image" -c '
  IFS= read -r password
  exec mariadb --defaults-extra-file=<(printf "[client]\npassword=%s\n" "$password") \
    --host="$1" --port="$2" --user="$3" --database="$3" --connect-timeout=20 --execute="$4"' \
  bash "$host" "$port" "$database" "$sql" <<<"$password"
""".strip()


def read_row(outputs: Outputs, table: str) -> str:
    """Shell text for a node's host: prints the row's id, read on this node after all that came before it."""
    query = f"SET SESSION wsrep_sync_wait = 1; SELECT id FROM `{outputs.database}`.`{table}`"
    return _on_node(outputs, query)


def drop_table(outputs: Outputs, table: str) -> str:
    """Shell text for any node's host: takes the table away again, everywhere."""
    query = f"SET SESSION lock_wait_timeout = 20; DROP TABLE IF EXISTS `{outputs.database}`.`{table}`"
    return _on_node(outputs, query)


def _on_node(outputs: Outputs, query: str) -> str:
    return f"""
{assign(service=outputs.service, query=query)}
container=$(docker ps -q -f "label=com.docker.swarm.service.name=$service" -f status=running | head -n 1)
[[ $container ]] || fail "no container of $service runs here"
docker exec -u 0 -i "$container" mariadb -NB <<<"$query"
"""
