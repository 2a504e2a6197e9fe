"""The layer `swarm`: the swarm of all hosts, the way to it, and the overlay network.

Owns: composing these. Leaves to others: each of them, and what runs on the swarm (data_layer.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi

from components import moved_steps, remote
from components.any_manager import AnyManager
from components.autolock import Autolock, AutolockArgs, counts
from components.cluster_hosts import ClusterHosts
from components.docker_host_access import ByTls, DockerHostAccess, DockerHostAccessArgs
from components.first_bootstrap import last_resources
from components.in_state import InState
from components.overlay_network import OverlayNetwork, OverlayNetworkArgs
from components.service_spec import ServiceSpec
from components.swarm import Swarm, SwarmArgs
from settings import Settings


@dataclass(frozen=True)
class SwarmLayer:
    """A swarm that services can be made on.

    Attributes:
        swarm, network: of all hosts.
        autolock: None where the swarm has none.
        options: for what is made on it: the docker provider, and that it goes with the hosts.
        asked: the engine that the docker provider asks; None where `ssh` chooses one for each connection.
    """

    swarm: Swarm
    network: OverlayNetwork
    options: pulumi.ResourceOptions
    asked: pulumi.Output[str] | None = None
    autolock: Autolock | None = None

    @classmethod
    def declare(
        cls,
        settings: Settings,
        hosts: ClusterHosts,
        any_manager: AnyManager,
        manager: remote.Where,
        services: Sequence[ServiceSpec],
        before: InState | None = None,
        last: Mapping[str, Any] | None = None,
    ) -> SwarmLayer:
        """All of it.

        Args:
            any_manager: for the docker resources.
            manager: for steps: the same, but in a stack that an older version made.
            services: the stack's, those of layers above too, whether or not they are deployed: what keeps
                lists of hosts, and what is on the network.
            before: the state, in a preview.
            last: outputs of the last complete run.
        """
        first = hosts.managers[0]
        memberships = [spec.membership for spec in services if spec.membership]
        of_swarm = SwarmArgs(
            hosts.members,
            manager,
            memberships,
            settings.engine.swarm_pool,
            before or InState(),
            counts(settings, last or {}),
            settings.swarm.join_token_generation,
            described(settings, last or {}),
        )
        swarm = Swarm("swarm", of_swarm)
        tls = None
        if hosts.engine_tls is not None:
            listening = [*hosts.current_managers, *hosts.opened]
            tls = ByTls(hosts.engine_tls, hosts.managers, listening, last or {})
        of_access = DockerHostAccessArgs(any_manager, first.takes_along, [swarm.started], tls)
        access = DockerHostAccess("docker", of_access)
        # When the stack is destroyed, the swarm goes with its hosts: none of this need be taken apart piece
        # by piece. (A first manager that is replaced stays this component, and the swarm stays with the
        # others.)
        on_swarm = pulumi.ResourceOptions(providers=[access.provider], deleted_with=first.takes_along)
        attached = [spec.name for spec in services if spec.network == "overlay"]
        network = OverlayNetwork(
            "network",
            OverlayNetworkArgs(settings.network, manager, attached, [swarm.started]),
            on_swarm,
        )
        autolock = None
        if settings.swarm.autolock:
            # Last of all: while managers are promoted, a swarm that has lost its leader must be able to go on
            # alone, which one with autolock can't.
            of_locks = AutolockArgs(settings.swarm, manager, [*swarm.nodes, *hosts.current_managers])
            autolock = Autolock(
                "swarm-autolock", of_locks, pulumi.ResourceOptions(deleted_with=first.takes_along)
            )
        return cls(swarm, network, on_swarm, access.host, autolock)


def described(settings: Settings, last: Mapping[str, Any]) -> dict[str, str]:
    """Scripts that described nodes in the runs before, by the step's name; none where no label comes or goes.

    Args:
        last: outputs of the last complete run. Without any there may be no state.
    """
    # A host of one's own may have been in a pool before: it is named in either place as it is.
    if not last or not any(host.pooled or host.own for host in settings.servers.planned):
        return {}
    found = {}
    for urn, told in last_resources().items():
        name = urn.rpartition("::")[2]
        if moved_steps.ON_A_MANAGER.fullmatch(name) and name.endswith("-node"):
            found[name] = str((told.get("outputs") or {}).get("stdin") or "")
    return found
