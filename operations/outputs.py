"""A stack's outputs, as any consumer may read them.

Owned here: reading them through Pulumi and giving them types. Left to others: what is done with them.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from components import engine_choice, engine_tls
from components.cluster_host import SSH_PORT
from components.engine_choice import Shown
from components.layers import layer_of
from components.ssh_access import read_private_key
from operations import passphrase
from operations.errors import OperationsError
from operations.pulumi_cli import Pulumi
from settings.layers import Layer, reaches

REPLICATED = ("application",)
"""Services of which a host may have several containers (components/application.py)."""
OTHERS = ("galera", "haproxy", *REPLICATED)
"""Services that are not the store (components/galera.py, components/load_balancer.py)."""
NEEDED: Mapping[Layer, tuple[str, ...]] = {
    "hosts": ("hosts", "ssh"),
    "swarm": ("network",),
    "data": ("discovery", "galera", "passwords"),
}
"""Outputs that a complete run has, by the layer that they come with."""


@dataclass(frozen=True)
class Host:
    """One host: name, role (manager or worker), private address, and how SSH reaches it.

    Attributes:
        own: it is one's own, and not ordered.
        disk: the engine's data is on a disk that the program has prepared.
    """

    name: str
    role: str
    private_ip: str
    address: str
    host_key: str
    user: str = "root"
    port: int = SSH_PORT
    own: bool = False
    disk: bool = True


@dataclass(frozen=True)
class Balancer:
    """The load balancer: its service and virtual IP, and its ports, which every host has, too."""

    service: str
    vip: str
    writer_port: int
    reader_port: int


@dataclass(frozen=True)
class Application:
    """The application: its service, how many containers it has, and the port that every host has for it."""

    service: str
    replicas: int
    port: int


@dataclass(frozen=True)
class EngineAccess:
    """How the engines' API is reached with TLS.

    Attributes:
        addresses: by host name, on `port`.
        shown: what a client shows, and whom it trusts.
        asked: the address that the docker provider asks; empty where it asks none.
    """

    addresses: Mapping[str, str]
    port: int
    shown: Shown
    asked: str = ""


@dataclass(frozen=True)
class Outputs:
    """What the operations need of a stack's outputs.

    Attributes:
        hosts: all of them, managers first.
        user, private_key: for SSH; the key is None where the SSH agent holds it.
        network, encrypted: the overlay's name, and whether it is encrypted.
        store, store_servers: its kind; of Consul, the hosts that have a server.
        service, vip, port, size, members, database: the Galera service; members are host names.
        published_port: of every host, leads to the nodes; 0 where none is.
        app_password: of the user that is called like the database.
        authority: PEM, whose certificate the nodes show; empty for nodes of before, without TLS.
        unlock_keys: of the swarm's managers, the one in use first; none where the swarm has no autolock.
        balancer, application: None where there is none.
        engine: None where engines are reached over SSH alone; in a stack where that was otherwise once, they
            `listened`.
        data_path: of the rows on each host that bears some; empty where they are in the engine's folder.
        layer: the highest that there is. What comes with a higher one is empty, or 0.
        left: what is not taken down yet of those above.
        missed: hosts that did not answer when that was done, and have yet to do their part.
        volumes: names of the data's volumes on each of the hosts `kept_on`, while it is kept and nothing
            serves it.
    """

    hosts: tuple[Host, ...]
    user: str
    private_key: str | None = field(repr=False)
    network: str
    encrypted: bool
    store: str
    service: str
    vip: str
    port: int
    size: int
    members: tuple[str, ...]
    database: str
    app_password: str = field(repr=False)
    published_port: int = 0
    data_path: str = ""
    authority: str = ""
    unlock_keys: tuple[str, ...] = field(default=(), repr=False)
    balancer: Balancer | None = None
    application: Application | None = None
    engine: EngineAccess | None = None
    listened: bool = False
    layer: Layer = "data"
    left: str = ""
    missed: tuple[str, ...] = ()
    volumes: tuple[str, ...] = ()
    kept_on: tuple[str, ...] = ()
    store_servers: tuple[str, ...] = ()

    def has(self, layer: Layer) -> bool:
        """Whether there is this layer."""
        return reaches(self.layer, layer)

    def require_data(self, stack: str, what: str) -> None:
        """Raise OperationsError where there is no database. Args: what: that needs one."""
        if not self.has("data"):
            raise OperationsError(
                f"Stack {stack} is deployed up to the layer {self.layer}, and {what} needs its database. "
                "Set deployUpTo: data (or remove it), then run `up`."
            )

    @property
    def managers(self) -> tuple[Host, ...]:
        """The managers, the first one first."""
        return tuple(host for host in self.hosts if host.role == "manager")


def of_stack(stack: str) -> Outputs:
    """`read` for a stack whose passphrase is in the environment."""
    secret = passphrase.given()
    return read(Pulumi(stack, {} if secret is None else {passphrase.VARIABLE: secret}))


def read(pulumi: Pulumi) -> Outputs:
    """The outputs of pulumi's stack. Raises OperationsError if there is none or it is not complete."""
    return parse(pulumi.stack, pulumi.outputs())


