"""Of a stack whose run left no outputs: its hosts, and how they are reached, from its state.

Owned here: what the state tells. Left to others: outputs (outputs.py).
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from components.cluster_host import SSH_PORT
from components.ssh_access import read_private_key
from operations.outputs import OTHERS, Host, Outputs


def _plain(told: Any) -> str | None:
    """A secret of a state that was exported with its secrets in plain."""
    plain: str | None = json.loads(told["plaintext"]) if isinstance(told, Mapping) else told
    return plain


def _key_of(by_type: Mapping[str, Sequence[Mapping[str, Any]]], key_file: str | None) -> str | None:
    """The private key: generated, given for hosts of one's own, or in a file; None where the agent has it."""
    key: str | None = None
    for each in (*by_type.get("SshKeyPair", ()), *by_type.get("TakenIn", ())):
        key = _plain(each.get("private_key")) or key
    return read_private_key(key_file) if key is None and key_file else key


def _address(ready: Mapping[str, Any]) -> str:
    """Where SSH reaches the host of such a resource."""
    if "ssh_host" in ready:
        return str(ready["ssh_host"])
    return str(ready["private_ip" if ready.get("ssh_address") == "private" else "public_ip"])


def from_state(
    exported: Mapping[str, Any], managers: Collection[str], key_file: str | None
) -> Outputs | None:
    """What it takes to reach and look at a stack's hosts, from its state: a run that failed left no outputs.

    None for a stack that never had its services. What only clients of the database need is empty. Raises
    UserError if the private key cannot be read.

    Args:
        exported: the state, with its secrets in plain.
        managers: host names.
        key_file: the private key's file, where the stack did not make the key itself.
    """
    by_type = _by_type(exported)
    services, networks = by_type.get("Service", ()), by_type.get("Network", ())
    if not (len(services) > 1 and networks):
        return None
    hosts, key = hosts_of_state(exported, managers, key_file)
    names = tuple(host.name for host in hosts if host.role == "manager")
    if not names:
        return None
    return Outputs(
        hosts=hosts,
        user="root",
        private_key=key,
        network=str(networks[0].get("name")),
        encrypted=True,
        store=next((str(each["name"]) for each in services if each.get("name") not in OTHERS), "etcd"),
        service="galera",
        vip="",
        port=0,
        size=len(names),
        members=names,
        database="",
        app_password="",
    )


def _by_type(exported: Mapping[str, Any]) -> dict[str, list[Mapping[str, Any]]]:
    """Outputs of all resources of a state, by the end of their type."""
    by_type: dict[str, list[Mapping[str, Any]]] = {}
    for each in (exported.get("deployment") or {}).get("resources") or ():
        if not each.get("delete"):
            by_type.setdefault(str(each["type"]).rpartition(":")[2], []).append(each.get("outputs") or {})
    return by_type


def hosts_of_state(
    exported: Mapping[str, Any], managers: Collection[str], key_file: str | None
) -> tuple[tuple[Host, ...], str | None]:
    """The hosts that a state knows how to reach, managers first, and the private key; as `from_state`."""
    by_type = _by_type(exported)
    ready = [
        each for kind in ("GuestReady", "TakenIn") for each in by_type.get(kind, ()) if each.get("host_key")
    ]
    hosts = [
        Host(
            name=str(each["hostname"]),
            role="manager" if each["hostname"] in managers else "worker",
            private_ip=str(each["private_ip"]),
            address=_address(each),
            host_key=str(each["host_key"]),
            user=str(each.get("user") or "root"),
            port=int(float(each.get("port") or SSH_PORT)),
            own="ssh_host" in each,
        )
        for each in ready
    ]
    hosts.sort(key=lambda host: (host.role, host.name))
    return tuple(hosts), _key_of(by_type, key_file) if hosts else None
