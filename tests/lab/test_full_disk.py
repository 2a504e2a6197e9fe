"""A disk that fills up under a node, on real hosts: what it costs, and that `up` mends the host."""

from __future__ import annotations

import pytest

from tests.lab.whole_cluster import (
    boot,
    cluster_uuid,
    holds,
    make,
    node,
    on_host,
    one_cluster,
    operations,
    sql,
    wait_for,
)

pytestmark = [pytest.mark.lab, pytest.mark.usefixtures("cluster")]


FILL = """
mkdir /var/lib/docker/fill && cd /var/lib/docker/fill
for size in 4G 1G 256M 64M; do
  while fallocate -l $size $((++number)) 2>/dev/null; do :; done
done
find . -empty -delete; rm "$(ls -rS | head -n 1)"; sync
"""
"""The smallest piece, some 64 MB, stays free. In one piece btrfs refuses what df calls available."""
REST = "cd /var/lib/docker/fill; timeout 60 head -c 1G /dev/zero >>rest; sync"


def written() -> bool:
    """Writes a large row; it may be refused in the moment in which the others notice that a node has gone."""
    try:
        sql("galera-1", "INSERT INTO kept.much (t) SELECT REPEAT('x', 10000000)")
    except AssertionError:
        return False
    return True


def node_lost() -> bool:
    """Takes what room is left or was given back, and writes more rows than go there.

    The node that a row goes through may itself be started over: where a member goes in the middle of a large
    row, Galera may stand still (images/galera/galera_node/standstill.py).
    """
    on_host("galera-3", REST, check=False)
    written()
    return any(node(host).get("wsrep_cluster_size") == "2" for host in ("galera-1", "galera-2"))


def test_a_disk_that_was_full_costs_one_node_for_a_while_and_up_mends_the_host() -> None:
    before = cluster_uuid()
    on_host("galera-3", FILL)
    sql("galera-1", "CREATE TABLE kept.much (n INT AUTO_INCREMENT PRIMARY KEY, t LONGTEXT)")
    for _ in range(12):
        wait_for("a row", written, 120)
    wait_for("a full disk", node_lost, 900)
    full = make("verify", check=False)
    assert full.returncode != 0
    assert "room on /var/lib/docker" in full.stdout
    # Its kernel may be busy with its full disk for a while, and answer nobody.
    wait_for("SSH on galera-3", lambda: bool(boot("galera-3")), 180)
    on_host("galera-3", "rm -rf /var/lib/docker/fill; sync")
    operations("up", "--yes")
    wait_for("three Synced nodes", one_cluster, 600)
    holds("--deep", limit=600)
    assert cluster_uuid() == before
    sql("galera-1", "DROP TABLE kept.much")
