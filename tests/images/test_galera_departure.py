"""A mariadbd that dies under its node's program: the others do not wait until its silence is long enough.

Whom nobody takes out: unit/images/test_galera_node_departure.py.
"""

from __future__ import annotations

import os
import signal

import pytest

from harness.image_containers import wait_for
from tests.images.galera_site import (
    GaleraSite,
    add,
    galera_address,
    rows,
    server_pid,
    settled,
    start,
    status,
    synced,
    until,
)

pytestmark = pytest.mark.images

HINT = "import http.client, sys; http.client.HTTPConnection(sys.argv[1], 4569).request('GET', '/departed')"


def test_a_mariadbd_that_dies_is_left_out_at_once_and_its_next_life_comes_back(site: GaleraSite) -> None:
    site.start_store()
    nodes = start(site, 1, 2, 3)
    settled(nodes)
    lives = status(nodes[1], "wsrep_gcomm_uuid")

    # A word from elsewhere, and from a node that lives, is asked for in vain.
    for teller in (site.containers["etcd-1"], nodes[1]):
        assert teller.run("/usr/bin/python3", "-ISc", HINT, galera_address(1)).returncode == 0

    os.kill(server_pid(nodes[1]), signal.SIGKILL)
    others = [nodes[0], nodes[2]]
    for node in others:
        wait_for(lambda node=node: status(node, "wsrep_cluster_size") == "2", "two")  # type: ignore[misc]
        wait_for(lambda node=node: "unevicting" in node.log, "nobody kept out any more", 30)  # type: ignore[misc]
        assert synced(node, 2)
        # Silence has decided nothing.
        assert "suspecting node" not in node.log
    assert any("galera-2 says that its mariadbd has died" in node.log for node in others)
    add(nodes[0], "without the second")

    wait_for(lambda: not nodes[1].running, "its container's end")
    nodes[1].start()  # as the engine does
    settled(nodes)
    assert status(nodes[1], "wsrep_gcomm_uuid") != lives
    assert len(set(rows(nodes))) == 1

    # Of the next one, too.
    os.kill(server_pid(nodes[2]), signal.SIGKILL)
    until(nodes[0], "galera-3 says that its mariadbd has died")
    wait_for(lambda: synced(nodes[0], 2), "two again")
