"""The last host of three goes on alone by one command, and the cluster is made whole, on real hosts."""

from __future__ import annotations

import json
import time

import pytest

from tests.lab.whole_cluster import (
    GALERA_NODE,
    checksums,
    guests,
    holds,
    in_lab,
    insert,
    on_host,
    operations,
    sql,
    wait_for,
)

pytestmark = [pytest.mark.lab, pytest.mark.usefixtures("cluster")]


def test_the_last_one_of_three_serves_again_by_one_command_and_the_cluster_is_made_whole() -> None:
    holds()
    insert("galera-1", 101, 50)
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
    holds(limit=300)
    assert len(checksums()) == 1
    assert sql("galera-2", "SELECT COUNT(*) FROM kept.row") == "60"
