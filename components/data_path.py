"""One manager's data of the database at a path of the user's choice (`galera.dataPath`).

Owns: the step on the host, and when it runs again: after a reload, for another host, another file system.
Leaves to others: the step itself (host_scripts/data_path.py), taking it away (taken_down.py).

It belongs to the layer `data`, though it is a matter of hosts: a stack that goes down forgets it, and one
that comes up again looks anew whether all is there.
"""

from __future__ import annotations

from dataclasses import dataclass

import pulumi

from components import remote
from components.cluster_host import ClusterHost
from components.galera import VOLUME
from components.host_scripts import data_path


@dataclass(frozen=True)
class DataPathArgs:
    """One host's path.

    Attributes:
        server: the host.
        disk: UUID of the data disk's file system.
        engine: it runs then.
        path: absolute.
    """

    server: ClusterHost
    disk: pulumi.Input[str]
    engine: pulumi.Resource
    path: str


class DataPath(pulumi.ComponentResource):
    """A path with the database's data.

    Attributes:
        mounted: depend on this before a container may use the volume.
    """

    def __init__(self, name: str, args: DataPathArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("swarm-galera:data_path:DataPath", name, None, opts)
        self.mounted = remote.run(
            f"{name}-mounted",
            args.server.connection,
            data_path.prepare(args.server.hostname, args.path, VOLUME),
            pulumi.ResourceOptions(parent=self, depends_on=[args.engine]),
            values=args.disk,
        )
        self.register_outputs({})
