"""A cluster on real hosts: through a rolling change, with a dead host, and after a power cut.

Owned here: that none of it costs data, the first no client, and what `up` says and mends. Left to others: the
whole job (test_whole_job.py), a full disk (test_full_disk.py), hosts that are lost for good
(test_recoveries.py, test_last_one.py).

The tests tell one story, in the order they are written. They take long, for a node that was restarted must
prove itself before the next one's turn: `make outage-test`, apart from `make test`.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from tests.lab.whole_cluster import (
    HOSTS,
    LAB,
    SETTINGS,
    STORE,
    cluster_uuid,
    config,
    guests,
    holds,
    in_lab,
    make,
    on_host,
    one_cluster,
    operations,
    sql,
    tasks,
    wait_for,
)

pytestmark = [pytest.mark.lab, pytest.mark.usefixtures("cluster")]


WAYS = {"client": "-h galera -e 'SELECT 1'", "writer": "-h haproxy -P 6446 -e 'INSERT INTO tick VALUES ()'"}
"""What clients ask: one through the service's name, one writes through the writer endpoint."""


@contextmanager
def clients() -> Iterator[Callable[[str], list[str]]]:
    """Containers on galera-1, one for each of `WAYS`, that ask the database every two seconds.

    Gives what one of them has met so far: `ok` or `lost` for each question, oldest first.
    """
    shown = in_lab("pulumi", "stack", "output", "--json", "--show-secrets", "--stack", LAB).stdout
    found = json.loads(shown)
    sql("galera-1", "CREATE TABLE IF NOT EXISTS app.tick (id BIGINT AUTO_INCREMENT PRIMARY KEY)")
    image = "$(docker service inspect --format '{{.Spec.TaskTemplate.ContainerSpec.Image}}' galera)"
    for name, words in WAYS.items():
        ask = f"timeout 10 mariadb -u app --password=$PASSWORD {words} app"
        loop = f"while sleep 2; do if {ask} >/dev/null; then echo ok; else echo lost; fi; done"
        started = f"docker run -d --name {name} --network galera -e PASSWORD={found['passwords']['app']}"
        on_host("galera-1", f"{started} --entrypoint bash {image} -c {shlex.quote(loop)}")
    yield lambda name: on_host("galera-1", f"docker logs {name} 2>/dev/null").split()
    on_host("galera-1", f"docker rm -f {' '.join(WAYS)}")


@pytest.fixture(scope="module", autouse=True)
def row(cluster: None) -> None:
    sql("galera-1", "INSERT INTO kept.row VALUES (4711)")


def test_a_changed_option_reaches_every_node_and_the_database_answers_all_the_time() -> None:
    before, store = cluster_uuid(), tasks(STORE)
    settings = SETTINGS.read_text()
    option = "      innodb_buffer_pool_size_max: 256M\n"
    assert option in settings
    SETTINGS.write_text(settings.replace(option, f'{option}      max_connections: "77"\n'))
    with clients() as met:
        wait_for("the first answers", lambda: all("ok" in met(way) for way in WAYS), 60)
        operations("up", "--yes")
        answers = {way: met(way) for way in WAYS}
    for met_by_one in answers.values():
        assert met_by_one.count("ok") > 20
        # A connection to the node that is stopped may fail; the next one reaches another node.
        assert "lost lost lost" not in " ".join(met_by_one)
    # Each that was acknowledged, on every node.
    for host in HOSTS:
        assert int(sql(host, "SELECT COUNT(*) FROM app.tick")) >= answers["writer"].count("ok")
    holds()
    assert cluster_uuid() == before
    assert tasks(STORE) == store
    for host in HOSTS:
        assert sql(host, "SELECT @@max_connections, n FROM kept.row").split() == ["77", "4711"]


def test_a_dead_host_is_named_and_what_does_not_need_it_is_done() -> None:
    [dead] = [str(guest["id"]) for guest in guests() if guest["hostname"] == "galera-3"]
    in_lab("slcli", "-y", "vs", "power-off", "--hard", dead)
    shown = operations("preview", limit=300)
    assert "galera-3 does not answer" in shown.stderr
    tags = SETTINGS.read_text()
    assert "tags: [dockerhost]" in tags
    SETTINGS.write_text(tags.replace("tags: [dockerhost]", "tags: [dockerhost, marked]"))
    ran = operations("up", "--yes", limit=600)
    assert "Nothing has to be done on galera-3" in ran.stderr
    marked = json.loads(in_lab("slcli", "--format", "json", "vs", "list", "--tag", "marked").stdout)
    assert "galera-1" in {guest["hostname"] for guest in marked}
    # What would have to be done on it is named and left out, and what comes after that; the rest is done.
    config("set", "--path", "swarm-galera:hosts.motd", "hello")
    ran = operations("up", "--yes", check=False, limit=600)
    assert ran.returncode == 1
    assert "would have to be done on galera-3 (galera-3-system-motd)" in ran.stderr
    assert "hello" in on_host("galera-1", "cat /etc/motd.d/swarm-galera")
    broken = make("verify", check=False)
    assert broken.returncode != 0
    assert "galera-3" in broken.stdout
    in_lab("slcli", "-y", "vs", "power-on", dead)
    wait_for("three Synced nodes", one_cluster, 600)
    SETTINGS.write_text(tags)
    operations("up", "--yes")
    holds()


def test_a_cluster_that_lost_its_power_comes_back_by_itself_with_its_data() -> None:
    before = cluster_uuid()
    for guest in guests():
        in_lab("slcli", "-y", "vs", "power-off", "--hard", str(guest["id"]))
    wait_for("the end of all hosts", lambda: all(guest["power_state"] == "Halted" for guest in guests()), 120)
    assert make("verify", check=False).returncode != 0
    for guest in guests():
        in_lab("slcli", "-y", "vs", "power-on", str(guest["id"]))
    wait_for("three Synced nodes", one_cluster, 900)
    holds()
    assert cluster_uuid() == before
    for host in HOSTS:
        assert sql(host, "SELECT n FROM kept.row") == "4711"
