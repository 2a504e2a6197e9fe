"""The hosts' firewall: one security group for each side, bound when the hosts are ordered.

Owns: the two groups.
Leaves to others: their rules (components/softlayer/firewall.py), the swarm's ports (swarm_ports.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi

from components import swarm_ports
from components.service_spec import ServiceSpec
from components.softlayer.firewall import SSH_PORTS, private_rules, public_rules
from components.softlayer.security_group import SecurityGroup, SecurityGroupArgs
from settings import Settings


@dataclass(frozen=True)
class FirewallArgs:
    """Who may reach the hosts.

    Attributes:
        owner: `StackIdentity.owner`.
        public_ssh_from: CIDRs that may reach SSH on the public addresses.
        private_ssh_from: CIDRs that may reach SSH on the private addresses.
        published_ports: TCP ports open to everybody on the public addresses.
        encrypted_overlay: let the overlay's ESP packets pass between the hosts.
        services: whose ports the hosts open to one another.
        others: private addresses of hosts of one's own, which are in no group.
        ports: what those may reach who may reach SSH.
    """

    owner: pulumi.Input[str]
    public_ssh_from: Sequence[str] = ()
    private_ssh_from: Sequence[str] = ()
    published_ports: Sequence[int] = ()
    encrypted_overlay: bool = True
    services: Sequence[ServiceSpec] = ()
    others: Sequence[str] = ()
    ports: Sequence[int] = SSH_PORTS

    @classmethod
    def of(
        cls, owner: pulumi.Input[str], settings: Settings, services: Sequence[ServiceSpec]
    ) -> FirewallArgs:
        """As the settings and the services say."""
        ssh_from = {settings.ssh.address: settings.ssh.allowed_cidrs}
        return cls(
            owner,
            ssh_from.get("public", ()),
            ssh_from.get("private", ()),
            settings.servers.published_ports,
            settings.network.encrypted,
            services,
            [host.address for host in settings.servers.own],
            [*SSH_PORTS, *settings.engine.ports],
        )


class Firewall(pulumi.ComponentResource):
    """Both security groups.

    Attributes:
        public_group_id, private_group_id: for the servers' orders.
        groups: depend on these to find open what is to be.
    """

    public_group_id: pulumi.Output[str]
    private_group_id: pulumi.Output[str]

    def __init__(self, name: str, args: FirewallArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("swarm-galera:firewall:Firewall", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        public = SecurityGroup(
            f"{name}-public",
            SecurityGroupArgs(
                args.owner, public_rules(args.public_ssh_from, args.published_ports, args.ports)
            ),
            child,
        )
        ports = None if args.encrypted_overlay else swarm_ports.opened(args.services)
        private = SecurityGroup(
            f"{name}-private",
            SecurityGroupArgs(
                args.owner, private_rules(args.private_ssh_from, ports, args.others, args.ports)
            ),
            child,
        )
        self.groups = [public, private]
        self.public_group_id = public.id
        self.private_group_id = private.id
        self.register_outputs(
            {"public_group_id": self.public_group_id, "private_group_id": self.private_group_id}
        )
