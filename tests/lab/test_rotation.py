"""Rotation on real hosts, under a client that writes: passwords, the store's certificates, join tokens, a run
that is killed in the middle; and a host whose encrypted disk waits after a boot.

Owned here: the program's part, over the swarm. Left to others: nodes and members among one another
(tests/images), the scripts one by one (tests/unit). The tests tell one story, in the order they are written.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.lab.test_tls import writing
from tests.lab.whole_cluster import (
    CHECKOUT,
    HOSTS,
    LAB,
    LONG,
    add_balancer,
    all_boot,
    boot,
    config,
    empty_lab,
    guests,
    holds,
    in_lab,
    make,
    nothing_changes,
    on_host,
    one_cluster,
    operations,
    outputs,
    power_cut,
    sql,
    tasks,
    wait_for,
)

pytestmark = [pytest.mark.lab, LONG]

CLIENT = (
    'docker run --rm --network galera -e MYSQL_PWD={password} --entrypoint mariadb "$(docker service inspect '
    "--format '{{{{.Spec.TaskTemplate.ContainerSpec.Image}}}}' galera)\" --host=galera --user={user} -N "
    "-e 'SELECT 1' 2>&1 || true"
)
ENCRYPTED = "  swarm-galera:servers:\n"


@pytest.fixture(scope="module", autouse=True)
def stack() -> Iterator[None]:
    """A stack of the tests' own, with encrypted disks."""
    with empty_lab():
        add_balancer()
        settings = CHECKOUT / f"Pulumi.{LAB}.yaml"
        text = settings.read_text()
        assert ENCRYPTED in text
        settings.write_text(text.replace(ENCRYPTED, f"{ENCRYPTED}    encryptedDisk: true\n", 1))
        make("up")
        wait_for("three Synced nodes", one_cluster)
        sql("galera-1", "CREATE TABLE app.kept (n INT PRIMARY KEY)")
        yield
        operations("destroy", "--yes")


def passwords() -> dict[str, str]:
    shown = in_lab("pulumi", "stack", "output", "passwords", "--show-secrets", "--json", "--stack", LAB)
    told: dict[str, str] = json.loads(shown.stdout)
    return told


def logs_in(user: str, password: str) -> bool:
    return on_host("galera-1", CLIENT.format(user=user, password=password)).strip() == "1"


def setting(path: str, value: int) -> None:
    config("set", "--path", f"swarm-galera:{path}", str(value))


def killed_once_the_first_node_has_changed() -> None:
    """An `up` that dies in the middle of its rolling change."""
    before = tasks("galera")
    argv = [sys.executable, "-m", "lab", "exec", "--name", LAB, "--", sys.executable, "-m", "operations"]
    run = subprocess.Popen([*argv, "up", "--yes", "--stack", LAB], cwd=CHECKOUT, start_new_session=True)
    wait_for("the first node that is changed", lambda: tasks("galera") != before)
    os.killpg(run.pid, signal.SIGKILL)
    run.wait()


def test_new_passwords_count_beside_the_former_ones_and_then_alone() -> None:
    former = passwords()
    setting("galera.passwords.generation", 2)
    with writing():
        killed_once_the_first_node_has_changed()
        # A connection may still meet the node that is just being stopped.
        wait_for("a login with the former password", lambda: logs_in("app", former["app"]), 120)
        operations("up", "--yes")
    new = passwords()
    assert new["app"] != former["app"]
    assert logs_in("app", former["app"])
    assert logs_in("app", new["app"])
    holds()
    nothing_changes()
    setting("galera.passwords.ended", 1)
    with writing():
        operations("up", "--yes")
    assert not logs_in("app", former["app"])
    assert logs_in("app", new["app"])
    assert passwords() == new
    nothing_changes()


def test_the_store_goes_to_another_authority_and_back_to_trusting_one() -> None:
    setting("discovery.certificates.generation", 2)
    with writing():
        operations("up", "--yes")
    holds()
    setting("discovery.certificates.ended", 1)
    with writing():
        operations("up", "--yes")
    assert outputs()["discovery"]["certificates"] == {"generation": 2, "ended": 1}
    holds()
    nothing_changes()


def test_join_tokens_are_others_and_nobody_notices() -> None:
    asked = "docker swarm join-token -q worker"
    former, before = on_host("galera-1", asked).strip(), tasks("galera")
    setting("swarm.joinTokenGeneration", 2)
    operations("up", "--yes")
    now = on_host("galera-1", asked).strip()
    assert now != former
    shown = in_lab("pulumi", "stack", "output", "joinTokens", "--show-secrets", "--json", "--stack", LAB)
    assert json.loads(shown.stdout)["worker"] == now
    assert tasks("galera") == before
    nothing_changes()


def test_a_host_waits_for_its_disks_key_after_a_boot_and_unlock_brings_it_back() -> None:
    third = HOSTS[2]
    assert on_host(third, "lsblk -nso TYPE /dev/mapper/docker_vg-docker_lv1").split()[1] == "crypt"
    before = boot(third)
    on_host(third, "systemctl reboot", check=False)
    wait_for("another boot", lambda: boot(third) not in ("", before), 300)
    # No question to the engine: its socket would try to start it.
    assert on_host(third, "systemctl is-active docker.service || true").strip() == "inactive"
    said = operations("preview").stderr
    assert f"{third}: no engine runs, and the data disk is encrypted" in said
    operations("unlock")
    wait_for("three Synced nodes", one_cluster)
    holds()
    nothing_changes()


def test_after_a_power_cut_of_all_hosts_one_command_opens_all_disks() -> None:
    rows = sql("galera-1", "SELECT COUNT(*) FROM app.kept")
    numbers = [str(guest["id"]) for guest in guests()]
    power_cut(numbers)
    for number in numbers:
        in_lab("slcli", "-y", "vs", "power-on", number)
    all_boot()
    operations("unlock")
    wait_for("three Synced nodes", one_cluster, 900)
    assert sql("galera-1", "SELECT COUNT(*) FROM app.kept") == rows
    holds()
