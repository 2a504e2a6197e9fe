"""What a client outside of the overlay network gets through ports of the hosts: which nodes, or why none.

Owns: the question that it asks through each port, how the answers read, and that nodes which serve answer.
Leaves to others: which ports there are, and what else must hold of them (balancer.py, published.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from components.host_scripts.shell import assign, body
from operations.checks.check import Check
from operations.facts.cluster import client_container
from operations.outputs import Host, Outputs
from operations.remote_hosts import SCRIPTS

PATIENCE = 10
"""Seconds for a connection. All hosts and ports are asked at a time, so that is what a verdict takes."""
HANGS = 5
"""Seconds from which on a failure came of something that hangs, and the port is not asked again. A load
balancer without a node refuses within three.
"""
SERVING = ("Synced", "Donor/Desynced")
"""States in which a node serves: a donor does not block."""
SQL = (
    "SELECT @@wsrep_node_address, @@wsrep_node_name, VARIABLE_VALUE FROM information_schema.GLOBAL_STATUS "
    "WHERE VARIABLE_NAME = 'WSREP_LOCAL_STATE_COMMENT'"
)
_ASK = body("ports_client", SCRIPTS)


@dataclass(frozen=True)
class Node:
    """Who answered a client: the node's address on the overlay network, its name, its state."""

    address: str
    name: str
    state: str


@dataclass(frozen=True)
class Told:
    """What came through one port of one host: the nodes, in the order of the questions, and the errors."""

    nodes: tuple[Node, ...] = ()
    errors: tuple[str, ...] = ()


def ask(outputs: Outputs, asked: Mapping[int, int]) -> str:
    """Shell text for a manager: a client asks through ports of every host, and prints who answers.

    A port that hangs is asked once. Standard input: the password of the application's user.

    Args:
        asked: how often, by port.
    """
    facts = assign(
        addresses=[host.private_ip for host in outputs.hosts],
        asked=[f"{port}={times}" for port, times in asked.items()],
        sql=SQL,
        patience=PATIENCE,
        hangs=HANGS,
    )
    # From the host's own network, as a client outside of the overlay.
    return f"{client_container(outputs, network='host')}\n{facts}\n{_ASK}"


def parse(text: str) -> dict[tuple[str, int], Told]:
    """What `ask` printed, by the host's address and the port."""
    found: dict[tuple[str, int], Told] = {}
    for line in text.splitlines():
        words = line.split("\t")
        if len(words) < 4 or not words[1].isdigit():
            continue
        at, said = (words[0], int(words[1])), words[2:]
        told = found.get(at, Told())
        if len(said) == 3:
            found[at] = Told((*told.nodes, Node(*said)), told.errors)
        else:
            found[at] = Told(told.nodes, (*told.errors, said[-1][:160]))
    return found


def leads_to_serving(host: Host, what: str, told: Told, error: str, remedy: str) -> Check:
    """Whether only nodes that serve answered, and always one did. Args: error: of the whole question."""
    wrong = sorted({f"{node.name} is {node.state}" for node in told.nodes if node.state not in SERVING})
    ok = bool(told.nodes) and not wrong and not told.errors and not error
    return Check(
        host.name,
        what,
        ok,
        "; ".join(wrong) if wrong else found(told, error),
        remedy="" if ok else remedy,
    )


def names(nodes: Sequence[Node]) -> list[str]:
    """Each node once, by its name; by name and address where two have one name."""
    found = {(node.name, node.address) for node in nodes}
    names = [name for name, _ in found]
    return sorted(name if names.count(name) == 1 else f"{name} at {address}" for name, address in found)


def found(told: Told, error: str) -> str:
    """What a port leads to, for people; `error` only where nothing was told."""
    nodes = ", ".join(names(told.nodes))
    return "; ".join([*([nodes] if nodes else []), *dict.fromkeys(told.errors)]) or error or "no answer"
