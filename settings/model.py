"""The settings of a stack, section by section: what may be configured, its defaults, what must fit together.

Owns: the sections on access, hosts, engines and network, and what of one section must fit to another.
Leaves to others: the servers (servers.py), the store (discovery.py), the database (galera.py), the load
balancer (load_balancer.py), backups (backup.py, bootstrap_from.py); what a single value may be (values.py).
"""

from __future__ import annotations

import ipaddress
import itertools
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, Field, SecretStr, model_validator
from pydantic.alias_generators import to_camel

from settings import values
from settings.application import Application
from settings.arbitrator import Arbitrator, odd_votes
from settings.backup import Backup
from settings.bootstrap_from import BootstrapFrom
from settings.database import names
from settings.discovery import Discovery
from settings.galera import Galera
from settings.layers import Above, Layer, contradictions, reaches
from settings.load_balancer import LoadBalancer
from settings.ports import ENGINE_PORT, for_everybody, taken_by
from settings.section import Section
from settings.servers import Servers
from settings.swarm import Swarm

ORDERS_ONLY = {"public_key", "label", "allowed_cidrs", "address", "upload_label", "upload_notes"}
"""What of `ssh` only counts for hosts that are ordered."""


class Ssh(Section):
    """How the hosts are reached.

    Attributes:
        public_key: a key of your own to install instead of a generated one.
        label: a key SoftLayer has already, by its label.
        private_key_file: path of the private half of either, without a passphrase; may be left out where an
            SSH agent holds it. Of hosts of one's own it is all that is needed.
        private_key: its text instead, as a secret (`pulumi config set --secret --path`).
        allowed_cidrs: networks SSH may come from, for the firewall of ordered hosts; one must be given
            where that is on and `address` is public.
        address: which of a host's addresses SSH uses.
        upload_label: of the key that the stack uploads; by default it is made of the stack's name.
        upload_notes: of the key that the stack uploads, for people.
    """

    title: ClassVar[str] = "ssh"
    public_key: Annotated[str, AfterValidator(values.public_key)] | None = None
    label: str | None = Field(None, min_length=1)
    private_key_file: str | None = Field(None, min_length=1)
    private_key: SecretStr | None = None
    allowed_cidrs: list[Annotated[str, AfterValidator(values.cidr)]] = []
    address: Literal["public", "private"] = "public"
    upload_label: str | None = Field(None, min_length=1, max_length=255)
    upload_notes: str = Field("", max_length=500)

    @model_validator(mode="after")
    def _halves_belong_together(self) -> Ssh:
        if self.public_key and self.label:
            raise values.Refused("publicKey and label both name the key", "keep one of the two")
        if self.label and (self.upload_label or self.upload_notes):
            raise values.Refused(
                "label names a key that SoftLayer has, so none is uploaded",
                "remove uploadLabel and uploadNotes, or give publicKey instead of label",
            )
        if (self.public_key or self.label) and not self.has_private_key:
            raise values.Refused(
                "the program can't log in with a public key alone",
                "set ssh.privateKeyFile to the private half, or load it into an SSH agent (`ssh-add`), or "
                "leave the key out to have one generated",
            )
        if self.private_key_file and self.private_key:
            raise values.Refused("privateKeyFile and privateKey both are the key", "keep one of the two")
        if self.private_key_file and not Path(self.private_key_file).expanduser().is_file():
            raise values.Refused(f"there is no private key file {self.private_key_file}", "correct the path")
        return self

    @property
    def has_private_key(self) -> bool:
        """Whether there is a private half besides one that is generated."""
        return bool(self.private_key_file or self.private_key or os.environ.get("SSH_AUTH_SOCK"))

    def for_hosts(self, servers: Servers) -> Iterator[str]:
        """What does not fit to where the hosts come from, each with its remedy."""
        public = self.public_key or self.label
        if servers.orders and (self.private_key_file or self.private_key) and not public:
            yield (
                f"ssh: {'privateKeyFile' if self.private_key_file else 'privateKey'} without publicKey or "
                "label leaves open which key SoftLayer installs. Remedy: add the one that belongs to it"
            )
        elif servers.own and servers.orders and not public:
            yield (
                "ssh.publicKey: the hosts that are ordered would get a generated key, which hosts of your "
                "own do not know. Remedy: set ssh.publicKey and ssh.privateKeyFile to a key that these let in"
            )
        elif servers.own and not self.has_private_key:
            yield (
                "ssh.privateKeyFile: hosts of your own let in nobody without a key that they know. Remedy: "
                "give the path of the private half, or load it into an SSH agent (`ssh-add`), or set "
                "ssh.privateKey as a secret"
            )
        if not servers.orders:
            if given := sorted(to_camel(name) for name in ORDERS_ONLY & self.model_fields_set):
                yield (
                    f"ssh.{given[0]}: {', '.join(given)} {'is' if len(given) == 1 else 'are'} said of "
                    "orders, and nothing is ordered. Remedy: remove it"
                )
            return
        private = any(host.ordered and host.ordered.private_only for host in servers.planned)
        if private and self.address == "public":
            yield (
                "ssh.address: private-only hosts have no public address. Remedy: set ssh.address: private "
                "and run from a machine on the private network"
            )
        if servers.firewall and self.address == "public" and not self.allowed_cidrs:
            yield (
                "ssh.allowedCidrs: with the firewall on and no network allowed, nobody reaches the hosts, "
                "this program included. Remedy: list your administrators' networks, like [198.51.100.7/32], "
                "or set servers.firewall: false"
            )
        if servers.adopt and not public:
            yield (
                "servers.adopt: a server that exists is not touched, so a generated key never gets onto it. "
                "Remedy: set ssh.publicKey or ssh.label to a key that it lets in"
            )


