"""The images' programs with real etcd and mariadbd processes, each in its own network namespace.

Nothing is simulated but the engine: root file systems built from the Dockerfiles, volumes, secrets, names,
the entrypoints as first processes, sudden deaths by SIGKILL of a container's whole process-id namespace.
"""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Mapping

import pytest

from harness.image_containers import Container, wait_for
from tests.images.galera_site import (
    INITDB,
    PASSWORDS,
    SIZE,
    SLOW,
    GaleraSite,
    add,
    cluster,
    formed,
    healthy,
    on_both_stores,
    rows,
    says,
    server_pid,
    sql,
    start,
    synced,
    until,
    uuids,
)
from tests.images.store_access import ETCDCTL

pytestmark = pytest.mark.images


def client(
    nodes: list[Container], user: str, statement: str, passwords: Mapping[str, str] = PASSWORDS
) -> str:
    """What a client on the first node's side of the network is told by the last one."""
    words = ("-N", f"-u{user}", f"-p{passwords[f'galera-{user}-password']}", "-h", nodes[-1].address)
    done = nodes[0].run("/usr/bin/mariadb", *words, "-e", statement)
    return done.stderr.strip() or done.stdout.strip()


def give_data(node: Container, uuid: str) -> None:
    """A volume that holds something of cluster `uuid`."""
    (node.volume / "mysql").mkdir()
    (node.volume / "ibdata1").write_bytes(b"precious")
    (node.volume / "grastate.dat").write_text(f"uuid: {uuid}\nseqno: 7\nsafe_to_bootstrap: 1\n")
    for path in node.volume.rglob("*"):
        os.chown(path, 999, 999)


def test_three_empty_nodes_form_one_cluster_and_a_node_returns_by_what_it_lacks(site: GaleraSite) -> None:
    site.start_store()
    nodes = start(site, 1, 2, 3)
    formed(nodes)
    (uuid,) = uuids(nodes)
    wait_for(lambda: "formed" in cluster(nodes[0]), "the cluster formed")

    # The initial SQL ran once and is everywhere, with the accounts.
    assert rows(nodes) == ["first"] * SIZE
    accounts = [
        sql(n, "SELECT User, Host, authentication_string FROM mysql.user ORDER BY 1, 2") for n in nodes
    ]
    assert accounts[0].count("\n") == 6
    assert len(set(accounts)) == 1
    assert [sql(n, "CALL app.one()") for n in nodes] == ["1"] * SIZE
    # A client of the network comes in by password; the application sees its own database only.
    assert client(nodes, "app", "SELECT text FROM app.word") == "first"
    assert "denied" in client(nodes, "app", "SELECT * FROM mysql.user")
    assert client(nodes, "root", "SELECT 1") == "1"
    # Every node has one ordinary vote once all are in.
    for node in nodes:
        wait_for(
            lambda node=node: "pc.weight = 1;" in sql(node, "SELECT @@wsrep_provider_options"),  # type: ignore[misc]
            f"{node.name} with one vote",
        )
    # No password is in a log, on a command line, in an environment, or in a file of the volume.
    for node in nodes:
        told = [node.log, node.run("/bin/sh", "-c", "cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ").stdout]
        assert [secret for secret in PASSWORDS.values() if any(secret in text for text in told)] == []
        for path in node.volume.rglob("*"):
            content = path.read_bytes() if path.is_file() else b""
            assert [secret for secret in PASSWORDS.values() if secret.encode() in content] == [], path

    # An orderly stop saves the position; the node returns with the write-sets it lacks.
    assert nodes[2].stop() == 0
    grastate = (nodes[2].volume / "grastate.dat").read_text()
    assert uuid in grastate
    assert "seqno:   -1" not in grastate
    add(nodes[0], "second")
    transfers = nodes[2].log.count("joiner: received")
    # A start on a full disk leaves a log that no later start would get over.
    (nodes[2].volume / "tc.log").touch()
    os.chown(nodes[2].volume / "tc.log", 999, 999)
    nodes[2].start()
    formed(nodes)
    assert "removed an empty tc.log" in nodes[2].log
    assert nodes[2].log.count("joiner: received") == transfers
    # So does one that died suddenly: its position comes from InnoDB.
    nodes[2].kill()
    wait_for(lambda: synced(nodes[0], 2), "two nodes")
    add(nodes[0], "third")
    nodes[2].start()
    formed(nodes)
    until(nodes[2], f"recovered position {uuid}:")
    assert nodes[2].log.count("joiner: received") == transfers
    assert rows(nodes) == ["first,second,third"] * SIZE
    # One that has lost its volume receives everything.
    nodes[1].kill()
    nodes[1].lose_volume()
    wait_for(lambda: synced(nodes[0], 2), "two nodes")
    add(nodes[0], "fourth")
    nodes[1].start()
    formed(nodes)
    assert rows(nodes) == ["first,fourth,second,third"] * SIZE
    assert uuids(nodes) == {uuid}


