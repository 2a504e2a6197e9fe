"""The engines' API with TLS on real hosts, with systemd and the lab's security groups: to it, through it, and
back, while no service is changed and no node of the database is missing beside another.

Left to others: who is let in, the state with either docker plugin (plugins/test_engine_tls.py).
"""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.lab.whole_cluster import (
    HOSTS,
    LAB,
    config,
    in_lab,
    insert,
    node,
    nothing_changes,
    on_host,
    one_cluster,
    operations,
    outputs,
    sql,
    verify_holds,
    wait_for,
)

pytestmark = [pytest.mark.lab, pytest.mark.usefixtures("cluster")]

IN_PLAIN = """
import socket, sys
line = socket.create_connection((sys.argv[1], 2376), 10)
line.sendall(b"GET /info HTTP/1.0\\r\\n\\r\\n")
print(line.recv(4096))
"""


def resources() -> list[dict[str, Any]]:
    exported = json.loads(in_lab("pulumi", "stack", "export", "--stack", LAB).stdout)
    found: list[dict[str, Any]] = exported["deployment"]["resources"]
    return found


def of_docker() -> dict[str, str]:
    """Ids of all docker resources and of their provider, by URN."""
    kinds = ("docker:", "pulumi:providers:docker")
    return {each["urn"]: each["id"] for each in resources() if each["type"].startswith(kinds)}


def provider() -> dict[str, Any]:
    return next(each["inputs"] for each in resources() if each["type"] == "pulumi:providers:docker")


def services() -> str:
    """When each was changed last."""
    words = "docker service inspect --format '{{.Spec.Name}} {{.UpdatedAt}}' $(docker service ls --quiet)"
    return "\n".join(sorted(on_host("galera-1", words).splitlines()))


@contextmanager
def a_majority_all_the_while() -> Iterator[None]:
    """Fails if ever two of the nodes are missing at a time."""
    fewest, ended = [len(HOSTS)], threading.Event()

    def look() -> None:
        while not ended.wait(2):
            sizes = [int(node(host).get("wsrep_cluster_size") or 0) for host in HOSTS]
            fewest[0] = min(fewest[0], max(sizes))

    watch = threading.Thread(target=look)
    watch.start()
    try:
        yield
    finally:
        ended.set()
        watch.join()
    assert fewest[0] >= 2


def test_engines_come_to_listen_one_after_the_other_and_no_docker_resource_is_changed() -> None:
    insert("galera-1", 1, 100)
    ids, unchanged = of_docker(), services()
    config("set", "--path", "swarm-galera:engine.access", "tls")
    with a_majority_all_the_while():
        operations("up", "--yes")
    wait_for("three Synced nodes", one_cluster)
    assert (of_docker(), services()) == (ids, unchanged)
    assert provider()["host"].startswith("tcp://")
    assert sql("galera-3", "SELECT COUNT(*) FROM kept.row") == "100"
    assert verify_holds()
    nothing_changes()


def test_nobody_comes_in_without_a_certificate_and_none_on_another_address() -> None:
    told = outputs()["engine"]
    for host, address in told["addresses"].items():
        said = in_lab(sys.executable, "-c", IN_PLAIN, address).stdout
        assert "HTTP request to an HTTPS server" in said
        listens = on_host(host, "ss -Hltn 'sport = :2376'").split()
        assert f"{address}:2376" in listens
        assert not [word for word in listens if word.endswith(":2376") and word != f"{address}:2376"]
        # The local socket is as it was.
        assert on_host(host, "docker info --format '{{.Swarm.LocalNodeState}}'").strip() == "active"


def test_what_is_to_be_done_is_done_that_way_and_the_run_before_it_is_no_change() -> None:
    config("set", "--path", "swarm-galera:galera.stopGrace", "70")
    operations("up", "--yes")
    wait_for("three Synced nodes", one_cluster)
    operations("refresh", "--yes")
    nothing_changes()
    config("rm", "--path", "swarm-galera:galera.stopGrace")


def test_back_to_ssh_nothing_listens_any_more() -> None:
    config("rm", "--path", "swarm-galera:engine.access")
    with a_majority_all_the_while():
        operations("up", "--yes")
    wait_for("three Synced nodes", one_cluster)
    for host in HOSTS:
        assert on_host(host, "ss -Hltn 'sport = :2376'").strip() == ""
        assert "tls" not in on_host(host, "ls /etc/docker /etc/systemd/system/docker.service.d")
    assert provider()["host"] == "ssh://any-manager"
    assert verify_holds()
    nothing_changes()