def parse(stack: str, values: Mapping[str, Any]) -> Outputs:
    """Outputs from their JSON. Raises OperationsError for a stack that did not come to its end."""
    # Without a word of it, a stack has all its layers, or its first run did not come to its end.
    layer = (layer_of(values) if "layer" in values or "galera" in values else None) or "data"
    missing = [
        key for each, keys in NEEDED.items() for key in keys if reaches(layer, each) and key not in values
    ]
    if missing:
        raise OperationsError(
            f"Stack {stack} has no output {', '.join(missing)}: its last `up` did not come to its end. "
            "Run `up` again: it goes on where it stopped."
        )
    ssh, network, galera = values["ssh"], values.get("network") or {}, values.get("galera") or {}
    kept = values.get("keptData") or {}
    return Outputs(
        hosts=tuple(
            Host(
                name=host["name"],
                role=host["role"],
                private_ip=host["privateIp"],
                address=ssh["addresses"][host["name"]],
                host_key=ssh["hostKeys"][host["name"]],
                user=(ssh.get("users") or {}).get(host["name"], ssh["user"]),
                port=int((ssh.get("ports") or {}).get(host["name"], SSH_PORT)),
                own=bool(host.get("hostKey")),
                disk=bool(host.get("disk", True)),
            )
            for host in values["hosts"]
        ),
        user=ssh["user"],
        private_key=ssh["privateKey"],
        network=network.get("name", ""),
        encrypted=network.get("encrypted", False),
        store=(values.get("discovery") or {}).get("kind", ""),
        service=galera.get("service", ""),
        vip=galera.get("vip", ""),
        port=int(galera.get("port", 0)),
        size=int(galera.get("size", 0)),
        members=tuple(galera.get("members", ())),
        database=galera.get("database", ""),
        app_password=(values.get("passwords") or {}).get("app", ""),
        published_port=int(galera.get("publishedPort", 0)),
        authority=(galera.get("tls") or {}).get("caCertificate", ""),
        unlock_keys=_unlock_keys(values.get("unlockKey")),
        data_path=(galera or kept).get("dataPath", ""),
        balancer=_balancer(values.get("loadBalancer")),
        application=_application(values.get("application")),
        engine=_engine(values),
        listened=(values.get(engine_tls.OUTPUT) or {}).get("access") == "ssh",
        layer=layer,
        left=str((values.get("takenDown") or {}).get("left", "")),
        missed=tuple((values.get("takenDown") or {}).get("missed", ())),
        volumes=tuple(kept.get("volumes", ())),
        kept_on=tuple(kept.get("members", ())),
        store_servers=tuple((values.get("discovery") or {}).get("servers", ())),
    )


def _balancer(told: Mapping[str, Any] | None) -> Balancer | None:
    if not told:
        return None
    return Balancer(told["service"], told["vip"], int(told["writerPort"]), int(told["readerPort"]))


def _unlock_keys(told: Mapping[str, Any] | None) -> tuple[str, ...]:
    return (told["key"], *(former["key"] for former in told["former"])) if told else ()


def _application(told: Mapping[str, Any] | None) -> Application | None:
    if not told:
        return None
    return Application(told["service"], int(told["replicas"]), int(told["port"]))


def _engine(values: Mapping[str, Any]) -> EngineAccess | None:
    engine, access = values.get(engine_tls.OUTPUT) or {}, values.get(engine_tls.ACCESS) or {}
    if engine.get("access") != "tls" or not access:
        return None
    shown = Shown(access["caCertificate"], access["certificate"], access["privateKey"])
    asked = engine_choice.address_of(access.get("host"))
    return EngineAccess(engine["addresses"], int(engine["port"]), shown, asked)


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
