"""The resource that waits until an ordered guest can really be used.

Owns: what is waited for and what is known afterwards. Leaves to others: the order (virtual_guest.py) and
the conditions themselves (guest_ready_provider.py).
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import pulumi
from pulumi.dynamic import Resource

from components.softlayer.guest_ready_provider import GuestReadyProvider
from components.softlayer.guests import TRANSACTION_LIMIT


@dataclass(frozen=True)
class GuestReadyArgs:
    """What to wait for.

    Attributes:
        guest_id: the guest's id.
        hostname: its name, for messages.
        ssh_address: `public` or `private`: where SSH is expected to answer.
        ssh_port: the port.
        reload_token: the guest's; a new one means a reloaded system, whose host key is read anew.
        provision_timeout: seconds until a guest that is not provisioned is an error; default 90 minutes.
        ssh_timeout: seconds from then on until SSH that does not answer is an error; default 15 minutes.
    """

    guest_id: pulumi.Input[str]
    hostname: pulumi.Input[str]
    ssh_address: pulumi.Input[str] = "public"
    ssh_port: pulumi.Input[int] = 22
    reload_token: pulumi.Input[str] = ""
    provision_timeout: pulumi.Input[float] = TRANSACTION_LIMIT
    ssh_timeout: pulumi.Input[float] = 900.0


class GuestReady(Resource, module="softlayer", name="GuestReady"):
    """A guest that is provisioned, has its addresses and answers SSH with a now pinned host key.

    Attributes:
        public_ip: None for a private-only guest.
        private_ip: the address on the private network.
        host_key: one OpenSSH line, `ssh-ed25519 AAAA…`.
        public_vlan_id, private_vlan_id, public_subnet_id, private_subnet_id: where it was placed.
        provision_date: ISO date and time.
    """

    public_ip: pulumi.Output[str | None]
    private_ip: pulumi.Output[str]
    host_key: pulumi.Output[str]
    public_vlan_id: pulumi.Output[int | None]
    private_vlan_id: pulumi.Output[int]
    public_subnet_id: pulumi.Output[int | None]
    private_subnet_id: pulumi.Output[int | None]
    provision_date: pulumi.Output[str]

    def __init__(self, name: str, args: GuestReadyArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        outputs = (
            "public_ip",
            "private_ip",
            "host_key",
            "public_vlan_id",
            "private_vlan_id",
            "public_subnet_id",
            "private_subnet_id",
            "provision_date",
        )
        props = {f.name: getattr(args, f.name) for f in fields(args)} | dict.fromkeys(outputs)
        super().__init__(GuestReadyProvider(), name, props, opts)
