"""The overlay network of the cluster.

Owns: the network, and that a replaced one takes the stack's services with it.
Leaves to others: whether its subnet is free (settings/, host_scripts/host.py).

The engine changes no network and removes none that a service uses. So a change of `network` in the settings
takes the stack's services down, and makes them again on the new network: minutes without a database, which
then recovers as after a power cut, from the volumes that stay on the hosts. It is refused before anything is
taken down while services of others are attached.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_docker as docker

from components import remote
from components.host_scripts import overlay
from settings import Network


def gateway(subnet: str) -> str:
    """The address in an overlay network that the engine takes for itself: the first one."""
    return str(ipaddress.ip_network(subnet)[1])


@dataclass(frozen=True)
class OverlayNetworkArgs:
    """The network.

    Attributes:
        network: its name, subnet, and whether the hosts encrypt what is on it (IPsec).
        manager: who says who uses the network.
        services: names of the stack's own services on it.
        after: what must be there before the manager is asked.
    """

    network: Network
    manager: remote.Where
    services: Sequence[str]
    after: Sequence[pulumi.Resource]


class OverlayNetwork(pulumi.ComponentResource):
    """An overlay network that services and single containers may attach to.

    Attributes:
        network_id: the engine's id.
        name, subnet: as given.
        ready: what a service on the network depends on, so that the network outlives its last task.
    """

    network_id: pulumi.Output[str]

    def __init__(
        self, name: str, args: OverlayNetworkArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        """`opts` bring the provider, which the network inherits."""
        super().__init__("swarm-galera:overlay_network:OverlayNetwork", name, None, opts)
        wanted = args.network
        self.name, self.subnet = wanted.name, wanted.subnet
        free = remote.run(
            f"{name}-free",
            args.manager,
            overlay.free_of_others(wanted.name, wanted.subnet, wanted.encrypted, args.services),
            pulumi.ResourceOptions(parent=self, depends_on=list(args.after)),
        )
        network = docker.Network(
            f"{name}-network",
            name=wanted.name,
            driver="overlay",
            attachable=True,
            ipam_configs=[docker.NetworkIpamConfigArgs(subnet=wanted.subnet, gateway=gateway(wanted.subnet))],
            options={"encrypted": ""} if wanted.encrypted else {},
            labels=[docker.NetworkLabelArgs(label=overlay.LABEL, value=str(wanted.encrypted).lower())],
            opts=pulumi.ResourceOptions(
                parent=self,
                depends_on=[free],
                # The engine adds to both: the VXLAN's number to the options, in time a gateway to the pools,
                # and any difference would replace the network. So what replaces it is said elsewhere: the one
                # option that is ours by the label, the subnet by the trigger. (A gateway is said because a
                # refresh finds it; ignoring it alone does not help, pools are compared as a whole.)
                ignore_changes=["options", "ipamConfigs"],
                replacement_trigger=wanted.subnet,
                delete_before_replace=True,
            ),
        )
        # When it goes, it waits: after the services, which depend on it, and before the network.
        left = remote.run(
            f"{name}-left",
            args.manager,
            overlay.as_wanted(wanted.name, wanted.subnet),
            pulumi.ResourceOptions(parent=self, depends_on=[network]),
            delete=overlay.tasks_gone(),
            triggers=[network.id],
        )
        self.network_id = network.id
        self.ready: list[pulumi.Resource] = [left]
        self.register_outputs({"network_id": self.network_id})

    def service(self, name: str) -> pulumi.Output[str]:
        """`name` for a service on this network, so that Pulumi removes the service before the network.

        Of what depends on a resource that is deleted before it is replaced, Pulumi deletes first whatever
        would be replaced if all that it gets from there were unknown. A service would not be for its network,
        but it would for its name.
        """
        return self.network_id.apply(lambda _: name)
