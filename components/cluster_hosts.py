"""All hosts of the stack, from the order to a running engine.

Owns: which resources a host gets and in which order. Hosts are ordered and prepared side by side; a change
that interrupts existing ones takes them one after the other (turns.py).
Leaves to others: the steps themselves; swarm and services.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pulumi

from components import engine_tls
from components.cluster_host import ClusterHost
from components.data_path import DataPath, DataPathArgs
from components.docker_disk import DockerDisk, DockerDiskArgs
from components.docker_engine import DockerEngine, DockerEngineArgs
from components.firewall import Firewall
from components.host_scripts.engine import daemon_json
from components.host_system import HostSystem, HostSystemArgs
from components.in_state import InState
from components.own_hosts.look import Looked
from components.own_server import OwnServer, OwnServerArgs
from components.softlayer.virtual_guest import VirtualGuestArgs
from components.ssh_access import SshAccess
from components.swarm import Member
from components.turns import Turns
from components.virtual_server import OrderGate, VirtualServer, VirtualServerArgs
from settings import Settings
from settings.planned import DATA_LABEL, PlannedHost


@dataclass(frozen=True)
class ClusterHostsArgs:
    """The hosts, as the settings describe them.

    Attributes:
        owner: `StackIdentity.owner`.
        settings: the stack's; of it, servers, hosts, engine, the network's subnet and the address for SSH.
        ssh: the key to install and to connect with.
        own: hosts of one's own, as they were seen; None where there are none.
        firewall: bound when hosts are ordered; None for none.
        in_turn: host names, in the order of managers and workers: those whose servers this run interrupts.
        replicated: names of services whose tasks may move to another host.
        listened: the engines' API may listen with TLS, and is to end that (`engine_tls.ended`).
        locks: managers whose engine restarts may be locked then (`autolock.counts`).
        encrypted: names of hosts whose data disk is.
        ask_swarm: have a manager's engine ask the swarm, before it restarts, whether the others are well.
        before: the state, in a preview.
        replaced: ids of servers that are replaced for their own sake, by host name.
    """

    owner: pulumi.Input[str]
    settings: Settings
    ssh: SshAccess
    own: Looked | None
    firewall: Firewall | None
    in_turn: Sequence[str]
    replicated: Sequence[str] = ()
    ask_swarm: bool = True
    before: InState = field(default_factory=InState)
    listened: bool = False
    locks: bool | None = None
    encrypted: frozenset[str] = frozenset()
    replaced: Mapping[str, int] = field(default_factory=dict)


class ClusterHosts(pulumi.ComponentResource):
    """Hosts with running engines.

    Attributes:
        members: for the swarm, managers first.
        managers, servers: the managers; all hosts.
        bearing: those that bear a node of the database.
        disk_keys: of data disks that are encrypted, by the host's name; secret.
        data_paths: by the host's name, where the database's data has a path of its own.
        engine_tls: certificates of the engines' API; None where that is reached over SSH alone.
        opened: depend on these to find open in the firewall what is to be; none without one.
        current_managers: depend on these to find managers' engines with their present configuration, and back
            in service after what interrupted them.
    """

    members: list[Member]

    def __init__(self, name: str, args: ClusterHostsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("swarm-galera:cluster_hosts:ClusterHosts", name, None, opts)
        planned = args.settings.servers.planned
        turns = Turns(args.in_turn)
        self.opened: list[pulumi.Resource] = [] if args.firewall is None else [*args.firewall.groups]
        with OrderGate() as gate:
            self.servers: list[ClusterHost] = [self._met(host, args, gate, turns) for host in planned]
        pairs = list(zip(self.servers, planned, strict=True))
        self.managers = [server for server, host in pairs if host.role == "manager"]
        self.bearing = [server for server, host in pairs if host.bears_data]
        self.data_paths: dict[str, DataPath] = {}
        self.disk_keys: dict[str, pulumi.Output[str]] = {}
        self.engine_tls = engine_tls.wanted(args.settings, pairs, pulumi.ResourceOptions(parent=self))
        self.members = [
            Member(
                server=server,
                engine=self._prepared(server, host, args),
                role=host.role,
                labels=host.node_labels,
                before_services=self._data_path_of(server),
                bore=DATA_LABEL if host.may_have_borne_data else None,
            )
            for server, host in pairs
        ]
        current = self._current_in_turn(args.ask_swarm)
        turns.close(dict(zip(args.settings.servers.hostnames, current, strict=True)))
        self.current_managers = current[: len(self.managers)]
        self.register_outputs({})

    def _met(self, host: PlannedHost, args: ClusterHostsArgs, gate: OrderGate, turns: Turns) -> ClusterHost:
        """One host, ordered or one's own."""
        if host.own is None:
            return self._ordered(host, args, gate, turns)
        seen = "" if args.own is None else args.own.host_key(host.name)
        listens = args.listened or args.settings.engine.access == "tls"
        of_host = OwnServerArgs(args.owner, host.own, args.ssh, seen, args.before, listens)
        return OwnServer(host.name, of_host, pulumi.ResourceOptions(parent=self))

    def _ordered(
        self, host: PlannedHost, args: ClusterHostsArgs, gate: OrderGate, turns: Turns
    ) -> VirtualServer:
        """One server.

        While `servers.replace` names any host, the others stay what they are; while it is empty, a change
        that replaces is refused. A host that it names is not protected. So it is, too, while a server is
        replaced for its own sake (`ClusterHostsArgs.replaced`).
        """
        servers, firewall = args.settings.servers, args.firewall
        hostname, ordered = host.name, host.ordered or servers.each
        named = hostname in servers.replace or hostname in args.replaced
        keeps = servers.replace or args.replaced
        guest = VirtualGuestArgs(
            args.owner,
            hostname,
            ordered,
            public_security_groups=(
                [] if firewall is None or ordered.private_only else [firewall.public_group_id]
            ),
            private_security_groups=[] if firewall is None else [firewall.private_group_id],
            reload_token=servers.reload_token.get(hostname, ""),
            on_replacement="replace" if named else "keep" if keeps else "refuse",
            replaces=args.replaced.get(hostname),
            adopt=servers.adopt.get(hostname),
        )
        return VirtualServer(
            hostname,
            VirtualServerArgs(
                guest=guest,
                ssh=args.ssh,
                gate=gate,
                turn=turns.before(hostname),
                ssh_address=args.settings.ssh.address,
                protect=servers.protect and not named,
                before=InState() if named or hostname in args.in_turn else args.before,
            ),
            pulumi.ResourceOptions(parent=self),
        )

    def _prepared(self, server: ClusterHost, host: PlannedHost, args: ClusterHostsArgs) -> DockerEngine:
        child = pulumi.ResourceOptions(parent=self)
        name, settings = server.hostname, args.settings
        disk = None
        if host.own is None or host.own.disk is not None:
            sizes = () if host.ordered is None else host.ordered.disks
            named = None if host.own is None else host.own.disk
            of_disk = DockerDiskArgs(server, sizes, named, name in args.encrypted)
            disk = DockerDisk(f"{name}-disk", of_disk, child)
            if disk.key is not None:
                self.disk_keys[name] = disk.key
        of_system = HostSystemArgs(server, settings.network.subnet, settings.hosts, own_disk=disk is not None)
        system = HostSystem(f"{name}-system", of_system, child)
        of_engine = DockerEngineArgs(
            server,
            [system] if disk is None else [system, disk],
            engine_config(settings, host),
            args.replicated,
            may_be_kept=host.own is not None,
            unlocked_by=unlocked_by(settings, host, args.locks),
            listener=None if self.engine_tls is None else self.engine_tls.listeners[name],
            listened=args.listened,
        )
        engine = DockerEngine(f"{name}-engine", of_engine, child)
        path = settings.galera.data_path
        if path is not None and disk and server in self.bearing and settings.deploys("data"):
            of_path = DataPathArgs(server, disk.uuid, engine.started, path)
            self.data_paths[name] = DataPath(f"{name}-data-path", of_path, child)
        return engine

    def _data_path_of(self, server: ClusterHost) -> list[pulumi.Resource]:
        """What must be there before a container with the database may come to this host, if anything."""
        path = self.data_paths.get(server.hostname)
        return [] if path is None else [path.mounted]

    def fetch_on_managers(
        self, references: Sequence[pulumi.Input[str]], after: Sequence[pulumi.Resource]
    ) -> list[pulumi.Resource]:
        """Have images, named by their digests, on every manager, after `after`. Call it once."""
        return self._fetch("manager", references, after)

    def fetch_on_workers(
        self, references: Sequence[pulumi.Input[str]], after: Sequence[pulumi.Resource]
    ) -> list[pulumi.Resource]:
        """As `fetch_on_managers`, for the workers, once; without images nothing is done there."""
        return self._fetch("worker", references, after) if references else []

    def _fetch(
        self, role: str, references: Sequence[pulumi.Input[str]], after: Sequence[pulumi.Resource]
    ) -> list[pulumi.Resource]:
        return [member.engine.fetch(references, after) for member in self.members if member.role == role]

    def _current_in_turn(self, ask_swarm: bool) -> list[pulumi.Resource]:
        """What interrupts hosts is seen through on one after the other, managers first."""
        current: list[pulumi.Resource] = []
        for member in self.members:
            asks = ask_swarm and member.role == "manager"
            # A host whose system was reloaded is not back before its database is, which needs its data.
            after = [*member.before_services, *current[-1:]]
            current.append(member.engine.current(manager=asks, after=after))
        return current


def unlocked_by(settings: Settings, host: PlannedHost, locks: bool | None = None) -> list[str] | None:
    """The managers that may tell this host the unlock key; None for one that is never locked.

    Args:
        locks: managers may be locked; None for what the settings say.
    """
    if locks is None:
        locks = settings.swarm.autolock and settings.deploys("swarm")
    if not locks or host.role != "manager":
        return None
    return [name for name in settings.servers.manager_names if name != host.name]


def engine_config(settings: Settings, host: PlannedHost) -> str:
    """The daemon.json of a host's engine. Where its data has no disk of its own, the engine chooses how it
    stores.
    """
    engine, size = settings.engine, {}
    if host.ordered is not None:
        size = {"size": f"{host.ordered.cores}x{host.ordered.memory}"}
    return daemon_json(
        {"datacenter": host.datacenter, **size, **engine.labels},
        engine.dns,
        engine.registry_mirrors,
        engine.insecure_registries,
        engine.bridge,
        engine.address_pools,
        engine.options,
        on_btrfs=host.own is None or host.own.disk is not None,
    )
