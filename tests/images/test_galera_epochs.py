"""Epochs with real processes: whoever a recovery leaves out never goes on with data that nobody else has.

The machinery is that of `test_galera_processes`. The rules one by one: test_galera_node_decision.py.
"""

from __future__ import annotations

import os

import pytest

from harness.image_containers import wait_for
from tests.images.galera_site import (
    SIZE,
    GaleraSite,
    add,
    checksums,
    cluster,
    copies,
    formed,
    known,
    on_both_stores,
    rows,
    sql,
    start,
    synced,
    tell,
    until,
    uuids,
)
from tests.images.store_access import ETCDCTL

pytestmark = pytest.mark.images


def whole(site: GaleraSite) -> list:  # type: ignore[type-arg]
    """Three nodes, formed."""
    site.start_store()
    nodes = start(site, 1, 2, 3)
    formed(nodes)
    wait_for(lambda: "formed" in cluster(nodes[0]), "the cluster formed")
    return nodes


@on_both_stores
def test_a_forgotten_node_that_returns_with_data_of_its_own_takes_a_full_copy(site: GaleraSite) -> None:
    nodes = whole(site)
    (uuid,) = uuids(nodes)
    for node in nodes[:2]:
        assert node.stop() == 0
    wait_for(lambda: synced(nodes[2], 1), "the third alone")
    for number in range(10):
        add(nodes[2], f"only on the third {number}")
    nodes[2].kill()
    nodes[0].start()
    nodes[1].start()
    until(nodes[0], "the position of galera-3 is not known in this outage")
    told = wait_for(lambda: tell(nodes[0], "forget", "galera-3"), "the third forgotten", 90)
    assert "its data is replaced by a full copy; transactions only it had are lost" in told
    formed(nodes[:2], 2)
    before = copies(nodes[2]), copies(nodes[1])
    for number in range(50):
        add(nodes[0], f"without the third {number}")
    epoch = known(nodes[0])["cluster"]["epoch"]
    assert epoch.startswith("1-")
    assert known(nodes[1])["self"]["epoch"] == epoch
    nodes[2].start()
    formed(nodes)
    assert len(set(checksums(nodes))) == 1
    assert sql(nodes[2], "SELECT COUNT(*) FROM app.word WHERE text LIKE 'only%'") == "0"
    assert sql(nodes[2], "SELECT COUNT(*) FROM app.word") == "51"
    assert uuids(nodes) == {uuid}
    # The one that was heard in the recovery has gone on as it was.
    assert (copies(nodes[2]), copies(nodes[1])) == (before[0] + 1, before[1])
    assert known(nodes[2])["self"]["epoch"] == epoch
    # From now on it is one like the others: what it lacks comes as write-sets.
    assert nodes[2].stop() == 0
    add(nodes[0], "while the third was away")
    nodes[2].start()
    formed(nodes)
    assert copies(nodes[2]) == before[0] + 1
    assert len(set(checksums(nodes))) == 1


def test_a_node_left_out_does_not_return_unseen_while_the_store_is_away(site: GaleraSite) -> None:
    nodes = whole(site)
    for node in nodes[:2]:
        assert node.stop() == 0
    wait_for(lambda: synced(nodes[2], 1), "the third alone")
    add(nodes[2], "only on the third")
    assert nodes[2].stop() == 0
    nodes[0].start()
    nodes[1].start()
    until(nodes[0], "the position of galera-3 is not known in this outage")
    tell(nodes[0], "forget", "galera-3")
    formed(nodes[:2], 2)
    add(nodes[0], "without the third")
    members = site.store_members()
    for member in members:
        member.kill()
    until(nodes[0], "does not answer")
    # Those of the epoch return without the store; they ask one another.
    received = copies(nodes[1])
    nodes[1].kill()
    nodes[1].start()
    until(nodes[1], "the store does not answer, but live nodes of the same epoch do")
    formed(nodes[:2], 2)
    assert copies(nodes[1]) == received
    nodes[2].start()
    until(nodes[2], "the live nodes' data is of another epoch")
    for member in members:
        member.start()
    until(nodes[2], "it takes a full copy")
    formed(nodes)
    assert rows(nodes) == ["first,without the third"] * SIZE


def test_a_component_started_by_hand_begins_an_epoch(site: GaleraSite) -> None:
    nodes = whole(site)
    nodes[0].kill()
    wait_for(lambda: synced(nodes[2], 2), "two nodes")
    # Else the first one, too, is of the last component that the store knows, and left out.
    wait_for(lambda: known(nodes[2])["view"] == ["galera-2", "galera-3"], "the component of two in the store")
    add(nodes[1], "acknowledged by two")
    nodes[1].kill()
    wait_for(lambda: "galera-3: running" in cluster(nodes[2]), "the third one outside")
    sql(nodes[2], "SET GLOBAL wsrep_provider_options='pc.bootstrap=YES'")
    until(nodes[2], "this component was started without galera-2")
    formed(nodes[2:], 1)
    add(nodes[2], "by the third alone")
    epoch = known(nodes[2])["cluster"]["epoch"]
    received = copies(nodes[1])
    nodes[1].start()
    until(nodes[1], "it takes a full copy")
    formed(nodes[1:], 2)
    assert copies(nodes[1]) == received + 1
    assert rows(nodes[1:]) == ["acknowledged by two,by the third alone,first"] * 2
    assert known(nodes[1])["self"]["epoch"] == epoch


