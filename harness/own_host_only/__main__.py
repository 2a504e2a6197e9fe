"""One host of one's own and nothing on it: identity, key, taken in.

Owns: the composition, as the whole program makes it. Leaves to others: the look before it, everything after.
Settings: `swarm-galera:host`, as one of `servers.hosts`, `swarm-galera:key` (a private key's text) and
`swarm-galera:seen` (the host key that a look has seen).
"""

from __future__ import annotations

import pulumi

from components.first_bootstrap import last_outputs
from components.in_state import InState
from components.own_server import OwnServer, OwnServerArgs
from components.softlayer.stack_identity import StackIdentity
from components.ssh_access import SshAccess, SshAccessArgs
from settings.own_hosts import OwnHost

config = pulumi.Config("swarm-galera")
identity = StackIdentity(account=False)
ssh = SshAccess("ssh", SshAccessArgs(identity.owner, private_key=config.require("key"), in_account=False))
host = OwnHost.model_validate(config.require_object("host"))
before = InState.read(last_outputs())
server = OwnServer(host.name, OwnServerArgs(identity.owner, host, ssh, config.get("seen") or "", before))
pulumi.export("hostKey", server.host_key)
pulumi.export("privateIp", server.private_ip)
pulumi.export("id", server.guest_id)
