"""The stack's settings: what may be configured, its defaults, and what must fit together.

Owns: the shape of `swarm-galera:*` in a stack's file; a bad value is refused before anything is ordered,
together with all other bad values.
Leaves to others: what a single value may be (setting_values.py); what may be set of the database itself
(database_settings/); checks that need the cloud (an unknown
datacenter, a price: `components/softlayer`) or the hosts (a subnet that a host already routes:
`components/commands/host.py`).
"""

from __future__ import annotations

import ipaddress
import itertools
import json
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)
from pydantic.alias_generators import to_camel

import setting_values as values
from components.errors import UserError
from database_settings import initial_sql, provider_options, server_options

PROJECT = "swarm-galera"
MB = 1 << 20
OTHERS = 512
"""MB of a host's memory that the buffer pool leaves to the system, the engine, etcd and connections at the
least.
"""
PROVIDER_KEYS = frozenset({"username", "apiKey"})
"""Keys that only the SoftLayer provider reads; the credentials must not reach the program."""


class SettingsError(UserError):
    """The stack's settings can't be used; the message lists every problem with its remedy."""

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems
        count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        lines = "\n".join(f"  - {problem}" for problem in problems)
        super().__init__(f"The stack's settings have {count}; nothing was ordered or changed:\n{lines}")


class _Section(BaseModel):
    """A part of the settings: camelCase keys, no unknown ones, never changed after reading."""

    model_config = ConfigDict(
        alias_generator=to_camel, validate_by_name=False, extra="forbid", frozen=True, allow_inf_nan=False
    )
    title: ClassVar[str]


class Ssh(_Section):
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
            raise values.refuse("publicKey and label both name the key", "keep one of the two")
        if self.label and (self.upload_label or self.upload_notes):
            raise values.refuse(
                "label names a key that SoftLayer has, so none is uploaded",
                "remove uploadLabel and uploadNotes, or give publicKey instead of label",
            )
        agent = os.environ.get("SSH_AUTH_SOCK")
        if (self.public_key or self.label) and not self.private_key_file and not agent:
            raise values.refuse(
                "the program can't log in with a public key alone",
                "set ssh.privateKeyFile to the private half, or load it into an SSH agent (`ssh-add`), or "
                "leave the key out to have one generated",
            )
        if self.private_key_file and not (self.public_key or self.label):
            raise values.refuse(
                "privateKeyFile without publicKey or label leaves open which key SoftLayer installs",
                "add the one that belongs to it",
            )
        if self.private_key_file and not Path(self.private_key_file).expanduser().is_file():
            raise values.refuse(f"there is no private key file {self.private_key_file}", "correct the path")
        return self


