"""What must hold of the database's published port: every host's leads to nodes that serve.

Owns: how often it is asked, and the checks made of the answers.
Leaves to others: the client that asks (host_ports.py), connections to hosts (remote_hosts.py), the nodes
themselves (galera.py).
"""

from __future__ import annotations

from operations.checks import host_ports
from operations.checks.check import Check
from operations.checks.host_ports import Told
from operations.outputs import Outputs
from operations.remote_hosts import Answer

ROUNDS = 2
"""How often each host's port is asked for each node that there is: the ingress network takes them in turn."""


def ask(outputs: Outputs) -> str:
    """Shell text for a manager, as of `host_ports`: through the published port of every host."""
    return host_ports.ask(outputs, {outputs.published_port: ROUNDS * outputs.size})


def of_published(outputs: Outputs, answer: Answer) -> list[Check]:
    """The port of each host. Args: answer: to `ask`."""
    port, told = outputs.published_port, host_ports.parse(answer.text)
    remedy = (
        f"no answer or a refusal: the ingress network does not reach a node (ports 7946 and 4789 between the "
        f"hosts), or a firewall keeps {port} closed between them; `docker service inspect {outputs.service}` "
        "says what is published. A node that is not Synced is led to until its container is unhealthy"
    )
    return [
        host_ports.leads_to_serving(
            host,
            f"published port {port} leads to Synced nodes only",
            told.get((host.private_ip, port), Told()),
            answer.error,
            remedy,
        )
        for host in outputs.hosts
    ]
