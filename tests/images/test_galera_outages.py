"""Outages of real etcd and mariadbd processes: lost members, a lost quorum, all nodes, the store.

The machinery is that of `test_galera_processes`; a file of its own, because most of it is waiting.
"""

from __future__ import annotations

import os
import re
import signal

import pytest

from harness.image_containers import run, wait_for
from tests.images.galera_site import (
    SIZE,
    GaleraSite,
    add,
    cluster,
    formed,
    healthy,
    on_both_stores,
    processes,
    rows,
    says,
    server_pid,
    start,
    status,
    synced,
    until,
    uuids,
)

pytestmark = pytest.mark.images


@on_both_stores
def test_after_a_full_outage_the_most_advanced_node_restarts_the_cluster(site: GaleraSite) -> None:
    site.start_store()
    nodes = start(site, 1, 2, 3)
    formed(nodes)
    (uuid,) = uuids(nodes)
    assert nodes[0].stop() == 0
    wait_for(lambda: synced(nodes[1], 2), "two nodes")
    add(nodes[1], "without the first")
    nodes[1].kill()
    nodes[2].kill()
    # Two of three are back, the third is not: nobody guesses.
    nodes[0].start()
    nodes[1].start()
    until(nodes[0], "the position of galera-3 is not known in this outage")
    until(nodes[1], "the position of galera-3 is not known in this outage")
    assert not healthy(nodes[0])
    assert "waiting" in says(nodes[0])
    nodes[2].start()
    formed(nodes)
    assert rows(nodes) == ["first,without the first"] * SIZE
    assert uuids(nodes) == {uuid}
    assert "bootstrapping" not in nodes[0].log.rpartition("is not known in this outage")[2]


def test_a_lost_quorum_ends_as_a_full_outage_and_the_cluster_comes_back(site: GaleraSite) -> None:
    site.start_store()
    nodes = start(site, 1, 2, 3)
    formed(nodes)
    wait_for(lambda: "formed" in cluster(nodes[0]), "the cluster formed")
    (uuid,) = uuids(nodes)
    nodes[0].kill()
    wait_for(lambda: synced(nodes[2], 2), "two nodes")
    add(nodes[2], "without the first")
    # At once: the third one is left outside the Primary component.
    nodes[1].kill()
    wait_for(lambda: "galera-3: running" in cluster(nodes[2]), "the third one outside")
    # One comes back while the other may yet do so: together they wait for the whole component.
    nodes[0].start()
    until(nodes[0], "live members have no Primary component; joining them")
    # It does not. Nobody goes on alone, and nobody keeps the other from saying where it stopped.
    for node in (nodes[0], nodes[2]):
        until(node, "outside the Primary component for")
        until(node, "the position of galera-2 is not known in this outage")
        assert "bootstrapping" not in node.log.rpartition("outside the Primary")[2]
    nodes[1].start()
    formed(nodes)
    assert uuids(nodes) == {uuid}
    assert rows(nodes) == ["first,without the first"] * SIZE


def test_a_host_that_is_lost_for_good_is_forgotten_and_the_others_restart(site: GaleraSite) -> None:
    site.start_store()
    nodes = start(site, 1, 2, 3)
    formed(nodes)
    wait_for(lambda: "formed" in cluster(nodes[0]), "the cluster formed")
    (uuid,) = uuids(nodes)
    for node in nodes:
        assert node.stop() == 0
    nodes[0].start()
    nodes[1].start()
    until(nodes[0], "the position of galera-3 is not known in this outage")
    forget = ("/usr/local/bin/galera-node", "forget")
    assert nodes[0].run(*forget, "galera 9").returncode == 1
    for _ in range(2):  # the second time it is said that there is nothing to do
        assert nodes[0].run(*forget, "galera-3").returncode == 0
    assert "galera-3: absent, forgotten" in cluster(nodes[0])
    formed(nodes[:2], 2)
    assert uuids(nodes[:2]) == {uuid}
    # A new host of that name is an ordinary joiner, and counts again.
    nodes[2].lose_volume()
    nodes[2].start()
    formed(nodes)
    assert rows(nodes) == ["first"] * SIZE
    wait_for(lambda: "galera-3: synced" in cluster(nodes[0]), "the third one a member")
    assert "forgotten" not in cluster(nodes[0])


def test_a_joiner_that_dies_leaves_the_node_that_restarted_the_cluster_serving(site: GaleraSite) -> None:
    site.start_store()
    nodes = start(site, 1, 2, 3)
    formed(nodes)
    for node in reversed(nodes):
        assert node.stop() == 0
    # The last one to stop was the last component by itself: it waits for nobody.
    nodes[0].start()
    formed(nodes[:1], 1)
    until(nodes[0], "this node counts 3 votes until 3 nodes are Synced")
    assert "counts 3 votes" in cluster(nodes[0])
    nodes[1].lose_volume()
    nodes[1].start()
    wait_for(lambda: status(nodes[0], "wsrep_cluster_size") == "2", "the joiner in the component")
    nodes[1].kill()
    wait_for(lambda: synced(nodes[0], 1), "the first node alone and Primary")
    add(nodes[0], "alone")
    assert "outside the Primary component" not in nodes[0].log
    nodes[1].start()
    nodes[2].start()
    formed(nodes)
    until(nodes[0], "this node's vote counts once from now on: galera-1, galera-2, galera-3 are Synced")
    assert rows(nodes) == ["alone,first"] * SIZE