def test_a_node_that_leaves_the_group_by_itself_starts_over(site: GaleraSite) -> None:
    site.start_store()
    nodes = start(site, 1, 2, 3)
    formed(nodes)
    # Its data differ from the others'. Galera votes it out then, and mariadbd stays there without a group.
    sql(nodes[1], "SET SESSION wsrep_on=OFF; INSERT INTO app.word VALUES (1000, 'second')")
    add(nodes[0], "second")
    until(nodes[1], "mariadbd has left its group")
    # Its health check has passed before, so that failures would count while it receives: a new container's do
    # not.
    until(nodes[1], "ending: the engine starts this node anew")
    wait_for(lambda: not nodes[1].running, "the container's end")
    nodes[1].start()
    formed(nodes)
    assert rows(nodes) == ["first,second"] * SIZE
    assert sql(nodes[1], "SELECT COUNT(*) FROM app.word WHERE id = 1000") == "0"


def test_a_joiner_that_dies_leaves_the_lone_first_node_serving(site: GaleraSite) -> None:
    site.start_store(without=(2, 3))
    (first,) = start(site, 1)
    formed([first], 1)
    (second,) = start(site, 2)
    wait_for(lambda: synced(first, 2), "two members")
    second.kill()
    wait_for(lambda: synced(first, 1), "the first node alone and Primary")
    add(first, "alone")
    second.lose_volume()
    second.start()
    formed([first, second], 2)
    # A third one that dies before its data is there changes nothing either.
    (third,) = start(site, 3)
    until(third, "joining")
    third.kill()
    formed([first, second], 2)
    third.start()
    formed([first, second, third])
    assert rows([first, second, third]) == ["alone,first"] * SIZE


def test_new_passwords_count_when_every_node_has_them_and_transfers_never_need_one(site: GaleraSite) -> None:
    site.start_store()
    nodes = start(site, 1, 2, 3)
    formed(nodes)
    new = {name: f"new {value}" for name, value in PASSWORDS.items()}

    def logins(passwords: Mapping[str, str]) -> list[str]:
        told = [client(nodes, user, "SELECT 1", passwords) for user in ("root", "monitor", "app")]
        return ["denied" if "denied" in answer else answer for answer in told]

    def update(node: Container) -> None:
        assert node.stop() == 0
        for name, value in new.items():
            (node.here / "secrets" / name).write_text(value)
        node.start()
        formed(nodes)

    update(nodes[0])
    # Old and new secrets side by side: clients keep their passwords, and either kind of node receives a copy.
    for node in nodes[:2]:
        assert node.stop() == 0
        node.lose_volume()
        node.start()
        formed(nodes)
    assert (logins(PASSWORDS), logins(new)) == (["1"] * 3, ["denied"] * 3)

    update(nodes[1])
    update(nodes[2])
    wait_for(lambda: logins(new) == ["1"] * 3, "the new passwords")
    assert logins(PASSWORDS) == ["denied"] * 3
    assert "new passwords for app, monitor, root" in nodes[0].log
    assert rows(nodes) == ["first"] * SIZE


def test_a_password_takes_the_others_place_while_both_count_and_no_client_is_refused(
    site: GaleraSite,
) -> None:
    """The two runs of a rotation, node by node, with a client that logs in all the time."""
    site.start_store()
    nodes = start(site, 1, 2, 3)
    formed(nodes)
    new = {name: f"new-{name}" for name in PASSWORDS}
    told: list[str] = []

    def logs_in(passwords: Mapping[str, str]) -> bool:
        answers = [client(nodes, user, "SELECT 1", passwords) for user in ("root", "monitor", "app")]
        told.extend(answers)
        return answers == ["1"] * 3

    def refused(passwords: Mapping[str, str]) -> bool:
        said = [client(nodes, user, "SELECT 1", passwords) for user in ("root", "monitor", "app")]
        return all("denied" in answer for answer in said)

    def update(files: Mapping[str, str], gone: tuple[str, ...], used: Mapping[str, str]) -> None:
        for node in nodes:
            assert node.stop() == 0
            for name, value in files.items():
                (node.here / "secrets" / name).write_text(value)
            for name in gone:
                (node.here / "secrets" / name).unlink()
            node.start()
            formed(nodes)
            assert logs_in(used), told[-3:]

    formers = {f"{name}-former": value for name, value in PASSWORDS.items()}
    update({**new, **formers}, (), PASSWORDS)
    wait_for(lambda: logs_in(new), "the new passwords")
    assert logs_in(PASSWORDS)
    assert any("the former ones count as well" in node.log for node in nodes)
    # A copy that a node takes in between is of no other kind, and neither password is anywhere in plain.
    assert nodes[1].stop() == 0
    nodes[1].lose_volume()
    nodes[1].start()
    formed(nodes)
    for password in (*PASSWORDS.values(), *new.values()):
        for node in nodes:
            assert password not in node.log
            assert password.encode() not in (node.volume / "galera.cache").read_bytes()

    update({}, tuple(formers), new)
    wait_for(lambda: refused(PASSWORDS), "the end of the former passwords")
    assert logs_in(new)


