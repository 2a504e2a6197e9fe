"""The overlay network of the cluster.

Owns: the network. Leaves to others: whether its subnet is free (settings.py, commands/host.py).
"""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
import pulumi_docker as docker


@dataclass(frozen=True)
class OverlayNetworkArgs:
    """name, subnet: of the network. encrypted: IPsec between the hosts; a change replaces the network."""

    name: str
    subnet: str
    encrypted: bool = True


class OverlayNetwork(pulumi.ComponentResource):
    """An overlay network that services and single containers may attach to.

    Attributes:
        network_id: the engine's id.
        name, subnet: as given.
    """

    network_id: pulumi.Output[str]

    def __init__(
        self, name: str, args: OverlayNetworkArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        """`opts` bring the provider, which the network inherits."""
        super().__init__("swarm-galera:overlay_network:OverlayNetwork", name, None, opts)
        self.name, self.subnet = args.name, args.subnet
        network = docker.Network(
            f"{name}-network",
            name=args.name,
            driver="overlay",
            attachable=True,
            ipam_configs=[docker.NetworkIpamConfigArgs(subnet=args.subnet)],
            options={"encrypted": ""} if args.encrypted else {},
            labels=[
                docker.NetworkLabelArgs(label="swarm-galera.encrypted", value=str(args.encrypted).lower())
            ],
            opts=pulumi.ResourceOptions(
                parent=self,
                # The engine adds the VXLAN's number to the options, which is no change of ours; the label
                # carries the one option that is, and replaces the network when it changes.
                ignore_changes=["options"],
                delete_before_replace=True,
            ),
        )
        self.network_id = network.id
        self.register_outputs({"network_id": self.network_id})