@on_both_stores
def test_a_node_killed_right_after_its_recovery_bootstrap_recovers_again(site: GaleraSite) -> None:
    site.start_store(without=(2, 3))
    (node,) = start(site, 1)
    formed([node], 1)
    (uuid,) = uuids([node])
    add(node, "precious")
    node.kill()
    node.start()
    until(node, "and this one is the most advanced")
    node.kill()
    # Its right outlives it by up to 45 s: the next container of this name can't know that nobody uses it.
    node.start()
    until(node, "an earlier run of galera-1 is restarting the cluster")
    assert node.stop() == 0
    node.start()
    formed([node], 1)
    assert rows([node]) == ["first,precious"]
    assert uuids([node]) == {uuid}


def test_a_long_recovery_is_shown_and_ends_with_the_container(site: GaleraSite) -> None:
    site.start_store(without=(2, 3))
    (node,) = start(site, 1)
    formed([node], 1)
    (node.here / "slow").write_text(
        '#!/bin/sh\ncase "$*" in *--wsrep-recover*) exec sleep 600;; esac\nexec /mnt/real "$@"\n'
    )
    (node.here / "slow").chmod(0o755)
    mariadbd, real = f"{node.root}/usr/sbin/mariadbd", f"{node.root}/mnt/real"
    inside = ("nsenter", "--target", str(node.init_pid()), "--mount")
    run(*inside, "touch", real)
    run(*inside, "mount", "--bind", mariadbd, real)
    run(*inside, "mount", "--bind", str(node.here / "slow"), mariadbd)
    # Without the store: with it, a container that has served ends before it recovers.
    members = site.store_members()
    for member in members:
        member.kill()
    until(node, "does not answer")
    os.kill(server_pid(node), signal.SIGKILL)
    wait_for(
        lambda: re.search("recovering the position from InnoDB, [1-9]", says(node)), "the recovery shown"
    )
    assert healthy(node)  # its failures would count, and it advances
    assert node.stop() == 0
    for member in members:
        member.start()
    node.start()
    formed([node], 1)


def test_a_server_that_dies_is_recovered_in_a_container_of_its_own(site: GaleraSite) -> None:
    site.start_store(without=(2, 3))
    (node,) = start(site, 1)
    formed([node], 1)
    add(node, "precious")
    os.kill(server_pid(node), signal.SIGKILL)
    until(node, "ending: the engine starts this node anew")
    wait_for(lambda: not node.running, "the container's end")
    node.start()
    formed([node], 1)
    assert rows([node]) == ["first,precious"]


def test_a_donor_that_galera_has_lost_count_of_starts_over_and_all_come_together(site: GaleraSite) -> None:
    """For Galera it is a donor for ever, and by all else it is none: as `desynced` says, seen in CI."""
    site.start_store(without=(2, 3))
    (donor,) = start(site, 1)
    until(donor, "Synced after")
    (joiner,) = start(site, 2)
    until(donor, "during BACKUP STAGE BLOCK_DDL")
    (program,) = wait_for(lambda: processes(donor, "wsrep_sst_galera"), "the donor's program")
    os.kill(program, signal.SIGSTOP)
    for backup in processes(donor, "mariadb-backup"):
        os.kill(backup, signal.SIGKILL)
    assert donor.run("/bin/rm", "/dev/shm/galera-node/transfer").returncode == 0
    until(donor, "Galera has not noticed that this donor is done, and never will: starting mariadbd over")
    os.kill(program, signal.SIGKILL)
    formed([donor, joiner], 2)
    assert rows([donor, joiner]) == ["first"] * 2


@on_both_stores
def test_nodes_with_data_serve_and_return_while_the_store_is_away(site: GaleraSite) -> None:
    site.start_store(without=(2, 3))
    nodes = start(site, 1)
    formed(nodes, 1)
    nodes += start(site, 2)
    formed(nodes, 2)
    members = site.store_members()
    for member in members:
        member.kill()
    until(nodes[0], "does not answer")
    nodes[1].kill()
    add(nodes[0], "without a store")
    nodes[1].start()
    formed(nodes, 2)
    until(nodes[1], "the store does not answer, but live nodes of the same epoch do")
    assert rows(nodes) == ["first,without a store"] * 2
    # An empty node does not join unseen, nor does it start anything.
    (third,) = start(site, 3)
    until(third, "waiting: the store does not answer")
    for member in members:
        member.start()
    formed([*nodes, third])
    assert rows([*nodes, third]) == ["first,without a store"] * SIZE