class Servers(_Section):
    """The virtual servers: `PREFIX-1` … are managers, the numbers after them workers.

    Attributes:
        prefix, domain: names; the full name is `PREFIX-N.DOMAIN`.
        managers: odd; each is a Galera node and an etcd member.
        workers: hosts for applications.
        datacenter: short name.
        cores: count. memory: MB, whole GB. disks: GB each; the first is the system's, the second becomes
            /var/lib/docker.
        local_disk: local disks, else SAN.
        os: SoftLayer's operating system reference code, of Debian or Ubuntu. image: an image template's
            identifier instead; Fedora and the RHEL family work with a kernel that has btrfs.
        hourly: hourly billing, else monthly.
        nic_speed: Mbit/s.
        private_only: no public interface.
        public_vlan, private_vlan, public_subnet, private_subnet: ids; null lets SoftLayer choose.
        placement_group: id.
        tags, notes: for people; the stack's own tag comes on top.
        user_data: text the hosts can read. post_install_url: https address of a script run after first boot.
        firewall: security groups bound with the order.
        published_ports: TCP ports open to everybody on the public addresses, for applications.
        protect: have Pulumi refuse to delete or replace the hosts.
        reload_token: host name to a text of your choice; a new text has the operating system reloaded (the
            first disk is wiped, the second kept). One manager at a time.
        replace: hosts that a change of os, image, datacenter, billing, kind of disk, network or placement
            may replace: cancelled with all disks, and ordered anew. While it names any, all other hosts stay
            as they are; while it is empty, such a change is refused. One manager at a time.
        adopt: host name to id of a guest that exists already and is taken over as it is.
    """

    title: ClassVar[str] = "servers"
    prefix: Annotated[str, AfterValidator(values.hostname_label)] = "galera"
    domain: Annotated[str, AfterValidator(values.domain)]
    managers: Annotated[int, AfterValidator(values.managers)] = 3
    workers: int = Field(0, ge=0, le=500)
    datacenter: Annotated[str, AfterValidator(values.datacenter)]
    cores: int = Field(1, ge=1, le=64)
    memory: Annotated[int, AfterValidator(values.memory)] = 2048
    disks: Annotated[list[Annotated[int, Field(ge=10, le=12000)]], AfterValidator(values.disks)] = [25, 25]
    local_disk: bool = True
    os: values.OperatingSystem | None = "DEBIAN_LATEST"
    image: str | None = None
    hourly: bool = True
    nic_speed: Literal[10, 100, 1000] = 100
    private_only: bool = False
    public_vlan: values.Vlan | None = None
    private_vlan: values.Vlan | None = None
    public_subnet: int | None = Field(None, gt=0)
    private_subnet: int | None = Field(None, gt=0)
    placement_group: int | None = Field(None, gt=0)
    tags: list[Annotated[str, AfterValidator(values.tag)]] = []
    notes: str = Field("", max_length=1000)
    user_data: str = Field("", max_length=16000)
    post_install_url: str | None = Field(None, pattern=r"^https://\S+$")
    firewall: bool = True
    published_ports: list[Annotated[int, Field(ge=1, le=65535)]] = []
    protect: bool = True
    reload_token: Annotated[dict[str, values.Token], BeforeValidator(values.hosts_named)] = {}
    replace: list[str] = []
    adopt: dict[str, int] = {}

    @model_validator(mode="after")
    def _can_be_ordered(self) -> Servers:
        problems = []
        if len(self.disks) > (2 if self.local_disk else 5):
            problems.append(
                f"disks: {len(self.disks)} can't be ordered: a guest has at most 2 local or 5 SAN disks. "
                "Remedy: shorten the list or set localDisk: false"
            )
        if (self.os is None) == (self.image is None):
            problems.append(
                "os: exactly one of os and image says what is installed. Remedy: set the other to null"
            )
        if self.private_only and (self.public_vlan or self.public_subnet):
            problems.append(
                "privateOnly: a private-only guest has no public VLAN or subnet. "
                "Remedy: remove publicVlan and publicSubnet, or privateOnly"
            )
        elif self.public_vlan and not self.private_vlan:
            problems.append(
                "publicVlan: SoftLayer takes it only together with the private one, which must be behind "
                "the same router. Remedy: set privateVlan too (`slcli vlan list`)"
            )
        for vlan, subnet, name in (
            (self.public_vlan, self.public_subnet, "public"),
            (self.private_vlan, self.private_subnet, "private"),
        ):
            if subnet and not vlan:
                problems.append(
                    f"{name}Subnet: a subnet is only taken together with its VLAN. Remedy: set {name}Vlan too"
                )
        for key, named in (
            ("adopt", self.adopt),
            ("reloadToken", self.reload_token),
            ("replace", self.replace),
        ):
            unknown = sorted(set(named) - set(self.hostnames))
            if unknown:
                problems.append(
                    f"{key}: {', '.join(unknown)} is no host of this stack. "
                    f"Remedy: use names from {self.hostnames[0]} to {self.hostnames[-1]}"
                )
        problems.extend(self._bad_turns())
        if self.published_ports and (self.private_only or not self.firewall):
            problems.append(
                "publishedPorts: nothing is closed that they could open. Remedy: remove publishedPorts, or "
                "have a firewall on public addresses"
            )
        if problems:
            raise ValueError("\n".join(problems))
        return self

    def _bad_turns(self) -> Iterable[str]:
        """Reloads and replacements that would take more than one manager at once."""
        if both := sorted(set(self.reload_token) & set(self.replace)):
            yield (
                f"replace: {', '.join(both)} stands in reloadToken, too: a replaced host needs no reload. "
                "Remedy: take it out of reloadToken"
            )
        managers = [name for name in self.manager_names if name in {*self.reload_token, *self.replace}]
        if self.managers == 1 and set(managers) & set(self.replace):
            yield (
                f"replace: {managers[0]} is the only manager: the database would go with it. "
                "Remedy: save the data, run `pulumi destroy`, then `up`"
            )
        if len(managers) > 1:
            key = "replace" if set(managers) & set(self.replace) else "reloadToken"
            yield (
                f"{key}: {', '.join(managers)} are managers: each is a database node, and only one may be "
                "reloaded or replaced at a time. Remedy: name one, run `up`, wait until `verify` holds, then "
                "name the next one instead"
            )

    @property
    def manager_names(self) -> list[str]:
        """Host names of the managers, the first one first."""
        return [f"{self.prefix}-{n}" for n in range(1, self.managers + 1)]

    @property
    def worker_names(self) -> list[str]:
        """Host names of the workers."""
        first = self.managers + 1
        return [f"{self.prefix}-{n}" for n in range(first, first + self.workers)]

    @property
    def hostnames(self) -> list[str]:
        """All host names, managers first."""
        return [*self.manager_names, *self.worker_names]


