"""A host's second disk as the engine's data directory.

Owns: one script on one host, and the key of a disk that is encrypted. Leaves to others: the engine, which
hosts' disks are (disk_encryption.py), opening them after a boot that was not this program's
(operations/unlock/locked_disks.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pulumi

from components import remote
from components.cluster_host import ClusterHost
from components.host_scripts import disk, disk_crypt, own, packages
from components.token import Token


@dataclass(frozen=True)
class DockerDiskArgs:
    """One host's disk.

    Attributes:
        server: the host.
        sizes: its disks' in GB; when one grows, the file system takes the new room.
        named: the device, of a host of one's own; None for the first that is free.
        encrypted: the disk is encrypted, below all else that is on it.
    """

    server: ClusterHost
    sizes: Sequence[int]
    named: str | None = None
    encrypted: bool = False


class DockerDisk(pulumi.ComponentResource):
    """The disk, mounted at /var/lib/docker.

    Attributes:
        uuid: the file system's.
        key: of the encrypted disk, secret; None without.
    """

    uuid: pulumi.Output[str]
    key: pulumi.Output[str] | None

    def __init__(self, name: str, args: DockerDiskArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("swarm-galera:docker_disk:DockerDisk", name, None, opts)
        hostname, server = args.server.hostname, args.server
        find = "" if args.named is None else own.this_disk(args.named)
        self.key, values, triggers = None, pulumi.Output.from_input(""), list[pulumi.Input[Any]](args.sizes)
        parts = [
            disk.require_btrfs(hostname),
            packages.install(["storage"], hostname),
            disk.prepare(hostname, find=find),
        ]
        if args.encrypted:
            # Another server has another disk. Of one's own, the disk may stay where the system is made anew.
            holder = None if args.named is not None else server.guest_id
            child = pulumi.ResourceOptions(parent=self)
            self.key = pulumi.Output.secret(Token(f"{name}-key", "key", child, holder=holder).value)
            values = self.key
            # It is locked after a boot, and what waits for the host to be back waits for this.
            triggers.append(server.reboots)
            parts = [
                # Before all that might read what is meant for it.
                "IFS= read -r key",
                disk.require_btrfs(hostname),
                disk_crypt.require(hostname),
                packages.install(["storage", "encryption"], hostname),
                disk_crypt.prepare(hostname, find=find),
            ]
        prepared = remote.run(
            f"{name}-prepared",
            server.connection,
            "\n".join(parts),
            pulumi.ResourceOptions(parent=self, depends_on=[server.ready]),
            values=values,
            triggers=triggers,
        )
        self.uuid = prepared.stdout
        self.register_outputs({"uuid": self.uuid})
