"""One host: its order, the wait for it, and how to connect to it.

Owns: the composition of order and wait, and the order of both among many hosts.
Leaves to others: the API (components/softlayer), what runs on the host.

Pulumi's dynamic provider serves four calls at a time. Orders take a moment, waits take minutes: were a wait
to start before the last order was placed, four waits would hold up the orders of all further hosts. So all
servers of a stack share one `OrderGate`: no wait starts until every order has been taken, and then all hosts
are provisioned side by side, whoever is being waited for. The gate leaves no edges in the state. Changes that
interrupt existing servers are another matter: those come one after the other (turns.py).
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import cast

import pulumi
from pulumi_command import remote

from components.cluster_host import SSH_PORT, ClusterHost
from components.in_state import InState, unless_told
from components.softlayer.guest_ready import GuestReady, GuestReadyArgs
from components.softlayer.virtual_guest import VirtualGuest, VirtualGuestArgs
from components.ssh_access import SshAccess


class OrderGate:
    """Opens when every server that was declared before `close` has been ordered.

    Use: `gate = OrderGate()`; make all servers with it; `gate.close()`. A forgotten `close` would wait for
    ever, so use it as a context: `with OrderGate() as gate: …`.
    """

    def __init__(self) -> None:
        self._ids: list[pulumi.Output[str]] = []
        self._closed = asyncio.Event()

    def __enter__(self) -> OrderGate:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def add(self, guest: VirtualGuest) -> None:
        """Have the gate wait for one more order."""
        if self._closed.is_set():
            raise RuntimeError("the gate is closed: declare all servers before OrderGate.close()")
        self._ids.append(guest.id)

    def close(self) -> None:
        """No more servers will be declared."""
        self._closed.set()

    def opened(self) -> pulumi.Output[list[pulumi.Resource]]:
        """For use as `depends_on`: resolves when all orders have been taken, and names no resource."""

        async def wait() -> list[pulumi.Resource]:
            await self._closed.wait()
            await asyncio.gather(*(guest_id.future() for guest_id in self._ids))
            return []

        return pulumi.Output.from_input(wait())


@dataclass(frozen=True)
class VirtualServerArgs:
    """One host.

    Attributes:
        guest: what to order; its `ssh_key_ids` are filled in from `ssh`.
        ssh: the key to install and to connect with.
        gate: shared by all servers of the stack.
        turn: for an existing server that this run interrupts: what resolves when it may (`Turns.before`).
            Such a server is ordered already, so that the gate does not wait for it.
        ssh_address: `public` or `private`: where the program connects to.
        protect: have Pulumi refuse to delete or replace the host.
        user: who the program connects as.
        before: the state; its count of reboots holds where this run does not interrupt or replace the host.
    """

    guest: VirtualGuestArgs
    ssh: SshAccess
    gate: OrderGate
    turn: pulumi.Output[list[pulumi.Resource]] | None = None
    ssh_address: str = "public"
    protect: bool = False
    user: str = "root"
    before: InState = field(default_factory=InState)


class VirtualServer(ClusterHost):
    """A host that has been ordered, provisioned and met over SSH; its host key is pinned at first contact."""

    def __init__(
        self, name: str, args: VirtualServerArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("swarm-galera:virtual_server:VirtualServer", name, None, opts)
        self.hostname = args.guest.hostname
        self.user, self.port = args.user, SSH_PORT
        self.takes_along = self
        guest = VirtualGuest(
            f"{name}-guest",
            replace(args.guest, ssh_key_ids=[args.ssh.key_id]),
            pulumi.ResourceOptions(parent=self, protect=args.protect, depends_on=args.turn),
        )
        if args.turn is None:
            args.gate.add(guest)
        reboots = unless_told(guest.reboots, args.before.of(f"{name}-guest", "reboots"))
        self.reboots = reboots.apply(lambda count: int(count or 0))
        self.ready = GuestReady(
            f"{name}-ready",
            GuestReadyArgs(
                guest_id=guest.id,
                hostname=args.guest.hostname,
                ssh_address=args.ssh_address,
                reload_token=args.guest.reload_token,
            ),
            pulumi.ResourceOptions(parent=self, depends_on=args.gate.opened()),
        )
        self.guest_id = guest.id
        self.public_ip = self.ready.public_ip
        self.private_ip = self.ready.private_ip
        self.host_key = self.ready.host_key
        self.address = (
            self.ready.private_ip
            if args.ssh_address == "private"
            else self.ready.public_ip.apply(lambda ip: ip or "")
        )
        self.connection = remote.ConnectionArgs(
            host=self.address,
            user=args.user,
            # None where the SSH agent holds the key; the package's types do not say that this is fine.
            private_key=cast(pulumi.Output[str], args.ssh.private_key),
            host_key=self.host_key,
            # The host has answered SSH already: a few more tries cover a reboot.
            dial_error_limit=30,
            per_dial_timeout=15,
        )
        self.register_outputs(
            {
                "hostname": self.hostname,
                "guest_id": self.guest_id,
                "public_ip": self.public_ip,
                "private_ip": self.private_ip,
                "host_key": self.host_key,
            }
        )


def names(servers: Sequence[ClusterHost]) -> list[str]:
    """Host names, in order."""
    return [server.hostname for server in servers]
