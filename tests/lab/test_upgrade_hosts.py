"""Hosts brought up to date and rebooted one at a time, on real hosts, while a client writes.

Left to others: what is refused, chosen and foretold (unit/operations/upgrade/test_upgrade_hosts.py).
"""

from __future__ import annotations

import pytest

from tests.lab.whole_cluster import HOSTS, LONG, boot, config, holds, on_host, operations
from tests.lab.writer import nothing_is_lost, writing

pytestmark = [pytest.mark.lab, LONG, pytest.mark.usefixtures("cluster")]


def test_only_hosts_that_need_it_are_rebooted_one_at_a_time() -> None:
    before = {host: boot(host) for host in HOSTS}
    for host in HOSTS[1:]:
        on_host(host, "touch /run/reboot-required")  # as a package's script does
    with writing("galera-1") as client:
        ran = operations("upgrade-hosts", "galera-2", "galera-3", "galera-1", "--yes", limit=1800)
        met = client.met()
    assert "galera-1: nothing to do" in ran.stderr
    for host in HOSTS[1:]:
        assert f"{host}: a reboot (a package asks for it)" in ran.stderr
        assert f"{host} is up to date, and well" in ran.stderr
        assert boot(host) not in ("", before[host])
    assert boot("galera-1") == before["galera-1"]
    assert met.failed == []
    nothing_is_lost(met, HOSTS)
    print(f"longest pause: {met.pause:.1f} s, retries: {len(met.again)}", flush=True)
    availability = on_host("galera-1", "docker node ls --format '{{.Availability}}'").split()
    assert availability == ["Active"] * 3
    holds()


def test_by_setting_it_is_done_once_for_a_text() -> None:
    config("set", "--path", "swarm-galera:hosts.upgradeToken", "first")
    before = {host: boot(host) for host in HOSTS}
    operations("up", "--yes", limit=1200)
    assert {on_host(host, "cat /var/lib/swarm-galera/upgraded").strip() for host in HOSTS} == {"first"}
    on_host("galera-2", "touch /run/reboot-required")
    operations("up", "--yes", limit=600)
    assert {host: boot(host) for host in HOSTS} == before
    on_host("galera-2", "rm /run/reboot-required")
    config("rm", "--path", "swarm-galera:hosts.upgradeToken")