class Hosts(Section):
    """What the hosts' own system is told. Unset, nothing of it is touched.

    Attributes:
        resolvers: DNS servers that the hosts ask, in this order; with `discovery.kind: consul` two at the
            most, after Consul itself. Containers: `engine.dns`.
        search_domains: domains in which the hosts look for short names.
        motd: text that whoever logs in to a host is shown, in /etc/motd.d/swarm-galera.
        upgrade_token: a text of your choice; for a new one `operations up` brings all hosts' packages up to
            date (security updates) and reboots those that need it, one host at a time, in the end of the run.
    """

    title: ClassVar[str] = "hosts"
    # Of more the C library takes none.
    resolvers: list[Annotated[str, AfterValidator(values.ip_address)]] = Field([], max_length=3)
    search_domains: list[Annotated[str, AfterValidator(values.domain)]] = Field([], max_length=6)
    motd: str = Field("", max_length=4000)
    upgrade_token: str = Field("", max_length=200)


class Engine(Section):
    """The Docker engine on every host.

    Attributes:
        dns: servers for containers; empty takes the host's, and with `discovery.kind: consul` also Consul.
        registry_mirrors, insecure_registries: as in daemon.json.
        labels: further engine labels besides datacenter and size.
        bridge: network of the engine's default bridge, which no host must route; by default 172.17.0.0/16.
        address_pools: where the engine takes the host's other networks from, each a /24; by default the rest
            of 172.16.0.0/12, of which docker_gwbridge takes 172.18.0.0/16.
        swarm_pool: where the swarm takes its ingress network from, a /24; by default 10.0.0.0/8. Counts when
            the swarm is started.
        access: how the engines' API is reached. With `tls`, each engine also listens on port 2376 of the
            address that SSH uses, for whoever has the stack's client certificate, and docker resources go
            that way; all else goes on to use SSH. That certificate makes its owner root on every host. A
            change restarts the engines, one host at a time. Not for hosts of one's own whose engine was there
            before.
        options: further options of daemon.json, by their names there (engine_options.py).
    """

    title: ClassVar[str] = "engine"
    dns: list[Annotated[str, AfterValidator(values.ip_address)]] = []
    registry_mirrors: list[Annotated[str, AfterValidator(values.mirror)]] = []
    insecure_registries: list[Annotated[str, AfterValidator(values.registry)]] = []
    labels: dict[Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]*$")], str] = {}
    bridge: values.EngineNetwork | None = None
    address_pools: list[values.EngineNetwork] = []
    swarm_pool: values.EngineNetwork | None = None
    access: Literal["ssh", "tls"] = "ssh"
    options: Annotated[dict[str, Any], AfterValidator(values.daemon_options)] = {}

    @property
    def ports(self) -> dict[int, str]:
        """What it takes on every host, and which setting says so."""
        return {ENGINE_PORT: "the engine's API (engine.access)"} if self.access == "tls" else {}

    @property
    def taken(self) -> dict[str, str]:
        """The networks that are gone on every host, by what has them."""
        gateways = self.address_pools or ["172.18.0.0/16"]
        ingress = next(ipaddress.IPv4Network(self.swarm_pool or "10.0.0.0/8").subnets(new_prefix=24))
        return {
            self.bridge or "172.17.0.0/16": "the engine's default bridge docker0 (engine.bridge)",
            **dict.fromkeys(gateways, "the engine's bridge docker_gwbridge (engine.addressPools)"),
            str(ingress): "the swarm's ingress network (engine.swarmPool)",
        }

    @model_validator(mode="after")
    def _apart(self) -> Engine:
        networks = [ipaddress.IPv4Network(network) for network in self.taken]
        for one, other in itertools.combinations(networks, 2):
            if one.overlaps(other):
                raise values.Refused(
                    f"{one}, {self.taken[str(one)]}, overlaps {other}, {self.taken[str(other)]}",
                    "give each a private network of its own",
                )
        return self


class Network(Section):
    """The overlay network that etcd, Galera and applications share.

    Attributes:
        name: its name.
        subnet: IPv4, must not overlap any network of the hosts.
        encrypted: IPsec between the hosts.
    """

    title: ClassVar[str] = "network"
    name: values.DockerName = "galera"
    subnet: Annotated[str, AfterValidator(values.subnet)] = "10.20.0.0/24"
    encrypted: bool = True


