"""All hosts of the stack, from the order to a running engine.

Owns: which resources a host gets and in which order; hosts do not wait for one another.
Leaves to others: the steps themselves; swarm and services.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import pulumi

from components.docker_disk import DockerDisk, DockerDiskArgs
from components.docker_engine import DockerEngine, DockerEngineArgs
from components.host_system import HostSystem, HostSystemArgs
from components.softlayer.virtual_guest import VirtualGuestArgs
from components.ssh_access import SshAccess
from components.swarm import Member
from components.virtual_server import OrderGate, VirtualServer, VirtualServerArgs


@dataclass(frozen=True)
class ClusterHostsArgs:
    """The hosts.

    Attributes:
        managers, workers: host names.
        guest: what each of them is; `hostname` and `adopt` are filled in.
        adopt: host name to id of a guest to take over.
        ssh, ssh_address, protect: as in `VirtualServerArgs`.
        subnet: the overlay's, checked against the hosts' networks.
        engine_config: daemon.json's text.
        manager_labels, worker_labels: node labels.
    """

    managers: Sequence[str]
    workers: Sequence[str]
    guest: VirtualGuestArgs
    adopt: Mapping[str, int]
    ssh: SshAccess
    ssh_address: str
    protect: bool
    subnet: str
    engine_config: str
    manager_labels: Mapping[str, str]
    worker_labels: Mapping[str, str]


class ClusterHosts(pulumi.ComponentResource):
    """Hosts with running engines.

    Attributes:
        members: for the swarm, managers first.
        managers, servers: the managers; all hosts.
        current_managers: depend on these to find managers' engines with their present configuration.
    """

    members: list[Member]

    def __init__(self, name: str, args: ClusterHostsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("swarm-galera:cluster_hosts:ClusterHosts", name, None, opts)
        hostnames = [*args.managers, *args.workers]
        with OrderGate() as gate:
            self.servers = [self._ordered(hostname, args, gate) for hostname in hostnames]
        self.managers = self.servers[: len(args.managers)]
        self.members = [
            Member(
                server=server,
                engine=self._prepared(server, args),
                role="manager" if server in self.managers else "worker",
                labels=args.manager_labels if server in self.managers else args.worker_labels,
            )
            for server in self.servers
        ]
        self.current_managers = self._restarted_in_turn()[: len(args.managers)]
        self.register_outputs({})

    def _ordered(self, hostname: str, args: ClusterHostsArgs, gate: OrderGate) -> VirtualServer:
        return VirtualServer(
            hostname,
            VirtualServerArgs(
                guest=replace(args.guest, hostname=hostname, adopt=args.adopt.get(hostname)),
                ssh=args.ssh,
                gate=gate,
                ssh_address=args.ssh_address,
                protect=args.protect,
            ),
            pulumi.ResourceOptions(parent=self),
        )

    def _prepared(self, server: VirtualServer, args: ClusterHostsArgs) -> DockerEngine:
        child = pulumi.ResourceOptions(parent=self)
        system = HostSystem(f"{server.hostname}-system", HostSystemArgs(server, args.subnet), child)
        disk = DockerDisk(f"{server.hostname}-disk", DockerDiskArgs(server), child)
        return DockerEngine(
            f"{server.hostname}-engine",
            DockerEngineArgs(server, [system, disk], args.engine_config),
            child,
        )

    def fetch_on_managers(
        self, references: Sequence[str], after: Sequence[pulumi.Resource]
    ) -> list[pulumi.Resource]:
        """Have images on every manager, after `after`. Call it once."""
        return [member.engine.fetch(references, after) for member in self.members if member.role == "manager"]

    def _restarted_in_turn(self) -> list[pulumi.Resource]:
        """A changed engine configuration takes effect on one host after the other, managers first."""
        restarted: list[pulumi.Resource] = []
        for member in self.members:
            restarted.append(member.engine.restart_in_turn(after=restarted[-1:]))
        return restarted
