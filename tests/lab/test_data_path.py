"""The database's data at a path of its own, on real hosts: made, booted, reloaded, kept, and taken away.

Left to others: what is refused (unit/components/host_scripts/test_data_path_script.py, unit/settings), what a
real engine does without the mount (plugins/test_data_path.py).

The tests tell one story and run in the order they are written: each begins where the last one ended. In the
end the stack is as it was: up, empty, without a path.
"""

from __future__ import annotations

import json

import pytest

from tests.lab.whole_cluster import (
    HOSTS,
    checksums,
    cluster_uuid,
    config,
    deploy_up_to,
    holds,
    insert,
    nothing_changes,
    on_host,
    one_cluster,
    operations,
    sql,
    wait_for,
)

pytestmark = [pytest.mark.lab, pytest.mark.usefixtures("cluster")]

PATH = "/srv/mariadb"
WHAT = f"{PATH} is the subvolume galera-data of the data disk"
REFUSALS = "docker service ps --no-trunc --format '{{.Error}}' galera"
BOOT = "cat /proc/sys/kernel/random/boot_id"


def where_it_holds() -> list[str]:
    """The hosts on which `verify` finds the path as it should be; all of its checks hold."""
    report = json.loads(operations("verify", "--json").stdout)
    assert report["ok"]
    return [check["where"] for check in report["checks"] if check["what"] == WHAT]


def test_a_path_is_refused_while_there_is_data_elsewhere() -> None:
    config("set", "--path", "swarm-galera:galera.dataPath", PATH)
    said = operations("up", "--yes", check=False)
    assert said.returncode != 0
    assert "it was not set when the cluster formed" in said.stdout + said.stderr
    config("rm", "--path", "swarm-galera:galera.dataPath")


def test_a_new_cluster_has_its_data_at_the_path() -> None:
    deploy_up_to("swarm", "data", keep_data=False)
    operations("up", "--yes")
    config("set", "--path", "swarm-galera:galera.dataPath", PATH)
    deploy_up_to("application")
    operations("up", "--yes")
    wait_for("three Synced nodes", one_cluster)
    assert where_it_holds() == list(HOSTS)
    for host in HOSTS:
        assert "ibdata1" in on_host(host, f"ls {PATH}/data").split()
        assert on_host(host, f"stat -c %u:%g:%a {PATH}/data").strip() == "999:999:750"
    sql("galera-1", "CREATE DATABASE kept; CREATE TABLE kept.row (n INT PRIMARY KEY)")
    insert("galera-1", 1, 100)
    nothing_changes()


def test_a_host_that_boots_has_its_data_before_its_engine_runs() -> None:
    before = on_host("galera-2", BOOT)
    on_host("galera-2", "systemctl reboot", check=False)
    wait_for("another boot", lambda: on_host("galera-2", BOOT, check=False) not in ("", before))
    holds(limit=600)
    assert where_it_holds() == list(HOSTS)
    assert sql("galera-2", "SELECT COUNT(*) FROM kept.row") == "100"


def test_without_its_mount_a_node_does_not_start_and_is_named() -> None:
    # The container that runs keeps its data; the next one would have to find it.
    on_host("galera-3", f"umount {PATH} && docker kill $(docker ps -q --filter name=galera)")
    wait_for("the engine's refusal", lambda: "no such file" in on_host("galera-1", REFUSALS, check=False))
    report = json.loads(operations("verify", "--json", check=False).stdout)
    assert [
        (check["where"], check["found"])
        for check in report["checks"]
        if check["what"] == WHAT and not check["ok"]
    ] == [("galera-3", "nothing is mounted there")]
    assert on_host("galera-3", f"ls -A {PATH}").split() == []
    on_host("galera-3", f"mount {PATH}")
    holds(limit=600)
    assert len(checksums()) == 1


def test_a_reloaded_host_gets_the_path_again_and_keeps_its_rows() -> None:
    config("set", "--path", "swarm-galera:servers.reloadToken.galera-2", "data-path")
    operations("up", "--yes")
    wait_for("three Synced nodes", one_cluster)
    assert where_it_holds() == list(HOSTS)
    assert len(checksums()) == 1


def test_a_stack_that_goes_down_and_up_again_has_its_rows_at_the_path() -> None:
    uuid = cluster_uuid()
    deploy_up_to("hosts", "data", "swarm")
    operations("up", "--yes")
    assert where_it_holds() == list(HOSTS)
    nothing_changes()
    deploy_up_to("application")
    operations("up", "--yes")
    wait_for("three Synced nodes", one_cluster)
    assert cluster_uuid() == uuid
    assert sql("galera-3", "SELECT COUNT(*) FROM kept.row") == "100"


def test_data_that_is_not_kept_goes_with_all_that_was_made_for_it() -> None:
    deploy_up_to("swarm", "data", keep_data=False)
    operations("up", "--yes")
    for host in HOSTS:
        assert PATH not in on_host(host, "cat /etc/fstab")
        assert on_host(host, f"ls -d {PATH}", check=False) == ""
        assert "galera-data" not in on_host(host, "btrfs subvolume list /var/lib/docker")
        assert "galera-data" not in on_host(host, "docker volume ls --quiet").split()
    config("rm", "--path", "swarm-galera:galera.dataPath")
    deploy_up_to("application")
    operations("up", "--yes")
    wait_for("three Synced nodes", one_cluster)
    assert where_it_holds() == []
