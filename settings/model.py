"""All sections of the settings but `servers` (servers.py): what may be configured, its defaults, and what
must fit together.
"""

from __future__ import annotations

import ipaddress
import itertools
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, Field, SecretStr, model_validator

from settings import values
from settings.application import Application
from settings.database import initial_sql, names, provider_options, server_options
from settings.layers import Above, Layer, contradictions, reaches
from settings.ports import BalancerPort, taken_by
from settings.section import Section
from settings.servers import Servers

MB = 1 << 20
OTHERS = 512
"""MB of a host's memory that the buffer pool leaves to the system, the engine, etcd and connections at the
least.
"""


class Ssh(Section):
    """How the hosts are reached.

    Attributes:
        public_key: a key of your own to install instead of a generated one.
        label: a key SoftLayer has already, by its label.
        private_key_file: path of the private half of either, without a passphrase; may be left out where an
            SSH agent holds it.
        allowed_cidrs: networks SSH may come from, for the firewall.
        address: which of a host's addresses SSH uses.
        upload_label, upload_notes: of the key that the stack uploads; by default the label is made of the
            stack's name.
    """

    title: ClassVar[str] = "ssh"
    public_key: Annotated[str, AfterValidator(values.public_key)] | None = None
    label: str | None = Field(None, min_length=1)
    private_key_file: str | None = Field(None, min_length=1)
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
        agent = os.environ.get("SSH_AUTH_SOCK")
        if (self.public_key or self.label) and not self.private_key_file and not agent:
            raise values.Refused(
                "the program can't log in with a public key alone",
                "set ssh.privateKeyFile to the private half, or load it into an SSH agent (`ssh-add`), or "
                "leave the key out to have one generated",
            )
        if self.private_key_file and not (self.public_key or self.label):
            raise values.Refused(
                "privateKeyFile without publicKey or label leaves open which key SoftLayer installs",
                "add the one that belongs to it",
            )
        if self.private_key_file and not Path(self.private_key_file).expanduser().is_file():
            raise values.Refused(f"there is no private key file {self.private_key_file}", "correct the path")
        return self


class Hosts(Section):
    """What the hosts' own system is told. Unset, nothing of it is touched.

    Attributes:
        resolvers: DNS servers that the hosts ask, in this order. Containers: `engine.dns`.
        search_domains: domains in which the hosts look for short names.
        motd: text that whoever logs in to a host is shown, in /etc/motd.d/swarm-galera.
    """

    title: ClassVar[str] = "hosts"
    # Of more the C library takes none.
    resolvers: list[Annotated[str, AfterValidator(values.ip_address)]] = Field([], max_length=3)
    search_domains: list[Annotated[str, AfterValidator(values.domain)]] = Field([], max_length=6)
    motd: str = Field("", max_length=4000)


