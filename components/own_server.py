"""A host of one's own as all other components see a host.

Owns: the composition of its one resource and the way to it.
Leaves to others: that resource (own_hosts/taken_in.py), what runs on the host.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass, field
from typing import cast

import pulumi
from pulumi_command import remote

from components.cluster_host import ClusterHost
from components.host_scripts import own
from components.in_state import InState, unless_told
from components.own_hosts.taken_in import TakenIn, TakenInArgs
from components.ssh_access import SshAccess
from settings.own_hosts import OwnHost


@dataclass(frozen=True)
class OwnServerArgs:
    """A host of one's own.

    Attributes:
        owner: `StackIdentity.owner`.
        host: as the settings have it.
        ssh: the key that it lets in.
        seen: the host key that was seen before anything was declared; empty if it did not answer.
        before: the state, in a preview; the pinned key stays while the settings give the same one.
        listens: its engine's API listens with TLS, or may do so.
    """

    owner: pulumi.Input[str]
    host: OwnHost
    ssh: SshAccess
    seen: str
    before: InState = field(default_factory=InState)
    listens: bool = False


class OwnServer(ClusterHost):
    """A host that was there before, and stays when the stack goes."""

    def __init__(self, name: str, args: OwnServerArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("swarm-galera:own_server:OwnServer", name, None, opts)
        host = args.host
        self.hostname, self.user, self.port = host.name, host.user, host.port
        taken_in = TakenIn(
            f"{name}-ready",
            TakenInArgs(
                args.owner,
                host.name,
                host.address,
                host.reached_at,
                host.port,
                host.user,
                args.ssh.private_key,
                host.host_key,
                args.seen,
                own.gone(host.name, listens=args.listens),
            ),
            pulumi.ResourceOptions(parent=self),
        )
        self.ready = taken_in
        self.takes_along = None
        before = {key: args.before.of(f"{name}-ready", key) for key in ("given", "host_key")}
        pinned = before["host_key"] if (before["given"] or None) == host.host_key else None
        self.private_ip = unless_told(taken_in.private_ip, host.address)
        self.address = taken_in.ssh_host
        self.public_ip = pulumi.Output.from_input(cast("str | None", None))
        self.host_key = unless_told(taken_in.host_key, pinned)
        self.guest_id = self.host_key.apply(fingerprint)
        self.reboots = pulumi.Output.from_input(0)
        self.connection = remote.ConnectionArgs(
            host=self.address,
            port=float(host.port),
            user=host.user,
            # None where the SSH agent holds the key; the package's types do not say that this is fine.
            private_key=cast(pulumi.Output[str], args.ssh.private_key),
            host_key=self.host_key,
            # The host has answered SSH already: a few more tries cover a reboot.
            dial_error_limit=30,
            per_dial_timeout=15,
        )
        self.register_outputs({"hostname": self.hostname, "host_key": self.host_key})


def fingerprint(host_key: str) -> str:
    """As ssh shows a key's."""
    digest = hashlib.sha256(base64.b64decode(host_key.split()[1])).digest()
    return f"SHA256:{base64.b64encode(digest).decode().rstrip('=')}"
