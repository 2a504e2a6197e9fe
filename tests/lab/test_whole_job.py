"""The whole job on real hosts, once, through the doors that users take.

Owned here: that an empty account becomes a cluster that holds, that nothing changes twice, that a lost node
and a rebooted host come back. Left to others: that nothing stays behind (test_end.py), each part's cases
(tests/unit, tests/provider, tests/images, tests/plugins), the hosts alone (test_hosts.py), what takes the
database through a rolling change and a power cut (test_outages.py).

The tests tell one story and run in the order they are written: each begins where the last one ended.
"""

from __future__ import annotations

import json
import re
import sys

import pytest

from lab.paths import lab as lab_paths
from tests.lab.whole_cluster import (
    HOSTS,
    LAB,
    STORE,
    cluster_uuid,
    guests,
    holds,
    in_lab,
    make,
    on_host,
    one_cluster,
    operations,
    outputs,
    run,
    sql,
    tasks,
    wait_for,
)

pytestmark = [pytest.mark.lab, pytest.mark.usefixtures("lab")]


def test_a_preview_of_an_empty_account_shows_the_plan_and_its_cost_and_orders_nothing() -> None:
    shown = operations("preview").stdout
    assert guests() == []
    for kind in ("VirtualGuest", "docker:index:Service", "command:remote:Command"):
        assert kind in shown
    assert re.search(r"hourly.*monthly", shown, re.DOTALL | re.IGNORECASE)


def test_make_up_brings_an_empty_account_to_a_cluster_that_holds() -> None:
    make("up")
    make("verify")
    assert sorted(guest["hostname"] for guest in guests()) == list(HOSTS)
    found = outputs()
    assert found["galera"]["size"] == 3
    assert re.fullmatch(r"10\.20\.0\.\d+", found["galera"]["vip"])
    assert found["discovery"]["kind"] == STORE
    if STORE == "etcd":
        assert re.fullmatch(r"10\.20\.0\.\d+", found["discovery"]["vip"])
    else:
        assert on_host("galera-2", f"getent ahostsv4 {found['discovery']['service']}").startswith(
            "10.144.12."
        )
    assert found["managers"] == list(HOSTS)


def test_a_second_up_changes_nothing_and_restarts_nothing() -> None:
    before, told = [tasks(service) for service in (STORE, "galera")], outputs()
    shown = operations("up", "--yes").stdout
    summary = shown.rsplit("Resources:", 1)[-1]
    assert "unchanged" in summary
    assert not re.search(r"created|updated|replaced|deleted", summary), summary
    assert [tasks(service) for service in (STORE, "galera")] == before
    assert outputs() == told


def test_a_refresh_finds_no_drift_and_what_it_takes_into_the_state_changes_nothing() -> None:
    words = ("--yes", "--skip-preview", "--expect-no-changes", "--stack", LAB)
    in_lab("pulumi", "refresh", *words)
    in_lab("pulumi", "up", *words)


def test_services_run_the_content_that_the_state_names() -> None:
    image = "{{.Spec.TaskTemplate.ContainerSpec.Image}}"
    asked = f"docker service inspect --format '{image}' {STORE} galera"
    for named in on_host("galera-1", asked).split():
        assert re.fullmatch(
            rf"registry\.lab:5000/swarm-galera/({STORE}|galera):[\w.-]+@sha256:[0-9a-f]{{64}}", named
        )
        for host in HOSTS:
            on_host(host, f"docker image inspect --format . {named}")


