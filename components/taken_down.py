"""What hosts do when the layers above them are taken down: they leave the swarm; data that is not kept goes.

Owns: which step is on which host, their order, and whether all is done.
Leaves to others: the steps (host_scripts/taken_down.py), removing services, network and nodes (Pulumi, as
they are not declared any more), whether a layer may be taken down (layers.py).

Pulumi creates first and deletes last, and only a swarm can be asked to delete what is in it. So the run that
takes a layer down leaves the swarm as it is, and these steps say `pending`; the next run has them look again,
by another trigger, when all that the state knew is gone. `python -m operations up` makes both runs.
"""

from __future__ import annotations

from collections.abc import Sequence
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
    """

    hosts: ClusterHosts
    manager: remote.Where
    layers: Layers
    leave: bool
    volumes: Sequence[str] = ()
    everywhere: Sequence[str] = ()
    data_path: str | None = None

    @classmethod
    def of(
        cls, settings: Settings, hosts: ClusterHosts, manager: remote.Where, layers: Layers, *, leave: bool
    ) -> TakenDownArgs:
        """As the settings have it."""
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
        return cls(hosts, manager, layers, leave, on_managers, everywhere, settings.galera.data_path)


class TakenDown(pulumi.ComponentResource):
    """Hosts from which the upper layers have gone.

    Attributes:
        left: what must wait for the next run; empty if all is done.
        volumes_gone: whether the volumes that were to go have gone; False where none were to.
    """

    left: pulumi.Output[str]
    volumes_gone: pulumi.Output[bool]

    def __init__(self, name: str, args: TakenDownArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("swarm-galera:taken_down:TakenDown", name, None, opts)
        self._name, self._round, self._data_path = name, args.layers.round, args.data_path
        self._engines = {member.server.hostname: member.engine.started for member in args.hosts.members}
        first, *others = args.hosts.servers
        steps: list[remote.Step] = []
        removed: list[remote.Step] = []
        if args.leave or args.volumes or args.everywhere:
            own = f"{swarm_files.LABEL}={swarm_files.stack()}"
            look = scripts.look(own, swarm_stays=not args.leave)
            looked = self._step("looked", first, look, where=args.manager)
            removed = [
                self._volumes_removed(server, volumes, looked)
                for server in args.hosts.servers
                if (volumes := self._volumes_of(server, args))
            ]
            steps = [looked, *removed]
            if args.leave:
                left = [self._leaves(server, looked) for server in others]
                # Until the last one leaves, somebody can be asked for all that is left.
                steps += [*left, self._leaves(first, looked, *left)]
        self.left = pulumi.Output.all(*(step.stdout for step in steps)).apply(_left)
        self.volumes_gone = pulumi.Output.all(*(step.stdout for step in removed)).apply(
            lambda said: bool(said) and not _left(said)
        )
        self.left.apply(_tell)
        self.register_outputs({"left": self.left})

    @staticmethod
    def _volumes_of(server: ClusterHost, args: TakenDownArgs) -> list[str]:
        """What is removed from this host."""
        return [*(args.volumes if server in args.hosts.bearing else ()), *args.everywhere]

    def _leaves(self, server: ClusterHost, looked: remote.Step, *after: pulumi.Resource) -> remote.Step:
        text = scripts.leave(server.hostname)
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
