"""A stack's outputs, as any consumer may read them.

Owned here: reading them through Pulumi and giving them types. Left to others: what is done with them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from components import disk_encryption, engine_choice, engine_tls
from components.cluster_host import SSH_PORT
from components.engine_choice import Shown
from components.layers import layer_of
from operations import passphrase
from operations.errors import OperationsError
from operations.pulumi_cli import Pulumi
from settings.layers import Layer, reaches

REPLICATED = ("application",)
"""Services of which a host may have several containers (components/application.py)."""
OTHERS = ("galera", "galera-drill", "haproxy", "arbitrator", *REPLICATED)
"""Services that are not the store (components/galera.py, load_balancer.py, arbitrator.py, drill.py)."""
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
        encrypted: and that disk is encrypted.
        id: of its server, of one that is ordered; empty where no run has come to its end.
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
    encrypted: bool = False
    id: str = ""


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
        arbitrator: it has a vote beside the nodes'.
        published_port: of every host, leads to the nodes; 0 where none is.
        app_password: of the user that is called like the database.
        authority: PEM, whose certificate the nodes show; empty for nodes of before, without TLS.
        unlock_keys: of the swarm's managers, the one in use first; none where the swarm has no autolock.
        disk_keys: of data disks that are encrypted, by the host's name.
        balancer, application: None where there is none.
        engine: None where engines are reached over SSH alone; in a stack where that was otherwise once, they
            `listened`.
        data_path: of the rows on each host that bears some; empty where they are in the engine's folder.
        layer: the highest that there is. What comes with a higher one is empty, or 0.
        left: what is not taken down yet of those above.
        missed: hosts that did not answer when that was done, and have yet to do their part.
        volumes: names of the data's volumes on each of the hosts `kept_on`, while it is kept and nothing
            serves it.
        backup: bucket and folder of its archive; empty where none is made.
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
    disk_keys: Mapping[str, str] = field(default_factory=dict, repr=False)
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
    arbitrator: bool = False
    backup: str = ""

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
        hosts=tuple(_host(host, ssh) for host in values["hosts"]),
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
        disk_keys=values.get(disk_encryption.KEYS) or {},
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
        arbitrator=bool(galera.get("arbitrator")),
        store_servers=tuple((values.get("discovery") or {}).get("servers", ())),
        backup="/".join(filter(None, map((values.get("backup") or {}).get, ("bucket", "prefix")))),
    )


def _host(host: Mapping[str, Any], ssh: Mapping[str, Any]) -> Host:
    name = host["name"]
    return Host(
        name=name,
        role=host["role"],
        private_ip=host["privateIp"],
        address=ssh["addresses"][name],
        host_key=ssh["hostKeys"][name],
        user=(ssh.get("users") or {}).get(name, ssh["user"]),
        port=int((ssh.get("ports") or {}).get(name, SSH_PORT)),
        own=bool(host.get("hostKey")),
        disk=bool(host.get("disk", True)),
        encrypted=bool(host.get("encrypted")),
        id="" if host.get("hostKey") else str(host.get("id") or ""),
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
