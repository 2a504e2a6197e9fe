"""etcd as a global service: one member on each manager, found by all under one name on the overlay network.

Owns: the service, its peers' certificates, the wait until all members run.
Leaves to others: how a member starts, joins and stays (images/etcd).

Clients come over the overlay network and nothing is published for them. Peers talk over the hosts' private
network with mutual TLS: a member's peer address must outlive its container, which no overlay address does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi

from components import remote
from components.commands import convergence
from components.commands.swarm_leaving import Membership
from components.overlay_network import OverlayNetwork
from components.peer_authority import PeerAuthority
from components.peer_certificates import PeerCertificates
from components.services import GlobalService, ServiceSpec
from components.swarm_files import secret
from components.virtual_server import VirtualServer

SERVICE = "etcd"
CLIENT_PORT = 2379
PEER_PORT = 2380
MEMBERSHIP = Membership(SERVICE, "etcd-member forget", votes=True)
"""How a host's member is taken out, before the host leaves the swarm."""


@dataclass(frozen=True)
class EtcdArgs:
    """The store.

    Attributes:
        image: container image, with its digest.
        managers: one member each; the first is asked whether all run.
        network: where clients are.
        token: tells this cluster's members from another's; the stack's identity.
        after: what must be there before the service is made or changed.
        nodes: the swarm's nodes. The service does not wait for them, its tasks start as they come.
    """

    image: pulumi.Input[str]
    managers: Sequence[VirtualServer]
    network: OverlayNetwork
    token: pulumi.Input[str]
    after: Sequence[pulumi.Resource]
    nodes: Sequence[pulumi.Resource]


class Etcd(pulumi.ComponentResource):
    """A running etcd cluster; a `KeyValueStore`."""

    kind: str = SERVICE
    address: str = SERVICE
    port: int = CLIENT_PORT
    url: str = f"etcd://{SERVICE}:{CLIENT_PORT}"
    vip: pulumi.Output[str]
    running: list[pulumi.Resource]

    def __init__(self, name: str, args: EtcdArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        """`opts` bring the provider, which the service inherits."""
        super().__init__("swarm-galera:etcd:Etcd", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        addresses = pulumi.Output.all(*(manager.private_ip for manager in args.managers))
        authority = PeerAuthority(f"{name}-authority", child)
        certificates = PeerCertificates(f"{name}-certificates", addresses, authority, child)
        secrets = [
            secret(name, "etcd-peer-ca.crt", certificates.ca_certificate, child),
            secret(name, "etcd-peer.crt", certificates.certificate, child),
            secret(name, "etcd-peer.key", certificates.private_key, child),
        ]
        names = [manager.hostname for manager in args.managers]
        cluster = addresses.apply(
            lambda known: ",".join(
                f"{hostname}=https://{address}:{PEER_PORT}"
                for hostname, address in zip(names, known, strict=True)
            )
        )
        env: dict[str, pulumi.Input[str]] = {
            "NODE_NAME": "{{.Node.Hostname}}",
            "ETCD_INITIAL_CLUSTER": cluster,
            "CLUSTER_TOKEN": args.token,
        }
        service = GlobalService(
            name,
            ServiceSpec(
                service=SERVICE,
                image=args.image,
                env=env,
                secrets=secrets,
                volume=("etcd-data", "/var/lib/etcd"),
                program="etcd-member",
                start_period=120,
                stop_grace=30,
                constraint="node.role==manager",
                proven=20,
                host_ports=[PEER_PORT],
            ),
            args.network,
            args.managers,
            self,
            args.after,
        )
        formed = remote.run(
            f"{name}-running",
            args.managers[0].connection,
            convergence.service_running(SERVICE, len(names), args.network.name),
            pulumi.ResourceOptions(parent=self, depends_on=[service.resource, *args.nodes]),
            triggers=service.changes,
        )
        self.vip = formed.stdout
        self.running = [formed]
        self.register_outputs({"vip": self.vip, "url": self.url})