class Engine(Section):
    """The Docker engine on every host.

    Attributes:
        dns: servers for containers; empty takes the host's.
        registry_mirrors, insecure_registries: as in daemon.json.
        labels: further engine labels besides datacenter and size.
        bridge: network of the engine's default bridge, which no host must route; by default 172.17.0.0/16.
        address_pools: where the engine takes the host's other networks from, each a /24; by default the rest
            of 172.16.0.0/12, of which docker_gwbridge takes 172.18.0.0/16.
        swarm_pool: where the swarm takes its ingress network from, a /24; by default 10.0.0.0/8. Counts when
            the swarm is started.
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
    options: Annotated[dict[str, Any], AfterValidator(values.daemon_options)] = {}

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


class Discovery(Section):
    """The key-value store. kind: which one. image: its container image."""

    title: ClassVar[str] = "discovery"
    kind: Literal["etcd"] = "etcd"
    image: values.Image


class Galera(Section):
    """The database cluster.

    Attributes:
        image: container image.
        cluster_name: wsrep_cluster_name.
        database: created at the first bootstrap, with a user of the same name. Neither name can be changed
            later.
        config: extra options of the server's [mysqld] group (database/server_options.py).
        provider: options of the Galera library (database/provider_options.py).
        strict_replication: refuse tables that Galera does not replicate (MyISAM, Aria, MEMORY, CSV). Without
            it their rows stay on the node that wrote them, until its next full copy removes them.
        stop_grace: seconds a node has to stop in order; a large buffer pool takes longer to write out.
        initdb: folder of *.sql and *.sql.gz files, run once at the very first bootstrap in the order of their
            names.
    """

    title: ClassVar[str] = "galera"
    image: values.Image
    cluster_name: Annotated[str, AfterValidator(names.cluster_name)] = "galera"
    database: Annotated[str, AfterValidator(names.database)] = "app"
    config: Annotated[dict[str, values.OptionValue], AfterValidator(values.options)] = {}
    provider: Annotated[dict[str, values.ProviderValue], AfterValidator(values.provider)] = {}
    strict_replication: bool = True
    stop_grace: int = Field(60, ge=10, le=3600)
    initdb: str | None = None

    @model_validator(mode="after")
    def _initial_sql_runs(self) -> Galera:
        found = () if self.initdb is None else initial_sql.problems(self.initdb, self.strict_replication)
        if problems := [f"initdb: {problem}" for problem in found]:
            raise ValueError("\n".join(problems))
        return self


class LoadBalancer(Section):
    """HAProxy on every host, before the database. Without this section there is none.

    Attributes:
        image: container image.
        writer_port: of every host, and of the service on the overlay network, from 1024 to 29999; leads to
            the one node that takes the writes.
        reader_port: as writerPort; leads to all nodes that serve.
        stats_port: as writerPort; a page with statistics, for the user `admin`.
    """

    title: ClassVar[str] = "loadBalancer"
    image: values.Image
    writer_port: BalancerPort = 6446
    reader_port: BalancerPort = 6447
    stats_port: BalancerPort = 8404

    @property
    def ports(self) -> dict[str, int]:
        """By the setting's name."""
        return {
            "writerPort": self.writer_port,
            "readerPort": self.reader_port,
            "statsPort": self.stats_port,
        }

    @model_validator(mode="after")
    def _ports_apart(self) -> LoadBalancer:
        for (one, port), (other, same) in itertools.combinations(self.ports.items(), 2):
            if port == same:
                raise values.Refused(
                    f"{one} and {other} are both {port}, and a port leads to one of them only",
                    "give each a port of its own",
                )
        return self


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
    network: Network = Network.model_validate({})
    discovery: Discovery
    galera: Galera
    load_balancer: LoadBalancer | None = None
    application: Application | None = None

    @model_validator(mode="after")
    def _fit_together(self) -> Settings:
        problems = []
        servers, ssh = self.servers, self.ssh
        if servers.private_only and ssh.address == "public":
            problems.append(
                "ssh.address: private-only hosts have no public address. Remedy: set ssh.address: private "
                "and run from a machine on the private network"
            )
        if servers.firewall and ssh.address == "public" and not ssh.allowed_cidrs:
            problems.append(
                "ssh.allowedCidrs: with the firewall on and no network allowed, nobody reaches the hosts, "
                "this program included. Remedy: list your administrators' networks, like [198.51.100.7/32], "
                "or set servers.firewall: false"
            )
        if servers.adopt and not (ssh.public_key or ssh.label):
            problems.append(
                "servers.adopt: a server that exists is not touched, so a generated key never gets onto it. "
                "Remedy: set ssh.publicKey or ssh.label to a key that it lets in"
            )
        hosts = servers.managers + servers.workers
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
        problems.extend(self._too_large())
        if self.load_balancer and self.load_balancer.stats_port in servers.published_ports:
            problems.append(
                f"loadBalancer.statsPort: {self.load_balancer.stats_port} stands in servers.publishedPorts: "
                "the statistics' password would cross the internet in plain. Remedy: take it out of "
                "publishedPorts, and look at the page through SSH (`ssh -L`)"
            )
        if self.application:
            ports = taken_by(self.load_balancer.ports if self.load_balancer else {}, self.engine.options)
            problems.extend(self.application.clashes(ports, self.galera.database))
        problems.extend(contradictions(self.deploy_up_to, self.take_down, self.keep_data))
        if problems:
            raise ValueError("\n".join(problems))
        return self

    def deploys(self, layer: Layer) -> bool:
        """Whether the stack has this layer."""
        return reaches(self.deploy_up_to, layer)

    def _too_large(self) -> Iterable[str]:
        """Sizes that are set and that the hosts do not have."""
        galera, servers = self.galera, self.servers
        pool = server_options.setting(galera.config, "innodb-buffer-pool-size")
        most = servers.memory - OTHERS
        if pool is not None and (size := provider_options.size(pool)) is not None and size > most * MB:
            yield (
                f"galera.config.innodb_buffer_pool_size: {pool} does not fit into the {servers.memory} MB "
                "of a host beside the engine, etcd and connections, so that nodes would be killed. "
                f"Remedy: use {most}M or less, or raise servers.memory"
            )
        cache = galera.provider.get("gcache.size")
        room = servers.disks[1] * 1000 // 2
        if (
            cache is not None
            and (size := provider_options.size(cache)) is not None
            and size > room * 1000 * 1000
        ):
            yield (
                f"galera.provider.gcache.size: {cache} is more than half of the data disk of "
                f"{servers.disks[1]} GB, and the file has its full size from the start. Remedy: use "
                f"{room}M or less, or raise servers.disks"
            )
