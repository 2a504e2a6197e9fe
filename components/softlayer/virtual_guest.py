"""The resource for one virtual server's order: its arguments and outputs.

Owns: what a program may declare. Leaves to others: what each property means to the API
(virtual_guest_provider.py) and waiting until the guest is usable (guest_ready.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import pulumi
from pulumi.dynamic import Resource

from components.softlayer.virtual_guest_provider import VirtualGuestProvider
from settings.server import Server


@dataclass(frozen=True)
class VirtualGuestArgs:
    """One virtual server. What each of its fields means and what a change does: `Server`, `GuestSpec`.

    Attributes:
        owner: `StackIdentity.owner`.
        hostname: known at preview.
        server: what is ordered.
        ssh_key_ids, public_security_groups, private_security_groups, reload_token, on_replacement,
            replaces, adopt: as in `GuestSpec`.
    """

    owner: pulumi.Input[str]
    hostname: str
    server: Server
    ssh_key_ids: pulumi.Input[Sequence[pulumi.Input[str]]] = ()
    public_security_groups: pulumi.Input[Sequence[pulumi.Input[str]]] = ()
    private_security_groups: pulumi.Input[Sequence[pulumi.Input[str]]] = ()
    reload_token: pulumi.Input[str] = ""
    on_replacement: pulumi.Input[str] = "replace"
    replaces: pulumi.Input[int] | None = None
    adopt: pulumi.Input[int] | None = None

    def props(self) -> dict[str, object]:
        """The resource's properties: the server's, and its own."""
        own = {field.name: getattr(self, field.name) for field in fields(self) if field.name != "server"}
        return {name: getattr(self.server, name) for name in Server.model_fields} | own


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
        # What the provider adds is declared, too, so that it becomes outputs.
        added = dict.fromkeys(("marker", "adopted", "reboots"))
        super().__init__(VirtualGuestProvider(), name, {"resource": name, **args.props(), **added}, opts)
