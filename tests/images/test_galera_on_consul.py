"""Galera's nodes in Consul's catalog, with real processes: who is found by name, and when.

Left to others: what the nodes make of a store (the stories of the other files, which run on both).
"""

from __future__ import annotations

import os
import signal

import pytest

from harness.image_containers import wait_for
from tests.images.consul_site import GALERA, LONG_AGO, address, resolved
from tests.images.galera_on_consul import GaleraOnConsul
from tests.images.galera_site import add, formed, rows, start, synced, until

pytestmark = [pytest.mark.images, pytest.mark.parametrize("site", ["consul"], indirect=True)]

DATABASE, WRITER = "db.service.consul", "writer.db.service.consul"


def test_the_database_is_found_by_name_where_it_is_synced_and_nowhere_else(site: GaleraOnConsul) -> None:
    site.start_store(without=(2, 3))
    asker, both = site.store_members()[2], [address(1), address(2)]
    [first] = start(site, 1)
    formed([first], 1)
    [second] = start(site, 2)
    until(second, "joiner: ")
    assert address(2) not in resolved(asker, DATABASE)
    formed([first, second], 2)
    wait_for(lambda: resolved(asker, DATABASE) == both, "both nodes by name", 30)
    [writer] = wait_for(lambda: resolved(asker, WRITER), "the writer by name", 30)

    # An orderly stop: nobody is sent there any more before it ends, and the writes go to the other one.
    leaving, staying = (first, second) if writer == address(1) else (second, first)
    other = next(each for each in both if each != writer)
    assert leaving.stop() == 0
    assert resolved(asker, DATABASE) == [other]
    wait_for(lambda: resolved(asker, WRITER) == [other], "the other one takes the writes", 30)
    leaving.start()
    formed([first, second], 2)
    wait_for(lambda: resolved(asker, DATABASE) == both, "both nodes again", 30)
    assert resolved(asker, WRITER) == [other]

    # A program that hangs: the check fails by itself. (A node's death would take the other's quorum with it.)
    os.kill(leaving.init_pid(), signal.SIGSTOP)
    wait_for(lambda: resolved(asker, DATABASE) == [other], "one node by name", 40)
    os.kill(leaving.init_pid(), signal.SIGCONT)
    wait_for(lambda: resolved(asker, DATABASE) == both, "both nodes, as it goes on", 30)

    # A host's agent dies, and comes back without its data: the node serves on, and is found again.
    agent = site.store_members()[int(staying.name[-1]) - 1]
    agent.kill()
    until(staying, "db is not announced: Consul at")
    assert synced(staying, 2)
    wait_for(lambda: resolved(asker, DATABASE) == [writer], "the other host's node", 60)
    agent.lose_volume()
    agent.start()
    wait_for(lambda: resolved(asker, DATABASE) == both, "both nodes at last", 90)


def test_a_node_with_a_wrong_token_or_certificate_says_so_and_loses_nothing(site: GaleraOnConsul) -> None:
    site.start_store(without=(2, 3))
    [node] = start(site, 1)
    formed([node], 1)
    add(node, "precious")
    assert node.stop() == 0
    files, right = node.here / "secrets", dict(site.client_secrets)
    expired = site.authority.client(LONG_AGO)
    wrong = (
        ({"store-token": GALERA[:-1] + "9"}, "does not know the token of this node's secret store-token"),
        ({"store-client.crt": expired.certificate, "store-client.key": expired.private_key}, "it expired on"),
    )
    for secrets, words in wrong:
        for name, text in (right | secrets).items():
            (files / name).write_text(text)
        node.start()
        until(node, words)
        assert node.stop() == 0
    for name, text in right.items():
        (files / name).write_text(text)
    node.start()
    formed([node], 1)
    assert rows([node]) == ["first,precious"]
