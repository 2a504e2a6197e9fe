"""What must hold of the load balancer: it runs on every host, and its ports lead where they should.

Owns: the question that a client asks through each host's ports, and the checks made of the answers.
Leaves to others: connections to hosts (remote_hosts.py), what runs where (cluster_facts.py), the nodes
themselves (galera_checks.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from components.host_scripts.shell import assign, body
from operations.check import Check
from operations.cluster_checks import one_image, short
from operations.cluster_facts import HostFacts, client_container
from operations.outputs import Balancer, Host, Outputs
from operations.remote_hosts import SCRIPTS, Answer

WRITER_TIMES = 3
"""How often each host's writer port is asked."""
READER_ROUNDS = 2
"""How often each host's reader port is asked for each node that there is."""
SERVING = ("Synced", "Donor/Desynced")
"""States in which a node serves: a donor does not block."""
SQL = (
    "SELECT @@wsrep_node_address, @@wsrep_node_name, VARIABLE_VALUE FROM information_schema.GLOBAL_STATUS "
    "WHERE VARIABLE_NAME = 'WSREP_LOCAL_STATE_COMMENT'"
)
_ASK = body("balancer_client", SCRIPTS)


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


def ask(outputs: Outputs, balancer: Balancer) -> str:
    """Shell text for a manager: a client asks through both ports of every host, and prints who answers.

    Standard input: the password of the application's user.
    """
    asked = [balancer.writer_port] * WRITER_TIMES
    asked += [balancer.reader_port] * (READER_ROUNDS * outputs.size)
    facts = assign(addresses=[host.private_ip for host in outputs.hosts], asked=asked, sql=SQL)
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


def of_balancer(
    outputs: Outputs, balancer: Balancer, facts: Mapping[str, HostFacts], answer: Answer
) -> list[Check]:
    """The service on each host, and both ports of each. Args: answer: to `ask`."""
    told = parse(answer.text)
    checks = list(_runs(outputs, balancer, facts))
    writers: dict[str, list[str]] = {}
    for host in outputs.hosts:
        heard = told.get((host.private_ip, balancer.writer_port), Told())
        checks.append(_writer(host, balancer, heard, answer.error))
        if heard.nodes:
            writers[host.name] = _names(heard.nodes)
    checks.append(_one_writer(outputs, writers))
    for host in outputs.hosts:
        heard = told.get((host.private_ip, balancer.reader_port), Told())
        checks.append(_reader(host, balancer, heard, answer.error))
    return checks


def _runs(outputs: Outputs, balancer: Balancer, facts: Mapping[str, HostFacts]) -> Iterator[Check]:
    images = {host.name: facts[host.name].images.get(balancer.service, "") for host in outputs.hosts}
    for name, image in images.items():
        yield Check(
            name,
            f"load balancer {balancer.service} runs",
            bool(image),
            short(image) or "no container",
            remedy=""
            if image
            else f"on a manager, `docker service ps --no-trunc {balancer.service}` says why",
        )
    yield one_image(balancer.service, images, "`up` finishes a rolling change that was broken off")


def _writer(host: Host, balancer: Balancer, told: Told, error: str) -> Check:
    names = _names(told.nodes)
    ok = len(names) == 1 and not told.errors and not error
    return Check(
        host.name,
        f"writer port {balancer.writer_port} leads to one node",
        ok,
        _found(names, told, error),
        remedy="" if ok else _remedy(balancer, balancer.writer_port, "takes the writes"),
    )


def _one_writer(outputs: Outputs, writers: Mapping[str, Sequence[str]]) -> Check:
    named = {name for names in writers.values() for name in names}
    ok = len(named) == 1 and len(writers) == len(outputs.hosts)
    found = ", ".join(
        f"{' and '.join(writers.get(host.name, ['none']))} on {host.name}" for host in outputs.hosts
    )
    return Check(
        "cluster",
        "every host's writer port leads to the same node",
        ok,
        next(iter(named)) if ok else found,
        remedy=""
        if ok
        else "repeat it: while a node is stopped or has just been lost, the writer changes. If it stays so, "
        "hosts do not reach the same nodes: `docker exec` a node, `galera-node status` shows what each knows",
    )


def _reader(host: Host, balancer: Balancer, told: Told, error: str) -> Check:
    names = _names(told.nodes)
    wrong = sorted({f"{node.name} is {node.state}" for node in told.nodes if node.state not in SERVING})
    ok = bool(names) and not wrong and not told.errors and not error
    return Check(
        host.name,
        f"reader port {balancer.reader_port} leads to Synced nodes only",
        ok,
        "; ".join(wrong) if wrong else _found(names, told, error),
        remedy="" if ok else _remedy(balancer, balancer.reader_port, "is Synced"),
    )


def _names(nodes: Sequence[Node]) -> list[str]:
    """Each node once, by its name; by name and address where two have one name."""
    found = {(node.name, node.address) for node in nodes}
    names = [name for name, _ in found]
    return sorted(name if names.count(name) == 1 else f"{name} at {address}" for name, address in found)


def _found(names: Sequence[str], told: Told, error: str) -> str:
    """What a port leads to, for people; an error only where there was one."""
    return (
        "; ".join([*([", ".join(names)] if names else []), *dict.fromkeys(told.errors)])
        or error
        or "no answer"
    )


def _remedy(balancer: Balancer, port: int, what: str) -> str:
    return (
        f"port {port} refuses with `no node …`: no node that {what} is seen from there. It can't be reached: "
        f"`docker service ps {balancer.service}`, and the firewall between the hosts. It leads to a wrong "
        f"node: `docker service logs {balancer.service}` says what its checks have found"
    )
