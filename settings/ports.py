"""Ports that a service may take on every host, and what has the others.

Owns: checks of one number, and which numbers other settings take.
Leaves to others: what must be apart (model.py), but for what is open to everybody.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Annotated, Any

from pydantic import AfterValidator

from settings.values import Refused

TAKEN_PORTS = {
    22: "SSH",
    2377: "the swarm's management",
    2380: "etcd's peers",
    4789: "the overlay networks (VXLAN)",
    7946: "the swarm's gossip",
}
"""What listens on the hosts themselves, by port."""
ENGINE_PORT = 2376
"""Docker's own for the engine's API with TLS; listened on only with `engine.access: tls`."""
BALANCER_PORTS = range(1024, 30000)
"""From 30000 on swarm takes ports for what asks for any, from 32768 on the kernel for what goes out."""
INGRESS_PORTS = range(1, 30000)
"""The same, for what the engines themselves listen on."""


def balancer_port(value: int) -> int:
    """A port that the load balancer takes on every host."""
    _free(value)
    if not BALANCER_PORTS[0] <= value <= BALANCER_PORTS[-1]:
        raise Refused(
            f"{value} can't be had on every host: below {BALANCER_PORTS[0]} a process needs rights that the "
            f"load balancer does not have, above {BALANCER_PORTS[-1]} swarm and outgoing connections take "
            "ports as they come",
            f"choose one from {BALANCER_PORTS[0]} to {BALANCER_PORTS[-1]}, or leave it out",
        )
    return value


def ingress_port(value: int) -> int:
    """A port that the engines publish on every host, for a service with replicas."""
    _free(value)
    if not INGRESS_PORTS[0] <= value <= INGRESS_PORTS[-1]:
        raise Refused(
            f"{value} can't be had on every host: above {INGRESS_PORTS[-1]} swarm and outgoing connections "
            "take ports as they come",
            f"choose one from {INGRESS_PORTS[0]} to {INGRESS_PORTS[-1]}, or leave it out",
        )
    return value


def taken_by(balancer: Mapping[str, int], engine: Mapping[str, Any]) -> dict[int, str]:
    """Ports of every host that the load balancer's ports and the engine's options take, and which."""
    taken = {port: f"the load balancer (loadBalancer.{key})" for key, port in balancer.items()}
    metrics = str(engine.get("metrics-addr", "")).rpartition(":")[2]
    return taken | ({int(metrics): "the engine (engine.options.metrics-addr)"} if metrics else {})


def for_everybody(
    published: Collection[int], stats: int | None, engine: Collection[int], store: Mapping[int, str]
) -> Iterator[str]:
    """What must not stand in `servers.publishedPorts`, with why, and the remedy.

    Args:
        stats: the load balancer's port for statistics; None without one.
        engine: ports of the engines' API. store: of the key-value store, and what each is.
    """
    if stats in published:
        yield (
            f"loadBalancer.statsPort: {stats} stands in servers.publishedPorts: the statistics' password "
            "would cross the internet in plain. Remedy: take it out of publishedPorts, and look at the page "
            "through SSH (`ssh -L`)"
        )
    if set(engine) & set(published):
        yield (
            f"servers.publishedPorts: {ENGINE_PORT} is the engines' API (engine.access), by which one is "
            "root on a host. Remedy: take it out; it is open to the networks of ssh.allowedCidrs"
        )
    # For the hosts among themselves: open to everybody, whoever finds a way in has the swarm or its DNS.
    inner = TAKEN_PORTS | dict(store)
    if amiss := sorted(inner.keys() & set(published)):
        yield (
            f"servers.publishedPorts: {', '.join(f'{port} ({inner[port]})' for port in amiss)}: not for "
            "everybody, only for the hosts and those who look after them. Remedy: take it out; who may "
            "log in is said by ssh.allowedCidrs"
        )


def _free(value: int) -> None:
    if value in TAKEN_PORTS:
        raise Refused(
            f"{value} is taken on every host by {TAKEN_PORTS[value]}", "choose another, or leave it out"
        )


BalancerPort = Annotated[int, AfterValidator(balancer_port)]
IngressPort = Annotated[int, AfterValidator(ingress_port)]
