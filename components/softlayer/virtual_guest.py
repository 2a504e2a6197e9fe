"""The resource for one virtual server's order: its arguments and outputs.

Owns: what a program may declare. Leaves to others: what each property means to the API
(virtual_guest_provider.py) and waiting until the guest is usable (guest_ready.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

import pulumi
from pulumi.dynamic import Resource

from components.softlayer.virtual_guest_provider import VirtualGuestProvider


@dataclass(frozen=True)
class VirtualGuestArgs:
    """One virtual server.

    Attributes:
        owner: `StackIdentity.owner`.
        hostname, domain: its name, known at preview; changed in place.
        datacenter: short name, e.g. `tor01`; a change replaces.
        cores: changed in place by an upgrade (reboots).
        memory: MB; changed in place by an upgrade (reboots).
        disks: sizes in GB, the first is the system's; grown or added in place, never shrunk or removed.
        os: operating system reference code, e.g. `DEBIAN_LATEST`; a change replaces. Give this or `image`.
        image: global identifier of an image template; a change replaces.
        hourly: hourly billing, else monthly; a change replaces.
        local_disk: local disks, else SAN; a change replaces.
        nic_speed: Mbit/s; changed in place.
        private_only: no public interface; a change replaces.
        public_vlan, private_vlan: VLAN ids (not numbers), None for the datacenter's own; a change replaces.
        public_subnet, private_subnet: subnet ids within those VLANs; a change replaces.
        ssh_key_ids: keys installed at order time; a change takes effect at the next OS reload.
        public_security_groups, private_security_groups: ids, at most five each; bound with the order,
            attached and detached in place later.
        tags: besides the stack's own; changed in place.
        notes: free text; changed in place.
        user_data: free text the guest can read; changed in place.
        post_install_url: https address of a script run after the first boot and after a reload.
        placement_group: its id; a change replaces.
        reload_token: a new one has the operating system reloaded (the first disk is wiped); empty changes
            nothing.
        on_replacement: what a change that replaces means for a server that exists: `replace` it; `keep` it as
            it is, which is said in the preview; `refuse`, before anything is done to it.
        adopt: id of a guest that exists already and is taken over as it is, instead of ordering one.
    """

    owner: pulumi.Input[str]
    hostname: str
    domain: str
    datacenter: str
    cores: pulumi.Input[int] = 1
    memory: pulumi.Input[int] = 2048
    disks: pulumi.Input[Sequence[pulumi.Input[int]]] = (25,)
    os: pulumi.Input[str] | None = None
    image: pulumi.Input[str] | None = None
    hourly: pulumi.Input[bool] = True
    local_disk: pulumi.Input[bool] = True
    nic_speed: pulumi.Input[int] = 100
    private_only: pulumi.Input[bool] = False
    public_vlan: pulumi.Input[int] | None = None
    private_vlan: pulumi.Input[int] | None = None
    public_subnet: pulumi.Input[int] | None = None
    private_subnet: pulumi.Input[int] | None = None
    ssh_key_ids: pulumi.Input[Sequence[pulumi.Input[str]]] = ()
    public_security_groups: pulumi.Input[Sequence[pulumi.Input[str]]] = ()
    private_security_groups: pulumi.Input[Sequence[pulumi.Input[str]]] = ()
    tags: pulumi.Input[Sequence[pulumi.Input[str]]] = ()
    notes: pulumi.Input[str] = ""
    user_data: pulumi.Input[str] = ""
    post_install_url: pulumi.Input[str] | None = None
    placement_group: pulumi.Input[int] | None = None
    reload_token: pulumi.Input[str] = ""
    on_replacement: pulumi.Input[str] = "replace"
    adopt: pulumi.Input[int] | None = None


class VirtualGuest(Resource, module="softlayer", name="VirtualGuest"):
    """One ordered virtual server; known as soon as the order is taken, long before it can be used.

    Attributes:
        marker: the identity that the order carries.
        adopted: whether it existed before this stack (then it is never cancelled by it).
        reboots: how often a change rebooted or reloaded it; a trigger for what must then be done on it.
    """

    marker: pulumi.Output[str]
    adopted: pulumi.Output[bool]
    reboots: pulumi.Output[float | None]
    hostname: pulumi.Output[str]
    datacenter: pulumi.Output[str]

    def __init__(self, name: str, args: VirtualGuestArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        props: Mapping[str, object] = {
            "resource": name,
            **{field.name: getattr(args, field.name) for field in fields(args)},
            "marker": None,
            "adopted": None,
            "reboots": None,
        }
        super().__init__(VirtualGuestProvider(), name, dict(props), opts)
