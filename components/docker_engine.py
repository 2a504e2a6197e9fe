"""The Docker engine of one host, configured and running on its own disk; its images fetched.

Owns: configuration, start, the step that sees interruptions through, images fetched ahead.
Leaves to others: packages, disk, swarm.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi

from components import remote, unlocking
from components.cluster_host import ClusterHost
from components.engine_tls import Listener
from components.host_scripts import engine, engine_tls, images, own


@dataclass(frozen=True)
class DockerEngineArgs:
    """One host's engine.

    Attributes:
        server: the host.
        after: what must be there first: packages and disk.
        config: daemon.json's text.
        replicated: names of services whose tasks may move to another host.
        may_be_kept: one that was there before the program is used as it is, and the storage driver may be
            another than btrfs.
        unlocked_by: names of the other managers, where the swarm has autolock and this host is a manager;
            None for any other.
        listener: where its API listens with TLS; None for nowhere.
        listened: it may do so yet, and is to end it.
    """

    server: ClusterHost
    after: Sequence[pulumi.Resource]
    config: str
    replicated: Sequence[str] = ()
    may_be_kept: bool = False
    unlocked_by: Sequence[str] | None = None
    listener: Listener | None = None
    listened: bool = False


class DockerEngine(pulumi.ComponentResource):
    """A running engine.

    Attributes:
        version: the engine's version.
        started: depend on this to use the engine.
    """

    version: pulumi.Output[str]

    def __init__(self, name: str, args: DockerEngineArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("swarm-galera:docker_engine:DockerEngine", name, None, opts)
        hostname = args.server.hostname
        self._name, self._server, self._config = name, args.server, args.config
        self._replicated, self._unlocked_by = args.replicated, args.unlocked_by
        self._listener = args.listener
        self.started = remote.run(
            f"{name}-configured",
            args.server.connection,
            (own if args.may_be_kept else engine).configure(
                hostname, args.config, locks=args.unlocked_by is not None, before=_listening(args)
            ),
            pulumi.ResourceOptions(parent=self, depends_on=list(args.after)),
            values="" if args.listener is None else args.listener.values(),
        )
        self.version = self.started.stdout
        self.register_outputs({"version": self.version})

    def fetch(
        self, references: Sequence[pulumi.Input[str]], after: Sequence[pulumi.Resource]
    ) -> pulumi.Resource:
        """Have images there, after `after`: what then starts does not wait for them. Call it once.

        Args:
            references: with digests.
        """
        return remote.run(
            f"{self._name}-images",
            self._server.connection,
            images.present(self._server.hostname),
            pulumi.ResourceOptions(parent=self, depends_on=[self.started, *after]),
            values=pulumi.Output.all(*references).apply("\n".join),
        )

    def current(self, *, manager: bool, after: Sequence[pulumi.Resource]) -> pulumi.Resource:
        """Have a changed configuration take effect after `after`, and the host back in service after it or
        after a reboot or reload of its server.

        Call it once; hand what it returns to the next host's `after`, so that one is interrupted at a time.
        """
        locks = self._unlocked_by is not None
        before = [self.started, *after]
        if self._unlocked_by is not None:
            first = pulumi.ResourceOptions(parent=self, depends_on=before)
            before.append(
                unlocking.unlocked(f"{self._name}-unlocked", self._server, self._unlocked_by, first)
            )
        return remote.run(
            f"{self._name}-current",
            self._server.connection,
            engine.settle(self._server.hostname, manager=manager, replicated=self._replicated, locks=locks),
            pulumi.ResourceOptions(parent=self, depends_on=before),
            values=self._server.reboots.apply(str),
            triggers=[
                self._config,
                self._server.reboots,
                *([] if self._listener is None else [self._listener.fingerprint()]),
            ],
        )


def _listening(args: DockerEngineArgs) -> str:
    """What is done for the engine's API with TLS before the engine is; empty where there never was one."""
    hostname, state = args.server.hostname, engine.Places().state
    if args.listener is not None:
        refusal = [own.refuse_kept(hostname)] if args.may_be_kept else []
        return "\n".join([*refusal, engine_tls.listen(hostname, state)])
    return engine_tls.gone(hostname, state) if args.listened else ""
