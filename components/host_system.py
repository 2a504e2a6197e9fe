"""A host's system: its name, its way in, its networks checked, the engine's packages installed.

Owns: one script on one host. Leaves to others: the data disk (docker_disk.py), which is prepared at the same
time, and the engine's start (docker_engine.py), for which both are needed.
"""

from __future__ import annotations

from dataclasses import dataclass

import pulumi

from components import remote
from components.host_scripts import engine, host, packages
from components.virtual_server import VirtualServer


@dataclass(frozen=True)
class HostSystemArgs:
    """server: the host. subnet: the overlay's, which must not be one of the host's networks."""

    server: VirtualServer
    subnet: str


class HostSystem(pulumi.ComponentResource):
    """A host with its packages."""

    def __init__(self, name: str, args: HostSystemArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("swarm-galera:host_system:HostSystem", name, None, opts)
        hostname = args.server.hostname
        remote.run(
            f"{name}-packages",
            args.server.connection,
            "\n".join(
                (
                    host.refuse_overlap(args.subnet, hostname),
                    host.name_and_limits(hostname),
                    # Before the packages, because they start the engine.
                    engine.bind_to_disk(),
                    packages.install(["engine"], hostname),
                )
            ),
            pulumi.ResourceOptions(parent=self, depends_on=[args.server.ready]),
        )
        self.register_outputs({})