class Engine(_Section):
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
    """

    title: ClassVar[str] = "engine"
    dns: list[Annotated[str, AfterValidator(values.ip_address)]] = []
    registry_mirrors: list[Annotated[str, AfterValidator(values.mirror)]] = []
    insecure_registries: list[Annotated[str, AfterValidator(values.registry)]] = []
    labels: dict[Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]*$")], str] = {}
    bridge: values.EngineNetwork | None = None
    address_pools: list[values.EngineNetwork] = []
    swarm_pool: values.EngineNetwork | None = None

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
                raise values.refuse(
                    f"{one}, {self.taken[str(one)]}, overlaps {other}, {self.taken[str(other)]}",
                    "give each a private network of its own",
                )
        return self


class Network(_Section):
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


class Discovery(_Section):
    """The key-value store. kind: which one. image: its container image."""

    title: ClassVar[str] = "discovery"
    kind: Literal["etcd"] = "etcd"
    image: values.Image


class Galera(_Section):
    """The database cluster.

    Attributes:
        image: container image.
        cluster_name: wsrep_cluster_name.
        database: created at the first bootstrap, with a user of the same name. Neither name can be changed
            later.
        config: extra options of the server's [mysqld] group (database_settings/server_options.py).
        provider: options of the Galera library (database_settings/provider_options.py).
        strict_replication: refuse tables that Galera does not replicate (MyISAM, Aria, MEMORY, CSV). Without
            it their rows stay on the node that wrote them, until its next full copy removes them.
        stop_grace: seconds a node has to stop in order; a large buffer pool takes longer to write out.
        initdb: folder of *.sql and *.sql.gz files, run once at the very first bootstrap in the order of their
            names.
    """

    title: ClassVar[str] = "galera"
    image: values.Image
    cluster_name: Annotated[str, AfterValidator(values.cluster_name)] = "galera"
    database: Annotated[str, AfterValidator(values.database)] = "app"
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


class Settings(_Section):
    """All settings of a stack.

    Attributes:
        endpoint: the SoftLayer API's XML-RPC address.
        max_monthly_cost: in the account's currency; a dearer plan is refused. None is no limit.
        order_settle: seconds for which an order with unknown outcome is looked for. (The provider reads it.)
    """

    title: ClassVar[str] = ""
    endpoint: Annotated[str, AfterValidator(values.endpoint)] = values.PUBLIC_ENDPOINT
    max_monthly_cost: float | None = Field(None, gt=0)
    order_settle: float = Field(60, gt=0, le=3600)
    ssh: Ssh = Field(default_factory=lambda: Ssh.model_validate({}))
    servers: Servers
    engine: Engine = Engine()
    network: Network = Network()
    discovery: Discovery
    galera: Galera

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
        if addresses < 4 * hosts + 16:
            problems.append(
                f"network.subnet: {self.network.subnet} has {addresses} addresses, and {hosts} hosts with "
                f"their tasks and services need {4 * hosts + 16}. "
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
        if problems:
            raise ValueError("\n".join(problems))
        return self

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


# --- Reading --------------------------------------------------------------------------------------------


def parse(config: Mapping[str, Any]) -> Settings:
    """Settings from `swarm-galera` keys (without the project's name) to values or their JSON.

    Raises SettingsError with all problems at once.
    """
    given: dict[str, Any] = {}
    problems: list[str] = []
    unreadable: set[str] = set()
    for key, value in config.items():
        if key in PROVIDER_KEYS:
            continue
        try:
            given[key] = _structured(key, value)
        except ValueError as error:
            problems.append(f"{PROJECT}:{key}: {error}")
            unreadable.add(key)
    try:
        settings = Settings.model_validate(given)
    except ValidationError as error:
        raise SettingsError(problems + list(_explain(error, unreadable))) from None
    if problems:
        raise SettingsError(problems)
    return settings


def _structured(key: str, value: Any) -> Any:
    """Pulumi hands sections over as JSON and single values as text."""
    field = {to_camel(name): field for name, field in Settings.model_fields.items()}.get(key)
    section = (
        field is not None and isinstance(field.annotation, type) and issubclass(field.annotation, _Section)
    )
    if not section or not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except json.JSONDecodeError:
        raise values.refuse(
            "this must be a section, not a single value", "indent its keys below it"
        ) from None


def _explain(error: ValidationError, unreadable: set[str]) -> Iterable[str]:
    """Each fault of pydantic as one line: where, what, remedy; `unreadable` sections are told already."""
    for fault in error.errors(include_url=False):
        if fault["loc"] and fault["loc"][0] in unreadable:
            continue
        path = ".".join(str(part) for part in fault["loc"] if part != "[key]")
        where = f"{PROJECT}:{path}" if path else PROJECT
        match fault["type"]:
            case "value_error":
                for line in str(fault["ctx"]["error"]).splitlines():
                    own_key = bool(re.match(r"[a-z][\w.-]*: ", line))
                    yield f"{where}{('.' if path else ':') if own_key else ': '}{line}"
            case "missing":
                yield f"{where}: this is missing. Remedy: add it to the stack's file, as in Pulumi.dev.yaml"
            case "extra_forbidden":
                known = _known(fault["loc"])
                yield f"{where}: there is no such setting. Remedy: correct its spelling (known: {known})"
            case _:
                reason = fault["msg"][0].lower() + fault["msg"][1:]
                yield f"{where}: {fault['input']!r} is refused: {reason}. Remedy: correct the value"


def _known(location: tuple[int | str, ...]) -> str:
    """The keys there are where an unknown one stood."""
    model: type[_Section] = Settings
    for part in location[:-1]:
        for name, field in model.model_fields.items():
            if to_camel(name) == part and isinstance(field.annotation, type):
                model = field.annotation
    return ", ".join(to_camel(name) for name in model.model_fields)


def load() -> Settings:
    """The settings of the stack that Pulumi runs now. Raises SettingsError."""
    from pulumi.runtime import config as pulumi_config

    everything = {**pulumi_config.get_config_env(), **pulumi_config.CONFIG.get()}
    mine = {
        key.removeprefix(f"{PROJECT}:"): value
        for key, value in everything.items()
        if key.startswith(f"{PROJECT}:")
    }
    if "apiKey" in mine and not pulumi_config.is_config_secret(f"{PROJECT}:apiKey"):
        raise SettingsError(
            [
                f"{PROJECT}:apiKey: the key stands in the stack's file in plain text, and must count as "
                "disclosed. Remedy: make a new one (Manage > Access > API keys) and set it with "
                f"`pulumi config set --secret {PROJECT}:apiKey`, or in SL_USERNAME and SL_API_KEY"
            ]
        )
    return parse(mine)
