"""What hosts do when the layers above them are taken down: they leave the swarm; data that is not kept goes.

Owns: which step is on which host, their order, and whether all is done.
Leaves to others: the steps (host_scripts/taken_down.py), removing services, network and nodes (Pulumi, as
they are not declared any more), whether a layer may be taken down (layers.py).

Pulumi creates first and deletes last, and only a swarm can be asked to delete what is in it. So the run that
takes a layer down leaves the swarm as it is, and these steps say `pending`; the next run has them look again,
by another trigger, when all that the state knew is gone. `python -m operations up` makes both runs.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import pulumi

from components import application, data_layer, galera, remote, store_change, swarm_files
from components.cluster_host import ClusterHost
from components.cluster_hosts import ClusterHosts
from components.discovery import VOLUMES
from components.host_scripts import data_path
from components.host_scripts import taken_down as scripts
from components.layers import Layers
from settings import Settings
from settings.discovery import Kind


@dataclass(frozen=True)
class TakenDownArgs:
    """A stack below its highest layer.

    Attributes:
        hosts: all of them, the first manager first.
        manager: any of them.
        layers: how far the stack is deployed.
        leave: have the hosts leave the swarm.
        volumes: what is removed from every manager; while the data is kept, no more than the records of a
            former store.
        everywhere: what is removed from every host, workers included.
        data_path: where the rows are, if not in the engine's folder: goes with their volume.
        away: hosts that do not answer.
    """

    hosts: ClusterHosts
    manager: remote.Where
    layers: Layers
    leave: bool
    volumes: Sequence[str] = ()
    everywhere: Sequence[str] = ()
    data_path: str | None = None
    away: frozenset[str] = frozenset()

    @classmethod
    def of(
        cls,
        settings: Settings,
        hosts: ClusterHosts,
        manager: remote.Where,
        layers: Layers,
        *,
        leave: bool,
        away: Collection[str] = (),
    ) -> TakenDownArgs:
        """As the settings have it. Args: away: hosts of one's own that the program itself did not reach."""
        former = store_change.superseded(settings, layers.record)
        # While the data is kept, no more than records that a later change back must not find again.
        stores: set[Kind] = set() if settings.keep_data else {settings.discovery.kind, "etcd"}
        if former is not None:
            stores.add(former)
        records = [VOLUMES[store] for store in sorted(stores)]
        everywhere = [volume for volume in records if volume in data_layer.EVERYWHERE]
        on_managers = [volume for volume in records if volume not in everywhere]
        if not settings.keep_data:
            on_managers.append(galera.VOLUME)
            everywhere += application.uploads_volumes(settings)
        path, silent = settings.galera.data_path, layers.away | frozenset(away)
        return cls(hosts, manager, layers, leave, on_managers, everywhere, path, silent)

    @property
    def missed(self) -> list[str]:
        """Hosts that have something to do and do not answer: they do it in the next run that reaches them."""
        waits = self.hosts.servers if self.layers.due else ()
        due = {server.hostname for server in waits} | self.layers.missed
        return [
            server.hostname
            for server in self.hosts.servers
            if server.hostname in due & self.away and (self.leave or self.volumes_of(server))
        ]

    def volumes_of(self, server: ClusterHost) -> list[str]:
        """What is removed from this host."""
        return [*(self.volumes if server in self.hosts.bearing else ()), *self.everywhere]


