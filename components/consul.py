"""Consul as a global service on the hosts' own network: servers on the first managers, elsewhere agents.

Owns: what the service is, its certificates, key and tokens, what it registers of the stack's other services.
Leaves to others: how a member is configured, joins and stays, and who may do what (images/consul); that the
hosts ask it for names (hosts_ask_consul.py); `db`, which the nodes register themselves (images/galera).

Servers and agents know each other by the hosts' private addresses, which outlive every container. Whoever is
on a host reaches the host's own agent on the loopback, a container at its default gateway, docker_gwbridge.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi

from components import remote, rotation
from components.client_certificate import ClientCertificate
from components.host_scripts import gossip_key
from components.host_scripts.swarm_leaving import Membership
from components.hosts_ask_consul import HostsAskConsul, HostsAskConsulArgs
from components.peer_authority import PeerAuthority
from components.peer_certificates import PeerCertificates
from components.service_spec import ConfigFile, HealthCheck, Port, ServiceSpec, UpdatePolicy
from components.services import ServiceArgs, declare
from components.store_access import StoreAccess
from components.token import Token
from settings import Hosts, Settings
from settings.discovery import Discovery

TYPE = "swarm-galera:consul:Consul"
SERVICE = "consul"
VOLUME = "consul-data"
"""On every host, workers included."""
GATEWAY = "gateway"
"""Stands for the default gateway of a container's own host, where its agent listens."""
HTTPS_PORT = 8501
SERVER_PORT, GOSSIP_PORT = 8300, 8301
SERVER_NAME = "localhost"
"""In every member's certificate: what a client expects there."""
DATABASE = "db.service.consul"
"""The name under which hosts and containers find the nodes that serve."""
SERVICES = "/etc/consul-member/services.json"
"""Where a member finds which services it registers."""
FILES = ("consul-ca.crt", "consul.crt", "consul.key", "consul-gossip-key")
TOKENS = {
    "consul-management-token": "management",
    "consul-agent-token": "agent",
    "store-token": "galera",
    "consul-consumer-token": "consumer",
}
"""Secrets of the service, and whose token each is."""

MEMBERSHIP = Membership(SERVICE, "consul-member forget", votes=True, again=True)
"""What is to be done when a host leaves."""


def spec(settings: Settings) -> ServiceSpec:
    """The service, as far as it is known before the run."""
    discovery = settings.discovery
    return ServiceSpec(
        name=SERVICE,
        image=discovery.image,
        network="host",
        env={
            "NODE_NAME": "{{.Node.Hostname}}",
            "CONSUL_SERVERS": str(discovery.server_count(len(settings.servers.manager_names))),
            "DATACENTER": settings.servers.place.lower(),
            "RECURSORS": ",".join(discovery.asked(settings.hosts.resolvers)),
        },
        secrets=[*FILES, *TOKENS],
        configs=[ConfigFile("consul-services", SERVICES, json.dumps(registered(settings), indent=1))],
        volumes={VOLUME: "/var/lib/consul"},
        # Its other ports, DNS and HTTPS, are for the host itself and its containers.
        ports=[Port(SERVER_PORT), Port(GOSSIP_PORT), Port(GOSSIP_PORT, protocol="udp")],
        health=HealthCheck(["consul-member", "health"], start_period=120),
        update=UpdatePolicy(proven=20),
        stop_grace=30,
        # A server gives up its vote while it still runs, and is taken off the list once it has ended.
        membership=MEMBERSHIP,
    )


def registered(settings: Settings) -> list[dict[str, Any]]:
    """What every host registers of the stack's services; `{address}` is the host's private one.

    The load balancer is asked at the port of its statistics: a connection to one of the others that says
    nothing counts as a failed login at the database.
    """
    ports: dict[str, tuple[int, int]] = {}
    balancer, site = settings.load_balancer, settings.application
    if balancer is not None:
        ports["db-writer"] = (balancer.writer_port, balancer.stats_port)
        ports["db-reader"] = (balancer.reader_port, balancer.stats_port)
    if site is not None and settings.deploys("application"):
        ports["application"] = (site.port, site.port)
    return [
        {
            "name": name,
            "port": port,
            "check": {"tcp": f"{{address}}:{asked}", "interval": "10s", "timeout": "5s"},
        }
        for name, (port, asked) in ports.items()
    ]


def members(addresses: Mapping[str, str]) -> str:
    """All hosts. Args: addresses: private address by host name, servers first."""
    return ",".join(f"{name}={address}" for name, address in addresses.items())


def server_names(datacenter: str) -> list[str]:
    """What a member's certificate names besides the hosts' addresses: that it may be a server, and itself."""
    return [f"server.{datacenter.lower()}.consul", SERVER_NAME, "127.0.0.1"]


