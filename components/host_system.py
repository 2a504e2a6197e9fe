"""A host's system: its name, its way in, its networks checked, the engine's packages installed.

Owns: the scripts for that on one host, and for what `hosts` of the settings says of its system.
Leaves to others: the data disk (docker_disk.py), which is prepared at the same time, and the engine's start
(docker_engine.py), for which both are needed.
"""

from __future__ import annotations

from dataclasses import dataclass

import pulumi

from components import remote
from components.cluster_host import ClusterHost
from components.host_scripts import engine, host, packages
from settings import Hosts


@dataclass(frozen=True)
class HostSystemArgs:
    """One host's system.

    Attributes:
        server: the host.
        subnet: the overlay's, which must not be one of the host's networks.
        hosts: what is said of every host's system.
        own_disk: the engine's data is on a disk of its own.
    """

    server: ClusterHost
    subnet: str
    hosts: Hosts
    own_disk: bool = True


class HostSystem(pulumi.ComponentResource):
    """A host with its packages."""

    def __init__(self, name: str, args: HostSystemArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("swarm-galera:host_system:HostSystem", name, None, opts)
        hostname = args.server.hostname
        # Names come first: packages are fetched by them.
        asked = self._resolver(name, args)
        if args.hosts.motd:
            self._step(f"{name}-motd", args.server, host.motd(args.hosts.motd), host.motd_gone())
        remote.run(
            f"{name}-packages",
            args.server.connection,
            "\n".join(
                (
                    host.refuse_overlap(args.subnet, hostname),
                    host.name_and_limits(hostname),
                    # Before the packages, because they start the engine.
                    *([engine.bind_to_disk()] if args.own_disk else []),
                    packages.install(["engine"], hostname),
                )
            ),
            pulumi.ResourceOptions(parent=self, depends_on=[args.server.ready, *asked]),
        )
        self.register_outputs({})

    def _resolver(self, name: str, args: HostSystemArgs) -> list[pulumi.Resource]:
        """Whom the host asks for names, if the settings say so."""
        hosts = args.hosts
        if not hosts.resolvers and not hosts.search_domains:
            return []
        text = host.resolver(args.server.hostname, hosts.resolvers, hosts.search_domains)
        return [self._step(f"{name}-resolver", args.server, text, host.resolver_gone())]

    def _step(self, name: str, server: ClusterHost, create: str, delete: str) -> pulumi.Resource:
        """A step that is taken back when its setting goes, and not when its host goes."""
        opts = pulumi.ResourceOptions(parent=self, depends_on=[server.ready], deleted_with=server)
        return remote.run(name, server.connection, create, opts, delete=delete)
