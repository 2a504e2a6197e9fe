"""A host's second disk as the engine's data directory.

Owns: one script on one host. Leaves to others: the engine.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi

from components import remote
from components.host_scripts import disk, packages
from components.virtual_server import VirtualServer


@dataclass(frozen=True)
class DockerDiskArgs:
    """server: the host. sizes: its disks' in GB; when one grows, the file system takes the new room."""

    server: VirtualServer
    sizes: Sequence[int]


class DockerDisk(pulumi.ComponentResource):
    """The disk, mounted at /var/lib/docker.

    Attributes:
        uuid: the file system's.
    """

    uuid: pulumi.Output[str]

    def __init__(self, name: str, args: DockerDiskArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("swarm-galera:docker_disk:DockerDisk", name, None, opts)
        hostname = args.server.hostname
        prepared = remote.run(
            f"{name}-prepared",
            args.server.connection,
            "\n".join(
                (
                    disk.require_btrfs(hostname),
                    packages.install(["storage"], hostname),
                    disk.prepare(hostname),
                )
            ),
            pulumi.ResourceOptions(parent=self, depends_on=[args.server.ready]),
            triggers=list(args.sizes),
        )
        self.uuid = prepared.stdout
        self.register_outputs({"uuid": self.uuid})
