"""The stack's servers and nothing on them: identity, key, firewall, orders, first contact.

Owns: the composition, as the whole program makes it. Leaves to others: everything after a server is ready.
Settings: `swarm-galera:count` servers of 1 core, `swarm-galera:disks` in GB, `swarm-galera:memory` in MB
(2048) and `swarm-galera:datacenter` (tor01).
"""

from __future__ import annotations

import pulumi

from components.firewall import Firewall, FirewallArgs
from components.softlayer.stack_identity import StackIdentity
from components.softlayer.virtual_guest import VirtualGuestArgs
from components.ssh_access import SshAccess, SshAccessArgs
from components.virtual_server import OrderGate, VirtualServer, VirtualServerArgs
from settings.server import Server

config = pulumi.Config("swarm-galera")
identity = StackIdentity()
ssh = SshAccess("ssh", SshAccessArgs(identity.owner))
firewall = Firewall("firewall", FirewallArgs(identity.owner, public_ssh_from=["203.0.113.0/24"]))
server = Server.of(
    domain="example.com",
    datacenter=config.get("datacenter") or "tor01",
    memory=config.get_int("memory") or 2048,
    disks=config.require_object("disks"),
)
with OrderGate() as gate:
    servers = [
        VirtualServer(
            f"galera-{number}",
            VirtualServerArgs(
                guest=VirtualGuestArgs(
                    owner=identity.owner,
                    hostname=f"galera-{number}",
                    server=server,
                    public_security_groups=[firewall.public_group_id],
                    private_security_groups=[firewall.private_group_id],
                ),
                ssh=ssh,
                gate=gate,
            ),
        )
        for number in range(1, config.require_int("count") + 1)
    ]
pulumi.export("hosts", {server.hostname: server.guest_id for server in servers})
pulumi.export("addresses", {server.hostname: server.public_ip for server in servers})
