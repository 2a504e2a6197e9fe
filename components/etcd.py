"""etcd as a global service: one member on each manager, found by all under one name on the overlay network.

Owns: what the service is, its peers' certificates.
Leaves to others: how a member starts, joins and stays (images/etcd).

Clients come over the overlay network with TLS and as users (etcd_access.py); nothing is published for them.
Peers talk over the hosts' private network with mutual TLS: a member's peer address must outlive its
container, which no overlay address does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pulumi

from components import etcd_access, remote, rotation
from components.host_scripts import etcd_users
from components.host_scripts.swarm_leaving import Membership
from components.peer_authority import PeerAuthority
from components.peer_certificates import PeerCertificates
from components.service_spec import ON_MANAGERS, HealthCheck, Port, ServiceSpec, UpdatePolicy
from components.services import ServiceArgs, declare
from components.store_access import StoreAccess
from settings import Settings
from settings.rotation import Certificates

TYPE = "swarm-galera:etcd:Etcd"
SERVICE = "etcd"
VOLUME = "etcd-data"
CLIENT_PORT = 2381
"""With TLS. Clients of older versions came without it to 2379: see docs/adr/0018-etcd-clients.md."""
PEER_PORT = 2380

MEMBERSHIP = Membership(SERVICE, "etcd-member forget", votes=True)
"""What is to be done when a host leaves."""


def spec(settings: Settings) -> ServiceSpec:
    """The service, as far as it is known before the run."""
    return ServiceSpec(
        name=SERVICE,
        image=settings.discovery.image,
        constraints=[ON_MANAGERS],
        env={"NODE_NAME": "{{.Node.Hostname}}", "READABLE": ",".join(readable(settings))},
        secrets=["etcd-peer-ca.crt", "etcd-peer.crt", "etcd-peer.key", *etcd_access.FILES],
        volumes={VOLUME: "/var/lib/etcd"},
        ports=[Port(PEER_PORT)],
        health=HealthCheck(["etcd-member", "health"], start_period=120),
        update=UpdatePolicy(proven=20),
        stop_grace=30,
        membership=MEMBERSHIP,
    )


def readable(settings: Settings) -> list[str]:
    """What consumers may read: which nodes live and how, and which is the writer. A `/` at the end stands for
    all below it.
    """
    prefix = f"swarm-galera/{settings.galera.cluster_name}"
    return [f"{prefix}/present/", f"{prefix}/writer"]


def initial_cluster(addresses: Mapping[str, str]) -> str:
    """The members' peer URLs. Args: addresses: private address by host name."""
    return ",".join(f"{name}=https://{address}:{PEER_PORT}" for name, address in addresses.items())


@dataclass(frozen=True)
class EtcdArgs:
    """The store.

    Attributes:
        service: one member on each of its servers.
        token: tells this cluster's members from another's; the stack's identity.
        certificates: as in the settings.
    """

    service: ServiceArgs
    token: pulumi.Input[str]
    certificates: Certificates = field(default_factory=lambda: Certificates.model_validate({}))


class Etcd(pulumi.ComponentResource):
    """A running etcd cluster; a `KeyValueStore`."""

    kind: str = SERVICE
    address: str = SERVICE
    port: int = CLIENT_PORT
    url: str = f"etcd://{SERVICE}:{CLIENT_PORT}"
    vip: pulumi.Output[str]
    access: StoreAccess
    consumer_access: Mapping[str, pulumi.Input[str]]
    running: list[pulumi.CustomResource]

    def __init__(self, name: str, args: EtcdArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        """`opts` bring the provider, which the service inherits."""
        super().__init__(TYPE, name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        servers = args.service.servers
        addresses = pulumi.Output.all(*(server.private_ip for server in servers))
        wanted, overlap = args.certificates, len(args.certificates.counting) > 1
        authority = PeerAuthority(f"{name}-authority", child, generation=rotation.of_authority(wanted))
        peer = PeerCertificates(f"{name}-certificates", addresses, authority, child, overlap=overlap)
        clients = etcd_access.EtcdAccess.declare(name, SERVICE, wanted, child)
        self.access = clients.galera
        self.consumer_access = clients.consumer.as_output(etcd_access.CONSUMER)
        files = (peer.ca_certificate, peer.certificate, peer.private_key, *clients.files.values())
        names = [server.hostname for server in servers]
        cluster = addresses.apply(lambda known: initial_cluster(dict(zip(names, known, strict=True))))
        secrets = dict(zip(args.service.spec.secrets, files, strict=True))
        env = {"ETCD_INITIAL_CLUSTER": cluster, "CLUSTER_TOKEN": args.token}
        formed = declare(name, args.service, self, secrets, env)
        self._name, self._manager = name, args.service.manager
        self.vip = formed.stdout
        self.running = [formed]
        self.register_outputs({"vip": self.vip, "url": self.url})

    def settle(self, clients: Sequence[pulumi.CustomResource]) -> Sequence[pulumi.Resource]:
        """Have nobody let in but users, now that all of `clients` are.

        A store that an older version made has let in anybody; in any other it is done already, and this
        makes sure of it.
        """
        step = remote.run(
            f"{self._name}-users",
            self._manager,
            etcd_users.users_only(SERVICE),
            pulumi.ResourceOptions(parent=self, depends_on=[*self.running, *clients]),
            triggers=[each.id for each in (*self.running, *clients)],
        )
        return [step]


def keep_secrets(name: str, wanted: Certificates, opts: pulumi.ResourceOptions) -> None:
    """Have the authorities and passwords of a store that does not run stay in the state, where `Etcd` finds
    them again.
    """
    child = pulumi.ResourceOptions(parent=pulumi.ComponentResource(TYPE, name, None, opts))
    PeerAuthority(f"{name}-authority", child, generation=rotation.of_authority(wanted))
    etcd_access.Drawn.of(name, wanted, child)