def test_no_secret_is_in_plain_in_the_state_or_in_what_a_service_shows() -> None:
    shown = in_lab("pulumi", "stack", "output", "--json", "--show-secrets", "--stack", LAB).stdout
    known = json.loads(shown)
    access = known["discoveryAccess"]
    # All but the last are in the state encrypted; the API's key must not even get there.
    secrets = [
        *known["passwords"].values(),
        access["password"] if STORE == "etcd" else access["token"],
        *known["joinTokens"].values(),
        known["ssh"]["privateKey"].splitlines()[1],
        in_lab("printenv", "SL_API_KEY").stdout.strip(),
    ]
    seen = in_lab("pulumi", "stack", "export", "--stack", LAB).stdout
    seen += on_host("galera-1", f"docker service inspect {STORE} galera; ps axww; journalctl -b --no-pager")
    seen += on_host("galera-1", "docker service logs galera 2>&1")
    seen += "".join(log.read_text(errors="replace") for log in lab_paths(LAB).logs.rglob("*.log"))
    assert len(secrets) == 7
    assert all(len(secret) >= 16 for secret in secrets)
    # The keys of the store's peers, and of the authority that signs them, are no outputs.
    assert "PRIVATE KEY" not in seen
    for secret in secrets:
        assert secret not in seen


def test_every_hosts_docker_data_is_btrfs_on_the_second_disk() -> None:
    for host in HOSTS:
        assert on_host(host, "findmnt -no FSTYPE,SOURCE /var/lib/docker").split() == [
            "btrfs",
            "/dev/mapper/docker_vg-docker_lv1",
        ]


def test_a_deep_check_names_the_node_and_the_table_whose_rows_differ() -> None:
    sql("galera-1", "CREATE TABLE app.t (id INT PRIMARY KEY, v INT); INSERT INTO app.t VALUES (1, 1), (2, 2)")
    sql("galera-3", "SET wsrep_on = OFF; INSERT INTO app.t VALUES (4711, 1)")
    make("verify")  # which looks at states: each node says that all is well
    found = run("make", "verify", "DEEP=1", f"LAB={LAB}", f"STACK={LAB}", check=False)
    assert found.returncode != 0
    told = " ".join(found.stdout.replace("│", " ").split())
    assert "app.t" in told
    assert "first at id > 2: 0 rows on galera-1, 0 rows on galera-2, 1 row on galera-3" in told
    assert "docker node update --label-add galera=false galera-3" in told
    sql("galera-3", "SET wsrep_on = OFF; DELETE FROM app.t WHERE id = 4711")
    assert "All" in operations("verify", "--deep").stdout
    sql("galera-1", "DROP TABLE app.t")


def test_verify_notices_a_node_that_is_gone_and_the_node_rejoins_with_its_data() -> None:
    before = cluster_uuid()
    on_host("galera-1", "docker node update --label-rm galera galera-3")
    wait_for(
        "the node's end", lambda: "galera" not in on_host("galera-3", "docker ps --format {{.Names}}"), 120
    )
    broken = make("verify", check=False)
    assert broken.returncode != 0
    assert "galera-3" in broken.stdout
    on_host("galera-1", "docker node update --label-add galera=true galera-3")
    wait_for("three Synced nodes", one_cluster)
    holds()
    assert cluster_uuid() == before


def test_a_node_killed_by_force_rejoins_the_same_cluster() -> None:
    before = cluster_uuid()
    on_host("galera-2", "docker kill --signal KILL $(docker ps -q --filter name=galera)")
    wait_for("the node's end", lambda: not one_cluster(), 60)
    wait_for("three Synced nodes", one_cluster)
    holds()
    report = json.loads(operations("verify", "--json").stdout)
    [check] = [check for check in report["checks"] if check["what"] == "one cluster UUID on every node"]
    assert check["ok"], check
    assert check["found"] == cluster_uuid() == before


def test_a_rebooted_host_comes_back_with_its_data() -> None:
    before = cluster_uuid()
    booted = on_host("galera-3", "cat /proc/sys/kernel/random/boot_id")
    on_host("galera-3", "systemctl reboot", check=False)

    def another_boot() -> bool:
        seen = run(
            sys.executable, "-m", "lab", "ssh", "--name", LAB, "galera-3",
            "cat /proc/sys/kernel/random/boot_id", check=False,
        )  # fmt: skip
        return seen.returncode == 0 and seen.stdout != booted

    wait_for("the host after its reboot", another_boot)
    wait_for("three Synced nodes", one_cluster)
    holds()
    assert cluster_uuid() == before


def test_up_after_the_reboot_still_changes_nothing() -> None:
    in_lab("pulumi", "preview", "--expect-no-changes", "--stack", LAB)
