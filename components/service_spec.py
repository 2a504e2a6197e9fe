"""A service of the swarm, said once and in plain values; what needs it said otherwise is rendered from it.

Owns: what can be said of a service, the defaults, and what does not go together.
Leaves to others: what each service is (etcd.py, galera.py); the docker resource and the wait (services.py),
the ports that the hosts open to one another (swarm_ports.py), the line that a person types
(bench/by_hand_services.py).

What only a run knows (the image's digest, contents of secrets, addresses) is given to the renderers.

Everything is written as the docker plugin finds it at the engine: durations without zero parts, for instance.
What is written otherwise would differ in every run, and each time all tasks would be replaced.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from components.host_scripts.swarm_leaving import Membership
from settings.planned import DATA_LABEL

KEEPALIVE = {
    "net.ipv4.tcp_keepalive_time": "600",
    "net.ipv4.tcp_keepalive_intvl": "60",
    "net.ipv4.tcp_keepalive_probes": "5",
}
"""Seconds, seconds, count: IPVS forgets a connection through a virtual IP that is idle for 900 s.

Think twice: for the docker plugin another sysctl is another service, so both would be removed and made anew.
"""
ON_MANAGERS, ON_DATA_NODES = "node.role==manager", f"node.labels.{DATA_LABEL}==true"
"""Constraints: the hosts that a service belongs on."""
RESTART: Mapping[str, Any] = {"condition": "any", "delay": "5s"}
"""For ever, five seconds apart."""


def duration(seconds: int) -> str:
    """As the docker plugin writes what it finds at the engine: `0s`, `30s`, `2m`, `1h`, `1h0m5s`."""
    minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    parts = [f"{hours}h" if hours else "", f"{minutes}m" if minutes or (hours and rest) else ""]
    if rest or seconds == 0:
        parts.append(f"{rest}s")
    return "".join(parts)


@dataclass(frozen=True)
class HealthCheck:
    """How a container is asked how it is.

    The swarm kills what is unhealthy, and a host that is only slow gains nothing by that: so a check may take
    30 s, and many must fail, two minutes of failures in a row.

    Attributes:
        command: its words; exit code 0 is healthy.
        start_period: seconds in which failures do not count.
        interval, timeout: seconds.
        retries: failures in a row that end the task.
    """

    command: Sequence[str]
    start_period: int
    interval: int = 10
    timeout: int = 30
    retries: int = 12

    def options(self) -> dict[str, Any]:
        """In the engine's words, without the command."""
        return {
            "interval": duration(self.interval),
            "timeout": duration(self.timeout),
            "retries": self.retries,
            "start_period": duration(self.start_period),
        }


@dataclass(frozen=True)
class UpdatePolicy:
    """One task after the other, unless it says otherwise; stops at the first that fails.

    What the engine makes of it (swarmkit, manager/orchestrator/update): the next task's turn comes `delay`
    after the one before is running, which with a health check means healthy. `monitor` holds nobody up: it is
    how long a failure of a running task still counts, and how long the last one is watched. Only with a delay
    that is as long does a task that fails soon after its start keep the next one from being stopped.

    Not kept by the engine: when another manager becomes leader in the middle, or the state of a node changes
    that has its turn yet to come, it may replace that node's task without waiting for the others.

    Attributes:
        proven: seconds that a changed task must run well before the next one's turn.
        order: whether the old task ends before the new one starts.
        failure_action: what follows a failure.
        parallelism: tasks that are changed at the same time.
    """

    proven: int
    order: Literal["stop-first", "start-first"] = "stop-first"
    failure_action: Literal["pause", "continue", "rollback"] = "pause"
    parallelism: int = 1

    def options(self) -> dict[str, Any]:
        """In the engine's words."""
        return {
            "parallelism": self.parallelism,
            "delay": duration(self.proven),
            "order": self.order,
            "failure_action": self.failure_action,
            "max_failure_ratio": "0.0",
            "monitor": duration(self.proven),
        }


