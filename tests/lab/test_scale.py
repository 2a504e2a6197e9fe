"""Three nodes become five and three again, with writes going on, on real hosts.

Left to others: what is refused (unit/components/test_votes.py), the store's members (tests/images).
"""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from tests.lab.whole_cluster import (
    CHECKOUT,
    HOSTS,
    LONG,
    SETTINGS,
    guests,
    holds,
    in_lab,
    make,
    node,
    on_host,
    operations,
    power_cut,
    sql,
    wait_for,
)
from tests.lab.writer import nothing_is_lost, writing

pytestmark = [pytest.mark.lab, LONG, pytest.mark.usefixtures("cluster")]

FIVE = (*HOSTS, "galera-4", "galera-5")
FOUR = (*HOSTS, "galera-rows-1")


def sized(count: int) -> None:
    settings = SETTINGS.read_text()
    now = next(line for line in settings.splitlines() if line.strip().startswith("managers:"))
    SETTINGS.write_text(settings.replace(now, f"    managers: {count}"))


def synced(host: str, size: int) -> bool:
    told = node(host)
    return (told.get("wsrep_local_state_comment"), told.get("wsrep_cluster_size")) == ("Synced", str(size))


def all_synced(hosts: Sequence[str], size: int) -> None:
    """Fails unless all come to be Synced, in a group of that size."""
    for host in hosts:
        wait_for(f"{host} Synced", lambda host=host: synced(host, size), 600)  # type: ignore[misc]


def test_three_become_five_and_three_again_and_no_write_is_lost() -> None:
    with writing("galera-1") as client:
        sized(5)
        operations("up", "--yes", limit=2400)
        all_synced(FIVE, 5)
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
    all_synced(HOSTS, 3)
    for host in HOSTS:
        assert sql(host, "SELECT COUNT(*) FROM kept.row") == "0"
    holds()


TAG = (CHECKOUT / "images/arbitrator/TAG").read_text().strip()
ARBITRATOR = f"""  swarm-galera:arbitrator:
    image: registry.lab:5000/swarm-galera/arbitrator:{TAG}
"""
POOL = """    workers: 1
    pools:
      - {name: rows, count: 1, labels: {galera: "true"}}
"""


def test_three_become_four_with_an_arbitrator_as_the_odd_vote() -> None:
    """Half of the nodes die, and the other half goes on, because the arbitrator is with it."""
    settings = SETTINGS.read_text()
    four = settings.replace("    managers: 3\n", f"    managers: 3\n{POOL}", 1)
    assert four != settings
    SETTINGS.write_text(four)
    refused = operations("preview", check=False, limit=300)
    assert "an even number survives the loss of 1" in " ".join((refused.stdout + refused.stderr).split())
    SETTINGS.write_text(four.replace("config:\n", f"config:\n{ARBITRATOR}", 1))
    with writing("galera-1") as client:
        make("up", limit=3000)  # it builds the arbitrator's image, too
        all_synced(FOUR, 5)
        holds()
        halves = [
            str(guest["id"]) for guest in guests() if guest["hostname"] in ("galera-rows-1", "galera-3")
        ]
        power_cut(halves)
        wait_for("two nodes and the arbitrator", lambda: synced("galera-1", 3), 120)
        met = client.met()
        for number in halves:
            in_lab("slcli", "-y", "vs", "power-on", number)
        all_synced(FOUR, 5)
    nothing_is_lost(met, HOSTS)
    holds()
    SETTINGS.write_text(settings)
    operations("up", "--yes", limit=2400)
    all_synced(HOSTS, 3)
    holds()
