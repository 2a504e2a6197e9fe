"""What must hold of the load balancer: it runs on every host, and its ports lead where they should.

Owns: how often each port is asked, and the checks made of the answers.
Leaves to others: the client that asks (host_ports.py), connections to hosts (remote_hosts.py), what runs
where (facts/cluster.py), the nodes themselves (galera.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from operations.checks import host_ports
from operations.checks.check import Check
from operations.checks.cluster import one_image, short
from operations.checks.host_ports import Told
from operations.facts.cluster import HostFacts
from operations.outputs import Balancer, Host, Outputs
from operations.remote_hosts import Answer

WRITER_TIMES = 3
"""How often each host's writer port is asked."""
READER_ROUNDS = 2
"""How often each host's reader port is asked for each node that there is."""


def ask(outputs: Outputs, balancer: Balancer) -> str:
    """Shell text for a manager, as of `host_ports`: through both ports of every host."""
    asked = {balancer.writer_port: WRITER_TIMES, balancer.reader_port: READER_ROUNDS * outputs.size}
    return host_ports.ask(outputs, asked)


def of_balancer(
    outputs: Outputs, balancer: Balancer, facts: Mapping[str, HostFacts], answer: Answer
) -> list[Check]:
    """The service on each host, and both ports of each. Args: answer: to `ask`."""
    told = host_ports.parse(answer.text)
    checks = list(_runs(outputs, balancer, facts))
    writers: dict[str, list[str]] = {}
    for host in outputs.hosts:
        heard = told.get((host.private_ip, balancer.writer_port), Told())
        checks.append(_writer(host, balancer, heard, answer.error))
        if heard.nodes:
            writers[host.name] = host_ports.names(heard.nodes)
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
    names = host_ports.names(told.nodes)
    ok = len(names) == 1 and not told.errors and not error
    return Check(
        host.name,
        f"writer port {balancer.writer_port} leads to one node",
        ok,
        host_ports.found(told, error),
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
    what = f"reader port {balancer.reader_port} leads to Synced nodes only"
    remedy = _remedy(balancer, balancer.reader_port, "is Synced")
    return host_ports.leads_to_serving(host, what, told, error, remedy)


def _remedy(balancer: Balancer, port: int, what: str) -> str:
    return (
        f"port {port} refuses with `no node …`: no node that {what} is seen from there. It can't be reached: "
        f"`docker service ps {balancer.service}`, and the firewall between the hosts. It leads to a wrong "
        f"node: `docker service logs {balancer.service}` says what its checks have found"
    )
