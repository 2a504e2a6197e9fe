"""Three nodes become five and three again, with writes going on, on real hosts.

Left to others: what is refused (unit/components/test_votes.py), the store's members (tests/images).
"""

from __future__ import annotations

import pytest

from tests.lab.whole_cluster import (
    HOSTS,
    SETTINGS,
    guests,
    node,
    on_host,
    operations,
    sql,
    verify_holds,
    wait_for,
)
from tests.lab.writer import nothing_is_lost, writing

pytestmark = [pytest.mark.lab, pytest.mark.usefixtures("cluster")]

FIVE = (*HOSTS, "galera-4", "galera-5")
FAILOVER = 10.0
"""Seconds without a write that a change of the writer may cost at the most."""


def sized(count: int) -> None:
    settings = SETTINGS.read_text()
    now = next(line for line in settings.splitlines() if line.strip().startswith("managers:"))
    SETTINGS.write_text(settings.replace(now, f"    managers: {count}"))


def synced(host: str, size: int) -> bool:
    told = node(host)
    return (told.get("wsrep_local_state_comment"), told.get("wsrep_cluster_size")) == ("Synced", str(size))


def test_three_become_five_and_three_again_and_no_write_is_lost() -> None:
    with writing("galera-1") as client:
        sized(5)
        operations("up", "--yes", limit=2400)
        for host in FIVE:
            wait_for(f"{host} Synced", lambda host=host: synced(host, 5), 600)  # type: ignore[misc]
        grown = client.met()
        nothing_is_lost(grown, FIVE)
        sized(3)
        operations("up", "--yes", limit=2400)
        met = client.met()
    assert sorted(str(guest["hostname"]) for guest in guests()) == sorted(HOSTS)
    assert len(on_host("galera-1", "docker node ls -q").split()) == 3
    assert met.failed == []
    nothing_is_lost(met, HOSTS)
    print(f"longest pause: {met.pause:.1f} s, retries: {len(met.again)}", flush=True)
    assert met.pause < FAILOVER
    for host in HOSTS:
        assert synced(host, 3)
        assert sql(host, "SELECT COUNT(*) FROM kept.row") == "0"
    wait_for("a cluster that holds", verify_holds, 180)
