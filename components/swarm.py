"""The swarm: one manager starts it, all other hosts join over the private network.

Owns: who starts it, who joins whom, tokens, roles and labels, and that a leaving host gives up its votes
first. Leaves to others: engines (docker_engine.py), what runs on the swarm.

All join as workers, side by side; managers are then promoted one after the other, each once the one before
votes. A manager that joins as one is counted before it answers: two at once on slow hosts, and the swarm has
lost its majority before it had one.

What is asked of the swarm is asked of any manager that answers (any_manager.py). The first one in the
settings differs from the others in one point only: a new swarm begins there, so that no two begin at a time.
When its host is replaced, it joins like any other.

A node is taken out from another host, so a dead one can be removed too. That happens in two places. A host
that is no longer in the settings is taken out by the first manager's `-node` step, because Pulumi deletes
last: services would be changed before, and would have tasks on a host that they no longer know. The node's
own `delete` finds nothing to do then; it is for a host that is taken out in another way. When all hosts go,
the swarm goes with them (`deleted_with`), and nobody waits for anything. Hosts that stay are taken out one by
one; the last of them, and those whose votes are needed, leave by themselves.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pulumi

from components import remote
from components.cluster_host import ClusterHost
from components.docker_engine import DockerEngine
from components.host_scripts import swarm as commands
from components.host_scripts.swarm import Role
from components.host_scripts.swarm_leaving import Membership, keep_only, remove_node
from components.in_state import InState, unless_told


@dataclass(frozen=True)
class Member:
    """One host of the swarm.

    Attributes:
        server: the host. engine: its engine. role: manager or worker.
        labels: node labels, for placement.
        before_services: what must be there before the labels are, which bring containers to the host.
        bore: a label by which it may have borne data, and does no longer.
    """

    server: ClusterHost
    engine: DockerEngine
    role: Role
    labels: Mapping[str, str]
    before_services: Sequence[pulumi.Resource] = ()
    bore: str | None = None


@dataclass(frozen=True)
class SwarmArgs:
    """The swarm.

    Attributes:
        members: managers first; the first one starts the swarm.
        manager: any of them.
        memberships: services that must be told of a host that leaves.
        pool: where a new swarm takes its ingress network from, the engine's own choice without.
        before: the state, in a preview: tokens stay what they are.
        autolock: the swarm has it, or will have.
        token_generation: of the join tokens; another one rotates them.
        described: scripts of the steps that describe nodes, as the state has them, by the step's name: what
            of a node's labels is the stack's.
    """

    members: Sequence[Member]
    manager: remote.Where
    memberships: Sequence[Membership] = ()
    pool: str | None = None
    before: InState = field(default_factory=InState)
    autolock: bool = False
    token_generation: int = 1
    described: Mapping[str, str] = field(default_factory=dict)


class Swarm(pulumi.ComponentResource):
    """A swarm whose nodes are all there, with their roles and labels.

    Attributes:
        manager_token, worker_token: join tokens, secret; read again whenever a host or its address changes.
        cluster: the swarm's id.
        started: the swarm exists (with one node).
        nodes: depend on these to have all nodes in place.
    """

    manager_token: pulumi.Output[str]
    worker_token: pulumi.Output[str]
    cluster: pulumi.Output[str]
    nodes: list[pulumi.Resource]

    def __init__(self, name: str, args: SwarmArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("swarm-galera:swarm:Swarm", name, None, opts)
        first = args.members[0]
        self._name, self._args, self._first = name, args, first.server
        self._stay = self._first.takes_along is None
        managers = [member.server for member in args.members if member.role == "manager"]
        workers = [member.server.private_ip for member in args.members if member.role == "worker"]
        self.started = remote.run(
            f"{name}-started",
            args.manager,
            commands.start(first.server.hostname, args.pool),
            pulumi.ResourceOptions(parent=self, depends_on=[first.engine.started]),
            values=_lines(_lines(*map(_named, managers), joined_by=" "), _lines(*workers, joined_by=" ")),
            secret_output=True,
        )
        before = args.before.of(f"{name}-started", "stdout")
        told: pulumi.Output[str] = pulumi.Output.secret(unless_told(self.started.stdout, before))
        facts: pulumi.Output[dict[str, str]] = told.apply(json.loads)
        tokens = self._rotated(told) if args.token_generation > 1 else facts
        self.manager_token = pulumi.Output.secret(tokens.apply(lambda f: f["manager"]))
        self.worker_token = pulumi.Output.secret(tokens.apply(lambda f: f["worker"]))
        self.cluster = pulumi.Output.unsecret(facts.apply(lambda f: f["cluster"]))
        self._addresses = _lines(*(server.private_ip for server in managers), joined_by=" ")
        nodes: list[pulumi.Resource] = []
        promoted: list[pulumi.Resource] = []
        for member in args.members[1:]:
            joined = self._joined(member)
            nodes.append(self._described(member, joined.stdout, joined, promoted[-1:]))
            if member.role == "manager":
                promoted.append(nodes[-1])
        # Nobody waits for the first one's labels. It waits for the second manager: until that has a vote, one
        # step alone deals with a swarm that has lost its leader.
        joined = self._joined(first)
        self.nodes = [self._described(first, joined.stdout, joined, promoted[:1]), *nodes]
        self.register_outputs({"manager_token": self.manager_token, "worker_token": self.worker_token})

    def _rotated(self, told: pulumi.Output[str]) -> pulumi.Output[dict[str, str]]:
        """The tokens after their rotation, which only another generation has happen. They are read again
        when `told` says other ones: somebody has rotated them by hand, and had them read.
        """
        name, args = f"{self._name}-tokens", self._args
        step = remote.run(
            name,
            args.manager,
            commands.tokens(rotate=True),
            pulumi.ResourceOptions(parent=self, depends_on=[self.started]),
            update=commands.tokens(rotate=False),
            values=told.apply(lambda text: hashlib.sha256(text.encode()).hexdigest()),
            triggers=[args.token_generation],
            secret_output=True,
        )
        known: pulumi.Output[str] = pulumi.Output.secret(
            unless_told(step.stdout, args.before.of(name, "stdout"))
        )
        return known.apply(json.loads)

    def _joined(self, member: Member) -> remote.Step:
        hostname = member.server.hostname
        return remote.run(
            f"{self._name}-{hostname}-joined",
            member.server.connection,
            commands.join(hostname),
            pulumi.ResourceOptions(parent=self, depends_on=[member.engine.started, self.started]),
            values=_lines(
                _lines(self.worker_token, member.server.private_ip, self.cluster, joined_by=" "),
                self._addresses,
            ),
        )

    def _described(
        self,
        member: Member,
        node: pulumi.Output[str],
        joined: pulumi.Resource,
        promoted: Sequence[pulumi.Resource],
    ) -> pulumi.Resource:
        hostname, leaves = member.server.hostname, member.server is not self._first
        step = f"{self._name}-{hostname}-node"
        delete = remove_node(hostname, self._args.memberships, stays=self._stay) if leaves else None
        gone = commands.labels_gone(
            self._args.described.get(step, ""),
            member.labels,
            lambda labels: remote.steps(step, self._description(member, labels), delete),
        )
        return remote.run(
            step,
            self._args.manager,
            self._description(member, gone),
            pulumi.ResourceOptions(
                parent=self,
                depends_on=[joined, *promoted, *member.before_services],
                deleted_with=self._first.takes_along,
            ),
            values=_lines(node),
            delete=delete,
        )

    def _description(self, member: Member, gone: Mapping[str, str]) -> str:
        """Shell text. gone: labels that go."""
        memberships = self._args.memberships
        text = commands.describe_node(
            member.server.hostname,
            member.role,
            member.labels,
            memberships,
            autolock=self._args.autolock,
            bore=member.bore,
            gone=gone,
        )
        if member.server is not self._first:
            return text
        keep = [each.server.hostname for each in self._args.members]
        return f"{text}\n{keep_only(keep, memberships)}"


def _named(server: ClusterHost) -> pulumi.Output[str]:
    return server.private_ip.apply(lambda address: f"{server.hostname}={address}")


def _lines(*values: pulumi.Input[str], joined_by: str = "\n") -> pulumi.Output[str]:
    """Values for a script's standard input; lines within them keep their one end."""
    return pulumi.Output.all(*values).apply(
        lambda known: joined_by.join(value.removesuffix("\n") for value in known) + "\n"
    )
