"""A host that dies, and one that is only busy: the group goes on without the first one early, and keeps the
other.

Whom nobody takes out: unit/images/test_galera_node_silence.py.
"""

from __future__ import annotations

import os
import signal
import time

import pytest

from harness.image_containers import wait_for
from tests.images.galera_site import GaleraSite, add, formed, rows, server_pid, settled, start, status, synced

pytestmark = pytest.mark.images


def test_a_host_that_is_gone_is_left_out_before_galera_would_and_a_busy_one_stays(site: GaleraSite) -> None:
    site.start_store()
    nodes = start(site, 1, 2, 3)
    settled(nodes)
    change = status(nodes[0], "wsrep_cluster_conf_id")

    # Its processes find no processor for longer than a dead host is given; its kernel answers.
    pid = server_pid(nodes[1])
    os.kill(pid, signal.SIGSTOP)
    time.sleep(3.5)
    os.kill(pid, signal.SIGCONT)
    wait_for(lambda: all(synced(node) for node in nodes), "three Synced nodes")
    add(nodes[1], "after a pause")
    assert {status(node, "wsrep_cluster_conf_id") for node in nodes} == {change}

    site.network.cut(nodes[1].namespace)
    others = [nodes[0], nodes[2]]
    for node in others:
        wait_for(lambda node=node: status(node, "wsrep_cluster_size") == "2", "two")  # type: ignore[misc]
        assert synced(node, 2)
        assert "suspecting node" not in node.log  # Galera would have waited longer
    words = "the host of galera-2 has not answered for"
    wait_for(lambda: any(words in node.log for node in others), "the word of it")
    add(nodes[0], "without the second")
    # Who hears nobody has left nobody out.
    assert words not in nodes[1].log
    assert "the host of" not in nodes[1].log

    # And others, with what the first one has left in the nodes' minds.
    for back, gone in ((1, 0), (0, 1)):
        site.network.mend(nodes[back].namespace)
        settled(nodes)
        site.network.cut(nodes[gone].namespace)
        wait_for(lambda: synced(nodes[2], 2), "two again")
        assert "suspecting node" not in nodes[2].log
    site.network.mend(nodes[1].namespace)
    formed(nodes)
    assert len(set(rows(nodes))) == 1
