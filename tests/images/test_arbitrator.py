"""The arbitrator, a real process beside two nodes: it votes, the half that it is with goes on, nobody waits.

Left to others: its settings and command line (tests/unit/images/test_arbitrator_node.py), where it may run
(settings/arbitrator.py), real hosts (tests/lab/test_scale.py).
"""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from harness.image_containers import SUBNET, Container, wait_for
from harness.image_roots import image_root
from tests.images.galera_site import (
    INITDB,
    GaleraSite,
    add,
    formed,
    healthy,
    known,
    rows,
    sql,
    status,
    synced,
)
from tests.images.test_galera_tls import give
from tests.support.node_certificates import NodeCertificates

pytestmark = pytest.mark.images

PAIR = {"CLUSTER_SIZE": "2", "MEMBERS": "galera-1,galera-2"}


@pytest.fixture
def site() -> Iterator[GaleraSite]:
    with GaleraSite({name: image_root(name) for name in ("etcd", "galera", "arbitrator")}) as made:
        yield made


def arbitrator_of(site: GaleraSite, files: dict[str, str]) -> Container:
    """One that is not started; its own name leads to it, as the engine has it."""
    made = site.add(
        "arbitrator",
        "arbitrator",
        50,
        user="995:995",
        volume_at="/mnt",
        command=("/usr/local/bin/arbitrator-node", "run"),
        env={"CLUSTER_NAME": "galera", "PEERS": "tasks.galera", "SUBNET": SUBNET},
        secrets=files,
        hosts=f"{site.hosts}10.77.0.50 {socket.gethostname()}\n",
    )
    for path in (made.here / "secrets").iterdir():
        path.chmod(0o444)
    return made


def connected(arbitrator: Container) -> bool:
    """The image's own health check."""
    return arbitrator.run("/usr/local/bin/arbitrator-node", "health").returncode == 0


def votes(node: Container) -> str:
    """The members of the node's component, the arbitrator among them."""
    return status(node, "wsrep_cluster_size")


def one_vote_each(nodes: list[Container]) -> bool:
    return all("pc.weight = 1;" in sql(node, "SELECT @@GLOBAL.wsrep_provider_options") for node in nodes)


def test_of_two_nodes_the_one_that_the_arbitrator_is_with_goes_on(site: GaleraSite) -> None:
    site.start_store()
    files = NodeCertificates().files
    nodes = [site.add_galera(number, INITDB) for number in (1, 2)]
    for node in nodes:
        node.env = {**node.env, **PAIR}
        give(node, files)
        node.start()
    formed(nodes, 2)
    arbitrator = arbitrator_of(site, files)
    arbitrator.start()
    wait_for(lambda: all(votes(node) == "3" for node in nodes), "three votes", 60)
    wait_for(lambda: connected(arbitrator), "the arbitrator's health", 30)
    assert all(healthy(node) for node in nodes)
    wait_for(lambda: one_vote_each(nodes), "one vote each", 60)
    wait_for(lambda: sorted(known(nodes[0])["view"]) == ["galera-1", "galera-2"], "the view", 30)
    # Half of the nodes dies, and the other half goes on.
    nodes[1].kill()
    wait_for(lambda: votes(nodes[0]) == "2", "without the other half", 60)
    assert status(nodes[0], "wsrep_cluster_status") == "Primary"
    add(nodes[0], "written with the arbitrator alone")
    nodes[1].start()
    wait_for(lambda: synced(nodes[1], 3) and healthy(nodes[1]), "both again", 120)
    assert len(set(rows(nodes))) == 1
    # It leaves in order, and nobody misses it.
    assert arbitrator.stop() == 0
    wait_for(lambda: all(synced(node, 2) for node in nodes), "two votes", 60)
    arbitrator.start()
    wait_for(lambda: all(synced(node, 3) for node in nodes), "three votes again", 60)
    # After an outage of both nodes nobody waits for it, and it comes back to them by itself.
    for node in nodes:
        node.kill()

    def back() -> bool:
        for container in (*nodes, arbitrator):  # as the engine does
            if not container.running:
                container.start()
        return all(synced(node, 3) and healthy(node) for node in nodes)

    wait_for(back, "both nodes, and its vote", 300)
    assert len(set(rows(nodes))) == 1
