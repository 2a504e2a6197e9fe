"""All hosts of the stack, from the order to a running engine.

Owns: which resources a host gets and in which order. Hosts are ordered and prepared side by side; a change
that interrupts existing ones takes them one after the other (turns.py).
Leaves to others: the steps themselves; swarm and services.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import pulumi

from components.docker_disk import DockerDisk, DockerDiskArgs
from components.docker_engine import DockerEngine, DockerEngineArgs
from components.host_system import HostSystem, HostSystemArgs
from components.softlayer.virtual_guest import VirtualGuestArgs
from components.ssh_access import SshAccess
from components.swarm import Member
from components.turns import Turns
from components.virtual_server import OrderGate, VirtualServer, VirtualServerArgs


@dataclass(frozen=True)
class ClusterHostsArgs:
    """The hosts.

    Attributes:
        managers, workers: host names.
        guest: what each of them is; what is the host's own is filled in.
        disks: sizes in GB.
        adopt: host name to id of a guest to take over.
        reload_token: host name to the token of its reload.
        replace: host names; if there are any, the other ones stay what they are, else a change that replaces
            is refused. One that is named is not protected.
        in_turn: host names, in the order of managers and workers: those whose servers this run interrupts.
        ssh, ssh_address, protect: as in `VirtualServerArgs`.
        subnet: the overlay's, checked against the hosts' networks.
        engine_config: daemon.json's text.
        manager_labels, worker_labels: node labels.
    """

    managers: Sequence[str]
    workers: Sequence[str]
    guest: VirtualGuestArgs
    disks: Sequence[int]
    adopt: Mapping[str, int]
    reload_token: Mapping[str, str]
    replace: Collection[str]
    in_turn: Sequence[str]
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
        current_managers: depend on these to find managers' engines with their present configuration, and back
            in service after what interrupted them.
    """

    members: list[Member]

    def __init__(self, name: str, args: ClusterHostsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("swarm-galera:cluster_hosts:ClusterHosts", name, None, opts)
        hostnames = [*args.managers, *args.workers]
        turns = Turns(args.in_turn)
        with OrderGate() as gate:
            self.servers = [self._ordered(hostname, args, gate, turns) for hostname in hostnames]
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
        current = self._current_in_turn()
        turns.close(dict(zip(hostnames, current, strict=True)))
        self.current_managers = current[: len(args.managers)]
        self.register_outputs({})

    def _ordered(self, hostname: str, args: ClusterHostsArgs, gate: OrderGate, turns: Turns) -> VirtualServer:
        named = hostname in args.replace
        guest = replace(
            args.guest,
            hostname=hostname,
            disks=args.disks,
            adopt=args.adopt.get(hostname),
            reload_token=args.reload_token.get(hostname, ""),
            on_replacement="replace" if named else "keep" if args.replace else "refuse",
        )
        return VirtualServer(
            hostname,
            VirtualServerArgs(
                guest=guest,
                ssh=args.ssh,
                gate=gate,
                turn=turns.before(hostname),
                ssh_address=args.ssh_address,
                protect=args.protect and not named,
            ),
            pulumi.ResourceOptions(parent=self),
        )

    def _prepared(self, server: VirtualServer, args: ClusterHostsArgs) -> DockerEngine:
        child = pulumi.ResourceOptions(parent=self)
        system = HostSystem(f"{server.hostname}-system", HostSystemArgs(server, args.subnet), child)
        disk = DockerDisk(f"{server.hostname}-disk", DockerDiskArgs(server, args.disks), child)
        return DockerEngine(
            f"{server.hostname}-engine",
            DockerEngineArgs(server, [system, disk], args.engine_config),
            child,
        )

    def fetch_on_managers(
        self, references: Sequence[pulumi.Input[str]], after: Sequence[pulumi.Resource]
    ) -> list[pulumi.Resource]:
        """Have images, named by their digests, on every manager, after `after`. Call it once."""
        return [member.engine.fetch(references, after) for member in self.members if member.role == "manager"]

    def _current_in_turn(self) -> list[pulumi.Resource]:
        """What interrupts hosts is seen through on one after the other, managers first."""
        current: list[pulumi.Resource] = []
        for member in self.members:
            current.append(member.engine.current(manager=member.role == "manager", after=current[-1:]))
        return current
