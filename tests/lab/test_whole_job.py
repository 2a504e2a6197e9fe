"""The whole job on real hosts, once, through the doors that users take.

Owned here: that an empty account becomes a cluster that holds, that nothing changes twice, that a changed
option reaches every node without an outage, that a lost node, a rebooted host and a cluster without power
come back, and that nothing stays behind. Left to others: each part's cases (tests/unit, tests/provider,
tests/images, tests/plugins) and the hosts alone (test_hosts.py).

The tests tell one story and run in the order they are written: each begins where the last one ended. They
take a lab and a stack of their own (`LAB_UNDER_TEST`, default `suite`), so that a lab one works with is left
alone.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from lab.paths import lab as lab_paths

CHECKOUT = Path(__file__).parents[2]
LAB = os.environ.get("LAB_UNDER_TEST", "suite")
SETTINGS = CHECKOUT / f"Pulumi.{LAB}.yaml"
HOSTS = ("galera-1", "galera-2", "galera-3")
GALERA = 'docker exec -u 0 -i "$(docker ps -q --filter name=galera)" mariadb -NB -e "{}"'
"""A question to the database on a host, asked there as root."""

pytestmark = pytest.mark.lab


def run(*argv: str, check: bool = True, limit: float = 1500) -> subprocess.CompletedProcess[str]:
    """Run a command from the checkout, its output shown and kept; `limit` is in seconds."""
    environment = {**os.environ, "LAB": LAB, "STACK": LAB}
    print(f"\n$ {' '.join(argv)}", flush=True)
    result = subprocess.run(
        argv,
        cwd=CHECKOUT,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=limit,
        check=False,
    )
    print(result.stdout, result.stderr, sep="\n", flush=True)
    if check:
        assert result.returncode == 0, f"{' '.join(argv)} ended with {result.returncode}"
    return result


def make(target: str, **options: Any) -> subprocess.CompletedProcess[str]:
    """One of the Makefile's targets, for the lab and stack under test."""
    return run("make", target, f"LAB={LAB}", f"STACK={LAB}", **options)


def in_lab(*argv: str, **options: Any) -> subprocess.CompletedProcess[str]:
    """A command inside the lab's network namespace."""
    return run(sys.executable, "-m", "lab", "exec", "--name", LAB, "--", *argv, **options)


def on_host(host: str, command: str, **options: Any) -> str:
    """What a shell command prints on a host."""
    return run(sys.executable, "-m", "lab", "ssh", "--name", LAB, host, command, **options).stdout


def operations(*argv: str, **options: Any) -> subprocess.CompletedProcess[str]:
    """`python -m operations …` on the stack under test."""
    return in_lab(sys.executable, "-m", "operations", *argv, "--stack", LAB, **options)


def guests() -> list[dict[str, Any]]:
    """The account's guests, asked for with SoftLayer's own command line."""
    words = ("--format", "json", "vs", "list", "--columns", "id,hostname,power_state")
    listed: list[dict[str, Any]] = json.loads(in_lab("slcli", *words).stdout)
    return listed


def outputs() -> dict[str, Any]:
    """The stack's outputs, secrets masked."""
    found: dict[str, Any] = json.loads(in_lab("pulumi", "stack", "output", "--json", "--stack", LAB).stdout)
    return found


def wait_for(what: str, holds: Callable[[], bool], limit: float = 600) -> None:
    """Poll until it holds; fails after `limit` seconds with the name of what was waited for."""
    end = time.monotonic() + limit
    while not holds():
        assert time.monotonic() < end, f"{what}: not within {limit:.0f} s"
        time.sleep(2)


def sql(host: str, query: str) -> str:
    """What the database on a host answers, asked there as root."""
    return on_host(host, GALERA.format(query)).strip()


def node(host: str) -> dict[str, str]:
    """What Galera says of its node on a host, by the variable's name; empty while it says nothing."""
    asked = "SHOW STATUS LIKE 'wsrep%'"
    said = on_host(host, GALERA.format(asked), check=False)
    return dict(line.split("\t") for line in said.splitlines() if "\t" in line)


def one_cluster() -> bool:
    """Whether all three nodes are synced and see three of one cluster; a look that costs the hosts little."""
    told = [node(host) for host in HOSTS]
    synced = all(
        each.get("wsrep_local_state_comment") == "Synced"
        and each.get("wsrep_cluster_status") == "Primary"
        and each.get("wsrep_cluster_size") == "3"
        for each in told
    )
    return synced and len({each["wsrep_cluster_state_uuid"] for each in told}) == 1


def cluster_uuid() -> str:
    """The one cluster UUID that every node sees; fails if they are not one cluster."""
    assert one_cluster()
    found = node("galera-1")["wsrep_cluster_state_uuid"]
    assert re.fullmatch(r"[0-9a-f-]{36}", found)
    return found


def verify_holds() -> bool:
    return operations("verify", check=False).returncode == 0


@contextmanager
def clients() -> Iterator[Callable[[], list[str]]]:
    """A container on galera-1 that asks the database through the service's name, every two seconds.

    Gives what it has met so far: `ok` or `lost` for each question, oldest first.
    """
    shown = in_lab("pulumi", "stack", "output", "--json", "--show-secrets", "--stack", LAB).stdout
    found = json.loads(shown)
    ask = "timeout 10 mariadb -h galera -u app --password=$PASSWORD -e SELECT+1 app".replace("+", "\\ ")
    loop = f"while sleep 2; do if {ask} >/dev/null; then echo ok; else echo lost; fi; done"
    image = "$(docker service inspect --format '{{.Spec.TaskTemplate.ContainerSpec.Image}}' galera)"
    started = f"docker run -d --name clients --network galera -e PASSWORD={found['passwords']['app']}"
    on_host("galera-1", f"{started} --entrypoint bash {image} -c {shlex.quote(loop)}")
    yield lambda: on_host("galera-1", "docker logs clients 2>/dev/null").split()
    on_host("galera-1", "docker rm -f clients")


