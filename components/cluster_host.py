"""What all that runs on a host needs of it, wherever it comes from.

Owns: the attributes. Leaves to others: hosts that are ordered (virtual_server.py), and one's own
(own_server.py).
"""

from __future__ import annotations

import pulumi
from pulumi_command import remote

SSH_PORT = 22
"""Of all hosts but those whose settings say otherwise."""


class ClusterHost(pulumi.ComponentResource):
    """A host that has been met over SSH.

    Attributes:
        hostname: its name, known at preview.
        guest_id: tells it from another host of its name: the id in the account, or of one's own host the
            fingerprint of its host key.
        public_ip: None for a private-only host, and for one's own.
        private_ip: its private address.
        host_key: pinned, `ssh-ed25519 AAAA…`.
        user, port: who the program connects as, and SSH's port.
        address: the one the program connects to.
        reboots: a number that is another one after each change that interrupted the host.
        connection: for `pulumi_command.remote`; the host key is checked.
        ready: depend on this to run after the host can be used.
        takes_along: for `deleted_with` of what is on the swarm that this host starts: what is there goes with
            it when it is cancelled. None for one's own, where it must be taken away piece by piece.
    """

    hostname: str
    guest_id: pulumi.Output[str]
    public_ip: pulumi.Output[str | None]
    private_ip: pulumi.Output[str]
    host_key: pulumi.Output[str]
    user: str
    port: int
    address: pulumi.Output[str]
    reboots: pulumi.Output[int]
    connection: remote.ConnectionArgs
    ready: pulumi.Resource
    takes_along: pulumi.Resource | None