@dataclass(frozen=True)
class Port:
    """A port that clients from outside of the overlay network reach.

    Attributes:
        published: on the hosts.
        target: in the container; 0 for the same.
        mode: `host`: on the hosts that have a task, and without a virtual IP in between; `ingress`: on all
            hosts of the swarm.
        between_hosts: of one in mode `ingress`, have the hosts open it to one another, too, and not only each
            to itself. One in mode `host` always is.
    """

    published: int
    target: int = 0
    mode: Literal["host", "ingress"] = "host"
    protocol: Literal["tcp", "udp"] = "tcp"
    between_hosts: bool = False


@dataclass(frozen=True)
class ConfigFile:
    """A file that is no secret.

    Attributes:
        name: begins the config's name in the swarm.
        path: in the container.
        kept: what the state has stays, whatever `content` is.
    """

    name: str
    path: str
    content: str | bytes
    kept: bool = False


@dataclass(frozen=True)
class Limits:
    """What a container may use at the most. cpus: cores. memory: MB."""

    cpus: float
    memory: int


@dataclass(frozen=True, kw_only=True)
class ServiceSpec:
    """One service.

    Attributes:
        name: in the swarm; on the overlay network it is the DNS name of the service.
        image: as in the settings, a tag or a digest; what runs is always named by digest.
        replicas: number of tasks; None for a global service, which has one on each node that it belongs on.
        constraints: which nodes it belongs on; all of them without.
        health: how a container is asked; None where the image says so itself.
        env: of its containers, as far as it is known before the run.
        secrets: names of its files in `/run/secrets`.
        configs: further files.
        volumes: local volumes: where each is in the container, by name.
        ports: what is published. What a service on the host network listens on, too.
        network: `overlay`: the cluster's; `host`: the hosts' own.
        endpoint: what the name resolves to: one virtual IP, or the addresses of all tasks (`dnsrr`).
        stop_grace: seconds until a container that is told to stop is killed.
        limits: of a container.
        membership: what is to be done for it when a host leaves the swarm.
    """

    name: str
    image: str
    health: HealthCheck | None
    update: UpdatePolicy
    stop_grace: int
    replicas: int | None = None
    constraints: Sequence[str] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    secrets: Sequence[str] = ()
    configs: Sequence[ConfigFile] = ()
    volumes: Mapping[str, str] = field(default_factory=dict)
    ports: Sequence[Port] = ()
    network: Literal["overlay", "host"] = "overlay"
    endpoint: Literal["vip", "dnsrr"] = "vip"
    limits: Limits | None = None
    membership: Membership | None = None

    def __post_init__(self) -> None:
        """Raise ValueError for what the engine would refuse, or accept and never get done."""
        if self.replicas is not None and self.replicas < 1:
            raise ValueError(f"{self.name}: replicas must be >= 1. Remedy: leave the service out instead")
        ingress = [port.published for port in self.ports if port.mode == "ingress"]
        if ingress and not self.has_virtual_ip:
            raise ValueError(
                f"{self.name}: the ingress network reaches tasks by a virtual IP on an overlay network, so "
                f"it can't publish {ingress}. Remedy: mode host; or network overlay and endpoint vip"
            )
        if self.update.order == "start-first" and self.host_ports:
            raise ValueError(
                f"{self.name}: with start-first a new task waits for host ports that the old one has. "
                "Remedy: stop-first, or publish in mode ingress"
            )

    @property
    def host_ports(self) -> list[tuple[str, int]]:
        """Protocol and number of what its tasks take on their hosts."""
        return [(port.protocol, port.published) for port in self.ports if port.mode == "host"]

    @property
    def open_ports(self) -> list[tuple[str, int]]:
        """Protocol and number of what the hosts open to one another for it."""
        return [
            (port.protocol, port.published)
            for port in self.ports
            if port.mode == "host" or port.between_hosts
        ]

    @property
    def published(self) -> Sequence[Port]:
        """What the engine publishes: a task on the host network is there already."""
        return self.ports if self.network == "overlay" else ()

    @property
    def has_virtual_ip(self) -> bool:
        """Whether the name resolves to one."""
        return self.network == "overlay" and self.endpoint == "vip"

    @property
    def sysctls(self) -> dict[str, str]:
        """Of its containers: those on the host network have the hosts'."""
        return KEEPALIVE if self.network == "overlay" else {}
