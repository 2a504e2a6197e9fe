"""Hosts that are lost for good: who goes on, with which data, and what becomes of those that come back.

Owned here: the two stories that end in other data than they began with, on real hosts, and that every copy is
the same afterwards. Left to others: hosts that come back whole (test_outages.py), the rules
(unit/test_galera_node_decision.py).

The tests tell one story, in the order they are written.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import pytest

from tests.lab.whole_cluster import (
    HOSTS,
    cluster_uuid,
    empty_lab,
    guests,
    in_lab,
    make,
    node,
    on_host,
    one_cluster,
    operations,
    sql,
    verify_holds,
    wait_for,
)

pytestmark = pytest.mark.lab
GALERA_NODE = 'docker exec "$(docker ps -q --filter name=galera)" galera-node {}'


@pytest.fixture(scope="module", autouse=True)
def cluster() -> Iterator[None]:
    with empty_lab():
        make("up")
        yield
        operations("destroy", "--yes")


def label(host: str, runs: bool) -> None:
    """Whether the database is to run on a host, as an operator says it."""
    on_host("galera-1", f"docker node update --label-add galera={str(runs).lower()} {host}")


def ended(host: str) -> bool:
    return not on_host(host, "docker ps -q --filter name=galera").strip()


def log(host: str) -> str:
    """The health check's words on a host, if its node runs."""
    return on_host(host, GALERA_NODE.format("health"), check=False)


def checksums() -> set[str]:
    return {sql(host, "CHECKSUM TABLE kept.row") for host in HOSTS}


def insert(host: str, first: int, count: int) -> None:
    values = ",".join(f"({number})" for number in range(first, first + count))
    sql(host, f"INSERT INTO kept.row VALUES {values}")


def test_a_forgotten_node_that_returns_ends_with_the_rows_of_the_others() -> None:
    uuid = cluster_uuid()
    sql("galera-1", "CREATE DATABASE kept; CREATE TABLE kept.row (n INT PRIMARY KEY)")
    for host in HOSTS[:2]:
        label(host, runs=False)
        wait_for(f"no node on {host}", lambda host=host: ended(host))  # type: ignore[misc]
    insert("galera-3", 1, 10)
    on_host("galera-3", "docker kill $(docker ps -q --filter name=galera)")
    label("galera-3", runs=False)
    for host in HOSTS[:2]:
        label(host, runs=True)
    wait_for("galera-3 waited for", lambda: "position of galera-3 is not known" in log("galera-1"), 180)
    told = wait_until_forgotten("galera-3")
    assert "its data is replaced by a full copy; transactions only it had are lost" in told
    wait_for("two nodes", lambda: node("galera-1").get("wsrep_cluster_size") == "2", 300)
    wait_for("a Synced node", lambda: "Synced" in log("galera-1"), 120)
    insert("galera-1", 101, 50)
    label("galera-3", runs=True)
    wait_for("three Synced nodes", one_cluster, 600)
    assert [sql(host, "SELECT COUNT(*), MIN(n) FROM kept.row").split() for host in HOSTS] == [
        ["50", "101"]
    ] * 3
    assert len(checksums()) == 1
    assert cluster_uuid() == uuid


def wait_until_forgotten(host: str) -> str:
    """A node that died is seen as gone after 45 s; until then it is not forgotten."""
    told: list[str] = []

    def forgotten() -> bool:
        told.append(on_host("galera-1", GALERA_NODE.format(f"forget {host}"), check=False))
        return f"{host} is forgotten" in told[-1]

    wait_for(f"{host} forgotten", forgotten, 120)
    return told[-1]


def test_the_last_one_of_three_serves_again_by_one_command_and_the_cluster_is_made_whole() -> None:
    wait_for("a cluster that holds", verify_holds, 180)
    refused = operations("survive", "--host", "galera-1", "--yes", check=False)
    assert refused.returncode == 1
    assert "3 of 3 managers answer" in refused.stderr
    insert("galera-1", 1001, 5)
    lost = [guest for guest in guests() if guest["hostname"] != "galera-1"]
    for guest in lost:
        in_lab("slcli", "-y", "vs", "power-off", "--hard", str(guest["id"]))
    wait_for("their end", lambda: sum(g["power_state"] == "Halted" for g in guests()) == 2, 120)
    time.sleep(150)  # longer than the health check's patience: nobody may have ended the node
    began = time.monotonic()
    operations("survive", "--host", "galera-1", "--yes")
    print(f"survive: {time.monotonic() - began:.0f} s", flush=True)
    assert sql("galera-1", "SELECT COUNT(*) FROM kept.row") == "55"
    insert("galera-1", 2001, 5)
    status = json.loads(on_host("galera-1", GALERA_NODE.format("status --json")))
    assert status["view"] == ["galera-1"]
    assert status["cluster"]["epoch"] == status["self"]["epoch"] != ""
    # Their owner cancels the lost ones, and orders new ones.
    for guest in lost:
        in_lab("slcli", "-y", "vs", "cancel", str(guest["id"]))
    wait_for("their cancellation", lambda: len(guests()) == 1, 180)
    operations("refresh", "--yes")
    operations("up", "--yes")
    wait_for("a cluster that holds", verify_holds, 300)
    assert len(checksums()) == 1
    assert sql("galera-2", "SELECT COUNT(*) FROM kept.row") == "60"