def test_a_member_that_died_before_the_last_component_is_not_waited_for(site: GaleraSite) -> None:
    nodes = whole(site)
    nodes[2].kill()
    wait_for(lambda: synced(nodes[0], 2), "two nodes")
    wait_for(lambda: known(nodes[0])["view"] == ["galera-1", "galera-2"], "the component of two in the store")
    add(nodes[0], "without the third")
    for node in nodes[:2]:
        node.kill()
    for node in nodes[:2]:
        node.start()
    formed(nodes[:2], 2)
    assert rows(nodes[:2]) == ["first,without the third"] * 2
    # It has a part of what they have, and goes on from there.
    received = copies(nodes[2])
    nodes[2].start()
    formed(nodes)
    assert copies(nodes[2]) == received
    assert len(set(checksums(nodes))) == 1


def test_the_last_one_of_three_serves_again_by_one_word(site: GaleraSite) -> None:
    nodes = whole(site)
    add(nodes[0], "precious")
    nodes[0].kill()
    nodes[1].kill()
    wait_for(lambda: "galera-3: running" in cluster(nodes[2]), "the third one outside")
    gone = ("galera-1: absent", "galera-2: absent")
    wait_for(lambda: all(word in cluster(nodes[2]) for word in gone), "the others' leases over", 90)
    with pytest.raises(OSError, match="galera-1 is not here with data"):
        tell(nodes[2], "recover-from", "galera-1")
    tell(nodes[2], "recover-from", "galera-3")
    formed(nodes[2:], 1)
    assert rows(nodes[2:]) == ["first,precious"]
    add(nodes[2], "alone")
    wait_for(lambda: "galera-3: synced" in cluster(nodes[2]), "the store told")
    with pytest.raises(OSError, match="nothing to recover"):
        tell(nodes[2], "recover-from", "galera-3")
    for node in nodes[:2]:
        node.start()
        until(node, "it takes a full copy")
    formed(nodes)
    assert rows(nodes) == ["alone,first,precious"] * SIZE


def test_the_record_that_went_with_the_store_is_written_anew_by_running_members(site: GaleraSite) -> None:
    nodes = whole(site)
    (uuid,) = uuids(nodes)
    members = site.store_members()
    for member in members:
        member.kill()
        member.lose_volume()
    for member in members:
        member.start()
    # Whoever is back in the store first writes it.
    words = f"the store had no record of the cluster: entered {uuid} anew"
    wait_for(lambda: any(words in node.log for node in nodes), "the record")
    nodes[2].kill()
    nodes[2].lose_volume()
    nodes[2].start()
    formed(nodes)
    assert uuids(nodes) == {uuid}


def test_a_node_of_another_cluster_keeps_nobody_from_restarting(site: GaleraSite) -> None:
    nodes = whole(site)
    assert nodes[2].stop() == 0
    state = nodes[2].volume / "grastate.dat"
    state.write_text("uuid: 11111111-2222-3333-4444-555555555555\nseqno: 5\nsafe_to_bootstrap: 0\n")
    nodes[2].start()
    until(nodes[2], "the data directory belongs to cluster 11111111")
    assert nodes[0].stop() == 0
    nodes[0].start()
    formed(nodes[:2], 2)
    for node in nodes[:2]:
        node.kill()
    for node in nodes[:2]:
        node.start()
    formed(nodes[:2], 2)


def test_a_member_with_broken_tables_is_named_and_can_be_forgotten(site: GaleraSite) -> None:
    nodes = whole(site)
    add(nodes[0], "precious")
    for node in nodes:
        node.kill()
    with open(nodes[2].volume / "ibdata1", "r+b") as file:
        file.seek(16384)
        file.write(os.urandom(64 * 16384))
    for node in nodes:
        node.start()
    until(nodes[0], "the position of galera-3 could not be recovered from its data")
    until(nodes[2], "the position of this node could not be recovered")
    assert "could not be recovered" in known(nodes[0])["members"]["galera-3"]["problem"]
    tell(nodes[0], "forget", "galera-3")
    formed(nodes)
    assert rows(nodes) == ["first,precious"] * SIZE


def test_a_first_start_waits_for_every_expected_node_and_says_for_whom(site: GaleraSite) -> None:
    site.start_store()
    nodes = start(site, 1, 2)
    until(nodes[0], "needs all 3 nodes present and empty")
    until(nodes[1], "Waiting for galera-3; one that will not come: galera-node forget NAME")
    tell(nodes[0], "forget", "galera-3")
    formed(nodes, 2)
    (third,) = start(site, 3)
    formed([*nodes, third])


def test_a_value_that_is_no_text_ends_no_database(site: GaleraSite) -> None:
    site.start_store(without=(2, 3))
    (node,) = start(site, 1)
    formed([node], 1)
    etcd = site.containers["etcd-1"]
    for key in ("x", "present/x"):
        done = etcd.run(
            "/bin/sh",
            "-c",
            f"""{" ".join(ETCDCTL)} put swarm-galera/galera/{key} "$(printf '\\377')" """,
        )
        assert done.returncode == 0, done.stderr
        add(node, f"after {key}")
    until(node, "the store's key 'present/x' holds no record of this program")
    assert synced(node, 1)
    assert etcd.run(*ETCDCTL, "del", "swarm-galera/galera/present/x").returncode == 0
    until(node, "the store answers again")
    assert node.stop() == 0
