"""An outage in which the cluster does not form by itself: what `recover` shows, and what a choice leads to.

Left to others: what each way would lose (unit/operations/outage/test_recover.py), a lost majority
(test_last_one.py).
"""

from __future__ import annotations

import json

import pytest

from tests.lab.test_recoveries import ended, label, log
from tests.lab.whole_cluster import HOSTS, holds, insert, node, one_cluster, operations, sql, wait_for
from tests.lab.writer import verified

pytestmark = [pytest.mark.lab, pytest.mark.usefixtures("cluster")]


def test_a_person_sees_what_there_is_and_gives_up_who_is_missing() -> None:
    for host in HOSTS[:2]:
        label(host, runs=False)
        wait_for(f"no node on {host}", lambda host=host: ended(host))  # type: ignore[misc]
    insert("galera-3", 1, 10)
    label("galera-3", runs=False)
    wait_for("no node on galera-3", lambda: ended("galera-3"))
    for host in HOSTS[:2]:
        label(host, runs=True)
    wait_for("galera-3 waited for", lambda: "position of galera-3 is not known" in log("galera-1"), 180)
    told = json.loads(operations("recover", "--json").stdout)
    shown = operations("recover").stdout
    assert "Have galera-3 back" in shown
    (forget,) = [way for way in told["ways"] if way["command"] == "recover --forget galera-3"]
    assert "at least" in forget["loses"], "it published more than the others have"
    assert node("galera-1").get("wsrep_cluster_status") != "Primary", "showing it changes nothing"
    operations("recover", "--forget", "galera-3", "--yes")
    wait_for("two nodes", lambda: node("galera-1").get("wsrep_cluster_size") == "2", 300)
    assert "forget galera-3" in verified()
    label("galera-3", runs=True)
    wait_for("three Synced nodes", one_cluster, 600)
    assert sql("galera-3", "SELECT COUNT(*) FROM kept.row") == "0", "what only it had is lost, as was said"
    holds()
