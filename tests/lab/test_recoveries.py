"""A node that was forgotten and comes back with data of its own, on real hosts: all copies are the same.

Left to others: hosts that come back whole (test_outages.py), the last one of three (test_last_one.py), the
rules (unit/images/test_galera_node_decision.py).
"""

from __future__ import annotations

import pytest

from tests.lab.whole_cluster import (
    GALERA_NODE,
    HOSTS,
    checksums,
    cluster_uuid,
    insert,
    node,
    on_host,
    one_cluster,
    sql,
    wait_for,
)

pytestmark = [pytest.mark.lab, pytest.mark.usefixtures("cluster")]


def label(host: str, runs: bool) -> None:
    """Whether the database is to run on a host, as an operator says it."""
    on_host("galera-1", f"docker node update --label-add galera={str(runs).lower()} {host}")


def ended(host: str) -> bool:
    return not on_host(host, "docker ps -q --filter name=galera").strip()


def log(host: str) -> str:
    """The health check's words on a host, if its node runs."""
    return on_host(host, GALERA_NODE.format("health"), check=False)


def test_a_forgotten_node_that_returns_ends_with_the_rows_of_the_others() -> None:
    uuid = cluster_uuid()
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