def be_quick(node: Container) -> None:
    """From now on the initial SQL of `node` ends."""
    (node.here / "initdb" / "01.sql").write_text(INITDB["01-tables.sql"])


def test_a_first_node_whose_server_dies_in_the_initial_sql_forms_the_cluster_anew(site: GaleraSite) -> None:
    site.start_store(without=(2, 3))
    node = site.add_galera(1, SLOW)
    node.start()
    until(node, "running 01.sql")
    os.kill(server_pid(node), signal.SIGKILL)
    until(node, "discarding the data of")
    wait_for(lambda: node.log.count("running 01.sql") == 2, "the second attempt")
    wait_for(lambda: re.search(r"not yet: running 01\.sql, [1-9]", says(node)), "the initial SQL shown")
    # A stop in the middle is honoured, and leaves the right to bootstrap to others at once.
    be_quick(node)
    assert node.stop() == 0
    (second,) = start(site, 2)
    formed([second], 1)
    node.start()
    formed([node, second], 2)
    assert rows([node, second]) == ["first"] * 2


def test_a_first_node_that_fails_gives_its_right_to_another(site: GaleraSite) -> None:
    site.start_store(without=(2, 3))
    first = site.add_galera(1, {"01.sql": "SELECT what;\n"})
    first.start()
    until(first, "01.sql: ERROR 1054")
    (second,) = start(site, 2)
    until(second, "is open: accounts and initial SQL are in")
    # It need not end for that.
    assert first.running
    formed([first, second], 2)
    assert rows([first, second]) == ["first"] * 2


@on_both_stores
def test_a_first_node_that_loses_its_lease_makes_way_for_another_formation(site: GaleraSite) -> None:
    site.start_store(without=(2, 3))
    first = site.add_galera(1, SLOW)
    first.start()
    until(first, "running 01.sql")
    (second,) = start(site, 2)
    until(second, "waiting: galera-1 is forming the cluster")
    site.end_right_to_bootstrap()
    be_quick(first)
    until(first, "before any client is served: the store's")
    until(first, "discarding the data of")
    formed([first, second], 2)
    assert rows([first, second]) == ["first"] * 2
    assert len(uuids([first, second])) == 1


def test_a_formation_that_dies_is_taken_over_and_its_data_is_discarded(site: GaleraSite) -> None:
    site.start_store(without=(2, 3))
    first = site.add_galera(1, SLOW)
    first.start()
    until(first, "running 01.sql")
    # It does not answer as healthy and nobody may join it yet.
    assert not healthy(first)
    (second,) = start(site, 2)
    until(second, "galera-1 is forming the cluster")
    first.kill()
    until(second, "forming anew")
    formed([second], 1)
    (first.here / "initdb" / "01.sql").unlink()
    first.start()
    until(first, "discarding the data of")
    formed([first, second], 2)
    assert rows([first, second]) == ["first"] * 2


def test_a_node_with_data_of_another_cluster_is_left_alone(site: GaleraSite) -> None:
    site.start_store(without=(2, 3))
    (first,) = start(site, 1)
    formed([first], 1)
    stranger = site.add_galera(2)
    foreign = "11111111-2222-3333-4444-555555555555"
    give_data(stranger, foreign)
    stranger.start()
    until(stranger, f"the data directory belongs to cluster {foreign}")
    assert not healthy(stranger)
    stranger.stop()
    assert (stranger.volume / "ibdata1").read_bytes() == b"precious"
    # With the store away the node learns it only from its donor.
    for member in site.store_members():
        member.kill()
    stranger.start()
    until(stranger, "the store does not answer, and live nodes are of another cluster")
    stranger.kill()
    assert (stranger.volume / "ibdata1").read_bytes() == b"precious"
    wait_for(lambda: synced(first, 1), "the first node alone and Primary")


def test_an_etcd_member_that_lost_its_disk_takes_its_own_seat_anew(site: GaleraSite) -> None:
    site.start_store(without=(2, 3))
    (node,) = start(site, 1)
    formed([node], 1)
    member = site.containers["etcd-2"]
    member.kill()
    # With data it just goes on.
    member.start()
    wait_for(lambda: healthy(member), "the member back")
    assert "resume: the data directory holds a member" in member.log
    member.kill()
    member.lose_volume()
    member.start()
    until(member, "rejoin: the cluster exists and this member has lost its data")
    wait_for(lambda: healthy(member), "the member back in its seat")
    listed = member.run(*ETCDCTL, "member", "list").stdout
    assert listed.count("started") == SIZE
    # It holds the cluster's data again: the others may go.
    site.containers["etcd-1"].stop()
    assert "galera-1: synced" in cluster(node)
