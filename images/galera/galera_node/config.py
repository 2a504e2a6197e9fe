"""mariadbd's configuration for this start: what depends on the node, as text. No secret is in it.

mariadb-backup reads its group from the same file and comes in as the node does: over the socket, as the
system's user.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

SST_PORT = 4444


@dataclass(frozen=True)
class NodeConfig:
    """One start of mariadbd.

    `weight` is this node's vote in the Primary component: see docs/adr/bootstrap-and-formation.md.
    """

    node: str
    cluster: str
    address: str
    weight: int = 1
    join: Sequence[str] = ()


def render(config: NodeConfig) -> str:
    """The whole option file: the image's and the deployment's settings first, the node's own last."""
    provider = ";".join(
        [
            f"gmcast.listen_addr=tcp://{config.address}:4567",
            f"base_host={config.address}",
            f"ist.recv_addr={config.address}:4568",
            f"pc.weight={config.weight}",
            "pc.recovery=TRUE",
        ]
    )
    return "\n".join(
        [
            "!include /etc/mysql/my.cnf",
            "[mysqld]",
            f"wsrep_cluster_name = {config.cluster}",
            f"wsrep_cluster_address = gcomm://{','.join(config.join)}",
            f"wsrep_node_name = {config.node}",
            f"wsrep_node_address = {config.address}",
            f"wsrep_node_incoming_address = {config.address}:3306",
            f"wsrep_sst_receive_address = {config.address}:{SST_PORT}",
            f'wsrep_provider_options = "{provider}"',
            "[mariabackup]",
            "user = mysql",
            "",
        ]
    )