@pytest.fixture(scope="module", autouse=True)
def lab() -> Iterator[None]:
    """An empty lab of the tests' own; gone afterwards unless KEEP_LAB is set."""
    run(sys.executable, "-m", "lab", "down", "--name", LAB)
    shutil.copy(CHECKOUT / "Pulumi.dev.yaml", SETTINGS)
    run(sys.executable, "-m", "lab", "up", "--name", LAB)
    yield
    if not os.environ.get("KEEP_LAB"):
        run(sys.executable, "-m", "lab", "down", "--name", LAB)
        SETTINGS.unlink(missing_ok=True)


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
    assert re.fullmatch(r"10\.20\.0\.\d+", found["discovery"]["vip"])
    assert found["managers"] == list(HOSTS)


def test_a_second_up_changes_nothing() -> None:
    shown = operations("up", "--yes").stdout
    summary = shown.rsplit("Resources:", 1)[-1]
    assert "unchanged" in summary
    assert not re.search(r"created|updated|replaced|deleted", summary), summary


def test_a_refresh_finds_no_drift() -> None:
    in_lab("pulumi", "refresh", "--preview-only", "--expect-no-changes", "--stack", LAB)


def test_no_secret_is_in_plain_in_the_state_or_in_what_a_service_shows() -> None:
    shown = in_lab("pulumi", "stack", "output", "--json", "--show-secrets", "--stack", LAB).stdout
    known = json.loads(shown)
    # The first four are in the state encrypted; the API's key must not even get there.
    secrets = [
        *known["passwords"].values(),
        *known["joinTokens"].values(),
        known["ssh"]["privateKey"].splitlines()[1],
        in_lab("printenv", "SL_API_KEY").stdout.strip(),
    ]
    seen = in_lab("pulumi", "stack", "export", "--stack", LAB).stdout
    seen += on_host("galera-1", "docker service inspect etcd galera; ps axww; journalctl -b --no-pager")
    seen += on_host("galera-1", "docker service logs galera 2>&1")
    seen += "".join(log.read_text(errors="replace") for log in lab_paths(LAB).logs.rglob("*.log"))
    assert len(secrets) == 6
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
    wait_for("a cluster that holds", verify_holds, 120)
    assert cluster_uuid() == before


def test_a_node_killed_by_force_rejoins_the_same_cluster() -> None:
    before = cluster_uuid()
    on_host("galera-2", "docker kill --signal KILL $(docker ps -q --filter name=galera)")
    wait_for("the node's end", lambda: not one_cluster(), 60)
    wait_for("three Synced nodes", one_cluster)
    assert cluster_uuid() == before


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
    wait_for("a cluster that holds", verify_holds, 120)
    assert cluster_uuid() == before


def test_up_after_the_reboot_still_changes_nothing() -> None:
    in_lab("pulumi", "preview", "--expect-no-changes", "--stack", LAB)


def test_a_changed_option_reaches_every_node_and_the_database_answers_all_the_time() -> None:
    before = cluster_uuid()
    sql("galera-1", "CREATE DATABASE IF NOT EXISTS kept; CREATE TABLE kept.row (n INT PRIMARY KEY)")
    sql("galera-1", "INSERT INTO kept.row VALUES (4711)")
    settings = SETTINGS.read_text()
    option = "      innodb_buffer_pool_size_max: 256M\n"
    assert option in settings
    SETTINGS.write_text(settings.replace(option, f'{option}      max_connections: "77"\n'))
    with clients() as met:
        wait_for("the first answer", lambda: "ok" in met(), 60)
        operations("up", "--yes")
        answers = met()
    assert answers.count("ok") > 20
    # A connection to the node that is stopped may fail; the next one reaches another node.
    assert "lost lost lost" not in " ".join(answers)
    wait_for("a cluster that holds", verify_holds, 120)
    assert cluster_uuid() == before
    for host in HOSTS:
        assert sql(host, "SELECT @@max_connections, n FROM kept.row").split() == ["77", "4711"]


def test_a_cluster_that_lost_its_power_comes_back_by_itself_with_its_data() -> None:
    before = cluster_uuid()
    for guest in guests():
        in_lab("slcli", "-y", "vs", "power-off", "--hard", str(guest["id"]))
    wait_for("the end of all hosts", lambda: all(guest["power_state"] == "Halted" for guest in guests()), 120)
    assert make("verify", check=False).returncode != 0
    for guest in guests():
        in_lab("slcli", "-y", "vs", "power-on", str(guest["id"]))
    wait_for("three Synced nodes", one_cluster, 900)
    wait_for("a cluster that holds", verify_holds, 120)
    assert cluster_uuid() == before
    for host in HOSTS:
        assert sql(host, "SELECT n FROM kept.row") == "4711"


def test_the_labs_api_had_no_error_of_its_own() -> None:
    log = (lab_paths(LAB).logs / "api.log").read_text(errors="replace")
    assert "listening" in log
    assert "internal error" not in log


def test_destroy_leaves_nothing() -> None:
    operations("destroy", "--yes")
    assert guests() == []
    assert json.loads(in_lab("slcli", "--format", "json", "sshkey", "list").stdout) == []
    groups = json.loads(in_lab("slcli", "--format", "json", "securitygroup", "list").stdout)
    assert [group for group in groups if LAB in str(group)] == []
    make("down")
    assert run("ip", "netns", "list").stdout.find(f"swarm-galera-{LAB}\n") == -1
