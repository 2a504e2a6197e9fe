"""Rolling changes, maintenance and a pause, on real hosts: a client with one retry loses no write.

Left to others: another version of MariaDB (test_upgrade_mariadb.py), hosts (test_upgrade_hosts.py).
"""

from __future__ import annotations

import json
import threading

import pytest

from tests.lab.whole_cluster import (
    GALERA_NODE,
    HOSTS,
    LONG,
    SETTINGS,
    cluster_uuid,
    holds,
    insert,
    on_host,
    one_cluster,
    operations,
    sql,
    wait_for,
)
from tests.lab.writer import nothing_is_lost, verified, writing

pytestmark = [pytest.mark.lab, LONG, pytest.mark.usefixtures("cluster")]


def status(host: str) -> dict[str, object]:
    """What the node on a host knows; empty while it does not say."""
    told = on_host(host, GALERA_NODE.format("status --json"), check=False)
    try:
        found: dict[str, object] = json.loads(told)
    except ValueError:
        return {}
    return found


def writer() -> str:
    """Who takes the writes, as the first says that knows."""
    return next((str(told["writer"]) for host in HOSTS if (told := status(host)).get("writer")), "")


class Watch(threading.Thread):
    """Notes who takes the writes, until it is told to end."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.writers: list[str] = []
        self.over = threading.Event()

    def run(self) -> None:
        while not self.over.wait(2):
            now = writer()
            if now and self.writers[-1:] != [now]:
                self.writers.append(now)


def test_a_changed_setting_costs_no_write_and_the_writer_is_changed_last() -> None:
    # Nobody is named before the first load balancer has asked.
    wait_for("a node that takes the writes", lambda: writer() != "", 120)
    before, uuid = writer(), cluster_uuid()
    settings = SETTINGS.read_text()
    option = "      innodb_buffer_pool_size_max: 256M\n"
    assert option in settings
    SETTINGS.write_text(settings.replace(option, f'{option}      max_connections: "78"\n'))
    with writing("galera-1") as client:
        watch = Watch()
        watch.start()
        ran = operations("up", "--yes", limit=1800)
        watch.over.set()
        watch.join()
        met = client.met()
    assert f"{before} takes the writes, and is the last to be changed" in ran.stdout + ran.stderr
    assert f"the others are changed; now {before}" in ran.stdout + ran.stderr
    assert len(watch.writers) <= 2, f"the writes moved more than once: {watch.writers}"
    assert met.failed == []
    nothing_is_lost(met, HOSTS)
    print(f"longest pause: {met.pause:.1f} s, retries: {len(met.again)}", flush=True)
    for host in HOSTS:
        assert sql(host, "SELECT @@max_connections") == "78"
    availability = on_host("galera-1", "docker node ls --format '{{.Hostname}} {{.Availability}}'")
    assert "Pause" not in availability
    holds()
    assert cluster_uuid() == uuid


def test_maintenance_moves_the_writes_stays_over_a_restart_and_ends() -> None:
    out = writer()
    with writing(next(host for host in HOSTS if host != out)) as client:
        operations("maintenance", out, "on", "--because", "a noisy disk")
        assert writer() != out
        on_host(out, "docker kill $(docker ps -q --filter name=galera)")
        wait_for("three Synced nodes", one_cluster, 600)
        assert writer() != out
        assert "a noisy disk" in verified()
        refused = [operations("maintenance", host, "on", check=False) for host in HOSTS if host != out]
        assert [each.returncode for each in refused].count(0) <= 1, "somebody must serve"
        for host in HOSTS:
            operations("maintenance", host, "off", check=False)
        met = client.met()
    assert met.failed == []
    nothing_is_lost(met, HOSTS)
    holds()
    assert "a noisy disk" not in verified()


def test_a_paused_stack_comes_back_with_its_rows() -> None:
    insert("galera-1", 7001, 7)
    uuid, settings = cluster_uuid(), SETTINGS.read_text()
    operations("pause", "--yes", limit=900)
    assert on_host("galera-1", "docker ps -q --filter name=galera").strip() == ""
    assert "deployUpTo: swarm" in SETTINGS.read_text()
    operations("verify")
    operations("resume", "--yes", limit=900)
    assert SETTINGS.read_text().split() == settings.split()
    wait_for("three Synced nodes", one_cluster, 600)
    assert cluster_uuid() == uuid
    for host in HOSTS:
        assert sql(host, "SELECT COUNT(*) FROM kept.row WHERE n > 7000") == "7"
    holds()