@dataclass(frozen=True)
class ConsulArgs:
    """The store.

    Attributes:
        service: a member on each of its servers, the swarm's managers first.
        token: tells this cluster's members from another's; the stack's identity.
        datacenter: SoftLayer's name of it, which is Consul's, too.
        hosts: what is said of every host's system.
        wanted: as in the settings; of it, generations.
    """

    service: ServiceArgs
    token: pulumi.Input[str]
    datacenter: str
    hosts: Hosts
    wanted: Discovery


class Consul(pulumi.ComponentResource):
    """A running Consul that every host asks for names; a `KeyValueStore`.

    Attributes:
        vip: empty, there is none.
    """

    kind: str = SERVICE
    address: str = GATEWAY
    port: int = HTTPS_PORT
    url: str = f"consul://{GATEWAY}:{HTTPS_PORT}"
    vip: pulumi.Output[str]
    access: StoreAccess
    consumer_access: Mapping[str, pulumi.Input[str]]
    running: list[pulumi.Resource]

    def __init__(self, name: str, args: ConsulArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        """`opts` bring the provider, which the service inherits."""
        super().__init__(TYPE, name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        servers = args.service.servers
        addresses = pulumi.Output.all(*(server.private_ip for server in servers))
        drawn = _Drawn(name, args.wanted, child)
        self.access = drawn.access("galera")
        self.consumer_access = drawn.access("consumer").as_output()
        names = server_names(args.datacenter)
        certificates = PeerCertificates(
            f"{name}-certificates",
            addresses.apply(lambda known: [*names, *known]),
            drawn.authority,
            child,
            overlap=drawn.overlap,
        )
        contents: dict[str, pulumi.Input[str]] = dict(
            zip(
                FILES,
                (
                    certificates.ca_certificate,
                    certificates.certificate,
                    certificates.private_key,
                    drawn.gossip,
                ),
                strict=True,
            )
        )
        contents |= {file: drawn.tokens[whose] for file, whose in TOKENS.items()}
        hostnames = [server.hostname for server in servers]
        hosts = addresses.apply(lambda known: members(dict(zip(hostnames, known, strict=True))))
        env = {"CONSUL_HOSTS": hosts, "CLUSTER_TOKEN": args.token}
        known = self._known_key(name, args, drawn.gossip)
        formed = declare(name, args.service, self, contents, env, after=known)
        self.vip = formed.stdout
        asking = HostsAskConsul(f"{name}-asked", HostsAskConsulArgs(servers, args.hosts, formed), child)
        self.running = [formed, *asking.hosts]
        self.register_outputs({"url": self.url})

    def _known_key(self, name: str, args: ConsulArgs, key: pulumi.Output[str]) -> Sequence[pulumi.Resource]:
        """All members speak and understand the key before the first one starts that knows no other."""
        if args.wanted.gossip_key_generation == 1:
            return []
        step = remote.run(
            f"{name}-gossip-key",
            args.service.manager,
            gossip_key.in_use(SERVICE),
            pulumi.ResourceOptions(parent=self, depends_on=[*args.service.nodes]),
            values=key,
            triggers=[args.wanted.gossip_key_generation],
        )
        return [step]

    def settle(self, clients: Sequence[pulumi.CustomResource]) -> Sequence[pulumi.Resource]:
        """Nothing: nobody was ever let in without a token."""
        return []


class _Drawn:
    """What is drawn once for a stack's Consul and stays the same whether or not it runs."""

    def __init__(self, name: str, wanted: Discovery, child: pulumi.ResourceOptions) -> None:
        self._name, self._child = name, child
        generation = rotation.of_authority(wanted.certificates)
        self.overlap = len(wanted.certificates.counting) > 1
        self.authority = PeerAuthority(f"{name}-authority", child, generation=generation)
        gossip = rotation.numbered(f"{name}-gossip-token", wanted.gossip_key_generation)
        self.gossip = Token(gossip, "key", child).value
        self.tokens = {whose: Token(f"{name}-{whose}-token", opts=child).value for whose in TOKENS.values()}

    def access(self, whose: str) -> StoreAccess:
        """A client's. Its certificate is good for no server: it names none."""
        made = ClientCertificate(
            f"{self._name}-{whose}-certificate",
            f"client {whose}",
            self.authority,
            self._child,
            overlap=self.overlap,
        )
        return StoreAccess(made.ca_certificate, made.certificate, made.private_key, self.tokens[whose])


def keep_secrets(name: str, wanted: Discovery, opts: pulumi.ResourceOptions) -> None:
    """Have authority, key and tokens of a store that does not run stay in the state, for `Consul`."""
    parent = pulumi.ComponentResource(TYPE, name, None, opts)
    _Drawn(name, wanted, pulumi.ResourceOptions(parent=parent))
