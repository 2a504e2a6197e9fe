"""A host's second disk as the engine's data directory.

Owns: one script on one host. Leaves to others: the engine.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi

from components import remote
from components.cluster_host import ClusterHost
from components.host_scripts import disk, own, packages


@dataclass(frozen=True)
class DockerDiskArgs:
    """One host's disk.

    Attributes:
        server: the host.
        sizes: its disks' in GB; when one grows, the file system takes the new room.
        named: the device, of a host of one's own; None for the first that is free.
    """

    server: ClusterHost
    sizes: Sequence[int]
    named: str | None = None


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
                    disk.prepare(hostname, find="" if args.named is None else own.this_disk(args.named)),
                )
            ),
            pulumi.ResourceOptions(parent=self, depends_on=[args.server.ready]),
            triggers=list(args.sizes),
        )
        self.uuid = prepared.stdout
        self.register_outputs({"uuid": self.uuid})