class Settings(Section):
    """All settings of a stack.

    Attributes:
        endpoint: the SoftLayer API's XML-RPC address.
        max_monthly_cost: in the account's currency; a dearer plan is refused. None is no limit.
        order_settle: seconds for which an order with unknown outcome is looked for. (The provider reads it.)
        root_password: of the database's root, a secret (`pulumi config set --secret`); unset, one is drawn.
        deploy_up_to: the highest layer that the stack has: hosts (servers, disks, engines), swarm (and the
            overlay network), data (store, database, load balancer), application.
        take_down: layers above that which may be taken away where they run. Without, that is refused.
        keep_data: leave the volumes of a data layer that is taken down where they are, the application's
            uploads with them.
    """

    title: ClassVar[str] = ""
    endpoint: Annotated[str, AfterValidator(values.endpoint)] = values.PUBLIC_ENDPOINT
    max_monthly_cost: float | None = Field(None, gt=0)
    order_settle: float = Field(values.SETTLE, gt=0, le=values.LONGEST_SETTLE)
    root_password: Annotated[SecretStr, AfterValidator(names.password)] | None = None
    deploy_up_to: Layer = "application"
    take_down: list[Above] = []
    keep_data: bool = True
    ssh: Ssh = Ssh.model_validate({})
    servers: Servers
    hosts: Hosts = Hosts.model_validate({})
    engine: Engine = Engine.model_validate({})
    swarm: Swarm = Swarm.model_validate({})
    network: Network = Network.model_validate({})
    discovery: Discovery
    galera: Galera
    load_balancer: LoadBalancer | None = None
    application: Application | None = None
    arbitrator: Arbitrator | None = None
    backup: Backup | None = None
    bootstrap_from: BootstrapFrom | None = None

    @model_validator(mode="after")
    def _fit_together(self) -> Settings:
        servers = self.servers
        problems = [*self.ssh.for_hosts(servers), *odd_votes(servers, self.arbitrator)]
        hosts = len(servers.hostnames)
        addresses = ipaddress.IPv4Network(self.network.subnet).num_addresses
        needed = 4 * hosts + 16 + (self.application.addresses if self.application else 0)
        if addresses < needed:
            problems.append(
                f"network.subnet: {self.network.subnet} has {addresses} addresses, and {hosts} hosts with "
                f"their tasks and services need {needed}. "
                "Remedy: choose a larger one, like 10.20.0.0/20"
            )
        subnet = ipaddress.IPv4Network(self.network.subnet)
        for taken, by in self.engine.taken.items():
            if subnet.overlaps(ipaddress.IPv4Network(taken)):
                problems.append(
                    f"network.subnet: {subnet} overlaps {taken}, {by}. Remedy: choose a private network "
                    "of its own, like 10.20.0.0/24"
                )
        bearing = [host for host in servers.planned if host.bears_data]
        if ordered := [host.ordered for host in bearing if host.ordered]:
            memory, disk = min(each.memory for each in ordered), min(each.disks[1] for each in ordered)
            problems.extend(self.galera.too_large(memory, disk))
        bare = [host.name for host in bearing if host.own and not host.own.disk]
        if self.galera.data_path and bare:
            problems.append(
                f"galera.dataPath: it is a btrfs subvolume of a disk of its own, and {', '.join(bare)} "
                f"{'has' if len(bare) == 1 else 'have'} none (servers.hosts: disk). Remedy: name one, or "
                "leave dataPath out"
            )
        stats = self.load_balancer.stats_port if self.load_balancer else None
        problems.extend(
            for_everybody(servers.published_ports, stats, self.engine.ports, self.discovery.ports)
        )
        problems.extend(self._clashes())
        if self.bootstrap_from:
            problems.extend(self.bootstrap_from.clashes(self.galera.initdb))
        if self.backup:
            problems.extend(self.backup.clashes(self.galera.config))
        problems.extend(contradictions(self.deploy_up_to, self.take_down, self.keep_data))
        if problems:
            raise ValueError("\n".join(problems))
        return self

    def _clashes(self) -> Iterator[str]:
        """Who takes a port that another one has; and what does not fit to the store."""
        balancer = self.load_balancer.ports if self.load_balancer else {}
        ports = taken_by(balancer, self.engine.options)
        for port in self.engine.ports.keys() & ports.keys():
            yield (
                f"engine.access: tls needs port {port} of every host, which is taken by {ports[port]}. "
                "Remedy: give that another port, or leave engine.access out"
            )
        ports |= self.engine.ports
        discovery = self.discovery
        yield from discovery.clashes(
            len(self.servers.manager_names),
            self.hosts.resolvers,
            self.engine.taken,
            ports | self.galera.ports,
        )
        ports |= discovery.ports
        yield from self.galera.clashes(ports)
        if self.application:
            yield from self.application.clashes(ports | self.galera.ports, self.galera.database)

    def deploys(self, layer: Layer) -> bool:
        """Whether the stack has this layer."""
        return reaches(self.deploy_up_to, layer)