class TakenDown(pulumi.ComponentResource):
    """Hosts from which the upper layers have gone.

    Attributes:
        left: what must wait for the next run; empty if all is done.
        volumes_gone: whether the volumes that were to go have gone; False where none were to.
        missed: hosts that did not answer, and have yet to do all of this.
        returned: hosts that were such before, and are through with it.
    """

    left: pulumi.Output[str]
    volumes_gone: pulumi.Output[bool]

    def __init__(self, name: str, args: TakenDownArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("swarm-galera:taken_down:TakenDown", name, None, opts)
        self._name, self._round, self._data_path = name, args.layers.round, args.data_path
        self._engines = {member.server.hostname: member.engine.started for member in args.hosts.members}
        self.missed = args.missed
        self.returned = sorted((args.layers.returned | args.layers.missed) - set(self.missed))
        first, *others = args.hosts.servers
        there = [server for server in args.hosts.servers if server.hostname not in self.missed]
        steps: list[remote.Step] = []
        removed: list[remote.Step] = []
        if args.leave or args.volumes or args.everywhere:
            own = f"{swarm_files.LABEL}={swarm_files.stack()}"
            look = scripts.look(own, swarm_stays=not args.leave)
            looked = self._step("looked", first, look, after=self._lost(args, own), where=args.manager)
            removed = [
                self._volumes_removed(server, volumes, looked)
                for server in there
                if (volumes := args.volumes_of(server))
            ]
            steps = [looked, *removed]
            if args.leave:
                left = [self._leaves(server, looked) for server in others if server in there]
                # Until the last one leaves, somebody can be asked for all that is left.
                last = [self._leaves(first, looked, *left)] if first in there else []
                steps += [*left, *last]
        self.left = pulumi.Output.all(*(step.stdout for step in steps)).apply(_left)
        self.volumes_gone = pulumi.Output.all(*(step.stdout for step in removed)).apply(
            lambda said: bool(said) and not _left(said)
        )
        self.left.apply(_tell)
        if self.missed:
            pulumi.log.warn(_told(self.missed, args.leave))
        self.register_outputs({"left": self.left})

    def _lost(self, args: TakenDownArgs, own: str) -> list[pulumi.Resource]:
        """Whoever is down goes first: of those who are left, each that leaves then leaves a majority.

        Args: own: label of what is the stack's.
        """
        if not (self.missed and args.leave and args.layers.due):
            return []
        first, text = args.hosts.servers[0], scripts.without_lost(self.missed, own)
        return [self._step("lost", first, text, where=args.manager)]

    def _leaves(self, server: ClusterHost, looked: remote.Step, *after: pulumi.Resource) -> remote.Step:
        text = scripts.leave(server.hostname, alone=server.hostname in self.returned)
        return self._step(f"{server.hostname}-left", server, text, looked.stdout, after)

    def _volumes_removed(
        self, server: ClusterHost, volumes: Sequence[str], looked: remote.Step
    ) -> remote.Step:
        text = scripts.remove_volumes(server.hostname, volumes)
        if self._data_path is not None and galera.VOLUME in volumes:
            text = f"{text}\n{data_path.remove(server.hostname, self._data_path)}"
        return self._step(f"{server.hostname}-volumes", server, text, looked.stdout)

    def _step(
        self,
        step: str,
        server: ClusterHost,
        text: str,
        values: pulumi.Input[str] = "",
        after: Sequence[pulumi.Resource] = (),
        where: remote.Where | None = None,
    ) -> remote.Step:
        """One on `server`, or on `where`."""
        return remote.run(
            f"{self._name}-{step}",
            server.connection if where is None else where,
            text,
            pulumi.ResourceOptions(parent=self, depends_on=[self._engines[server.hostname], *after]),
            values=values,
            triggers=[self._round],
        )


def _told(missed: Sequence[str], leave: bool) -> str:
    what = "the former swarm, with containers of it that start with its engine" if leave else "its volumes"
    return (
        f"{', '.join(missed)} did not answer, and what was to be done there was not: such a host still has "
        f"{what}. Once it is back, `up` ends them there, before the stack goes up again; or give it up "
        "(servers.replace; one's own: out of the settings)."
    )


def _left(said: Sequence[str]) -> str:
    """What the first step that is not through has found; empty if all are."""
    waiting = [line.strip() for line in said if line.strip() != scripts.CLEAR]
    return waiting[0].removeprefix(scripts.PENDING).strip() if waiting else ""


def _tell(left: str) -> None:
    if left:
        pulumi.log.warn(
            f"Not all is taken down yet: {left}. Pulumi removes that at the end of this run; one more `up` "
            "has the hosts do the rest (`python -m operations up` goes on by itself)."
        )
