"""Every host asks the Consul on itself for names first, once that runs; and no more when it goes.

Owns: the step on each host, and when it runs again.
Leaves to others: what it does (host_scripts/host.py), Consul (consul.py), the resolvers that the settings
name (host_system.py), which a host asks after it.

A step that goes is taken back before Consul does: Pulumi deletes in the opposite order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi

from components import remote
from components.cluster_host import ClusterHost
from components.host_scripts import host
from settings import Hosts


@dataclass(frozen=True)
class HostsAskConsulArgs:
    """The hosts and their Consul.

    Attributes:
        servers: all that have one.
        hosts: what is said of every host's system.
        running: Consul answers on all of them then.
    """

    servers: Sequence[ClusterHost]
    hosts: Hosts
    running: pulumi.Resource


class HostsAskConsul(pulumi.ComponentResource):
    """Hosts that find the stack's services by name.

    Attributes:
        hosts: depend on these to have them do so.
    """

    hosts: list[pulumi.Resource]

    def __init__(
        self, name: str, args: HostsAskConsulArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("swarm-galera:hosts_ask_consul:HostsAskConsul", name, None, opts)
        self.hosts = [self._step(f"{name}-{server.hostname}", server, args) for server in args.servers]
        self.register_outputs({})

    def _step(self, name: str, server: ClusterHost, args: HostsAskConsulArgs) -> pulumi.Resource:
        hosts, own = args.hosts, server.takes_along is None
        opts = pulumi.ResourceOptions(
            parent=self,
            depends_on=[args.running],
            deleted_with=server,
            # Replaced (`pulumi up --replace`), it must not be taken back last.
            delete_before_replace=True,
        )
        return remote.run(
            name,
            server.connection,
            host.agent_first(server.hostname, hosts.search_domains, hosts.resolvers, own=own),
            opts,
            delete=host.agent_gone(),
        )
