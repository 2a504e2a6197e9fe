"""A stack that goes down to its hosts and up again, on real hosts: with its rows, and without them.

Left to others: which settings are refused, what each step says (unit/test_program_layers.py,
unit/components/host_scripts/test_taken_down_script.py).

The tests tell one story and run in the order they are written: each begins where the last one ended.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.lab.whole_cluster import (
    HOSTS,
    LAB,
    STORE,
    checksums,
    cluster_uuid,
    deploy_up_to,
    guests,
    in_lab,
    insert,
    nothing_changes,
    on_host,
    one_cluster,
    operations,
    outputs,
    sql,
    wait_for,
)

pytestmark = [pytest.mark.lab, pytest.mark.usefixtures("cluster")]

BEFORE: dict[str, Any] = {}
"""What was so before the stack went down."""


def passwords() -> dict[str, str]:
    """The database's; that of the load balancer's statistics is drawn anew with it (ADR 0015)."""
    shown = in_lab("pulumi", "stack", "output", "passwords", "--json", "--show-secrets", "--stack", LAB)
    told = json.loads(shown.stdout)
    return {user: told[user] for user in ("root", "app")}


def swarm_state(host: str) -> str:
    """Empty while the host does not answer."""
    return on_host(host, "docker info --format '{{.Swarm.LocalNodeState}}'", check=False).strip()


def volumes(host: str) -> set[str]:
    return set(on_host(host, "docker volume ls --quiet").split()) & {f"{STORE}-data", "galera-data"}


def verified(layer: str) -> list[str]:
    """What `verify` has looked at, all of which holds."""
    report = json.loads(operations("verify", "--json").stdout)
    assert report["ok"]
    assert report["layer"] == layer
    return [check["what"] for check in report["checks"]]


@pytest.fixture(scope="module", autouse=True)
def before(cluster: None) -> None:
    insert("galera-1", 1, 100)
    BEFORE.update(
        guests=sorted(guest["id"] for guest in guests()),
        uuid=cluster_uuid(),
        checksums=checksums(),
        passwords=passwords(),
        outputs=outputs(),
        boots={host: on_host(host, "cat /proc/sys/kernel/random/boot_id") for host in HOSTS},
    )


def test_going_down_unasked_is_refused_and_says_what_would_be_lost_and_kept() -> None:
    deploy_up_to("hosts")
    said = operations("up", "--yes", check=False)
    assert said.returncode != 0
    told = said.stdout + said.stderr
    assert "add takeDown: [data, swarm]" in told
    assert "The data stays in the hosts' volumes" in told
    assert one_cluster()
    assert outputs() == BEFORE["outputs"]


def test_a_stack_goes_down_to_its_hosts_and_nothing_of_the_swarm_is_left() -> None:
    deploy_up_to("hosts", "data", "swarm")
    operations("up", "--yes")
    what = verified("hosts")
    assert "engine on btrfs, in no swarm" in what
    assert "the data is kept in its volumes" in what
    for host in HOSTS:
        assert swarm_state(host) == "inactive"
        assert on_host(host, "docker ps --all --quiet").split() == []
        assert set(on_host(host, "docker network ls --format '{{.Name}}'").split()) == {
            *("bridge", "host", "none")
        }
        assert volumes(host) == {f"{STORE}-data", "galera-data"}
        assert on_host(host, "cat /proc/sys/kernel/random/boot_id") == BEFORE["boots"][host]
    assert sorted(guest["id"] for guest in guests()) == BEFORE["guests"]
    found = outputs()
    assert found["layer"] == "hosts"
    assert not {"galera", "discovery", "network", "joinTokens", "passwords"} & found.keys()
    nothing_changes()


def test_what_needs_the_database_says_that_there_is_none() -> None:
    said = operations("balance", check=False)
    assert said.returncode != 0
    assert "deployed up to the layer hosts" in said.stderr


def test_the_next_layer_is_a_swarm_with_its_network_and_nothing_on_it() -> None:
    deploy_up_to("swarm")
    operations("up", "--yes")
    assert "3 managers reachable, one of them leads" in verified("swarm")
    assert on_host("galera-1", "docker service ls --quiet").split() == []
    assert "galera" in on_host("galera-1", "docker network ls --format '{{.Name}}'").split()
    nothing_changes()


def test_a_stack_that_goes_up_again_has_its_rows_and_everybody_gets_in() -> None:
    deploy_up_to("data")
    operations("up", "--yes")
    wait_for("three Synced nodes", one_cluster)
    verified("data")
    assert cluster_uuid() == BEFORE["uuid"]
    assert checksums() == BEFORE["checksums"]
    assert passwords() == BEFORE["passwords"]
    assert sql("galera-3", "SELECT COUNT(*) FROM kept.row") == "100"
    nothing_changes()


def test_data_that_is_not_kept_is_gone_from_every_host() -> None:
    deploy_up_to("swarm", "data", keep_data=False)
    operations("up", "--yes")
    assert "no data of a former cluster" in verified("swarm")
    assert [volumes(host) for host in HOSTS] == [set()] * 3
    nothing_changes()


def test_and_then_an_empty_cluster_forms() -> None:
    deploy_up_to("application")
    operations("up", "--yes")
    wait_for("three Synced nodes", one_cluster)
    verified("data")
    assert cluster_uuid() != BEFORE["uuid"]
    assert "kept" not in sql("galera-1", "SHOW DATABASES").split()


DEAD = "galera-2"
"""In the middle: the one who would leave before it, were it still a node, would take the majority along."""


def test_a_stack_goes_down_to_its_hosts_although_one_of_them_is_dead() -> None:
    sql("galera-1", "CREATE DATABASE kept; CREATE TABLE kept.row (n INT PRIMARY KEY)")
    insert("galera-1", 1, 100)
    (number,) = (str(guest["id"]) for guest in guests() if guest["hostname"] == DEAD)
    BEFORE.update(uuid=cluster_uuid(), checksums=checksums(), dead=number)
    in_lab("slcli", "-y", "vs", "power-off", "--hard", number)
    wait_for("a cluster of two", lambda: sql("galera-1", "SELECT 1", check=False) == "1", 120)
    deploy_up_to("hosts", "data", "swarm")
    printed = operations("up", "--yes")
    assert f"{DEAD} did not answer, and what was to be done there was not" in printed.stdout + printed.stderr
    for host in HOSTS:
        if host != DEAD:
            assert swarm_state(host) == "inactive"
            assert on_host(host, "docker ps --all --quiet").split() == []
    assert outputs()["takenDown"]["missed"] == [DEAD]
    # Up again it would be a stranger to the others' swarm.
    deploy_up_to("data")
    refused = operations("up", "--yes", check=False)
    assert refused.returncode != 0
    assert (
        f"{DEAD} did not answer when what was above hosts was taken down" in refused.stdout + refused.stderr
    )


def test_the_dead_host_leaves_the_former_swarm_when_it_is_back_and_the_stack_goes_up_with_all_rows() -> None:
    in_lab("slcli", "-y", "vs", "power-on", BEFORE["dead"])
    wait_for("its engine", lambda: swarm_state(DEAD) not in ("", "inactive"), 300)
    deploy_up_to("hosts")
    operations("up", "--yes")
    assert swarm_state(DEAD) == "inactive"
    assert on_host(DEAD, "docker ps --all --quiet").split() == []
    verified("hosts")
    nothing_changes()
    deploy_up_to("data")
    operations("up", "--yes")
    wait_for("three Synced nodes", one_cluster)
    assert cluster_uuid() == BEFORE["uuid"]
    assert checksums() == BEFORE["checksums"]
    verified("data")
