"""A cluster on real hosts as users see it: `make`, `slcli`, the hosts' own words, the database's.

Owned here: the ways to it, an empty lab to make it in. Left to others: what is done to it and must hold.

The lab and its stack are the tests' own (`LAB_UNDER_TEST`, default `suite`), so that a lab one works with is
left alone. Their key-value store is `STORE_UNDER_TEST` (`etcd`, the default, or `consul`).
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from harness.lab_cluster import with_store

CHECKOUT = Path(__file__).parents[2]
LAB = os.environ.get("LAB_UNDER_TEST", "suite")
STORE = os.environ.get("STORE_UNDER_TEST", "etcd")
SETTINGS = CHECKOUT / f"Pulumi.{LAB}.yaml"
HOSTS = ("galera-1", "galera-2", "galera-3")
GALERA = 'docker exec -u 0 -i "$(docker ps -q --filter name=galera)" mariadb -NB -e "{}"'
"""A question to the database on a host, asked there as root."""
LONG = pytest.mark.timeout(5400)
"""For tests that bring a stack up, and change all of it several times."""
BALANCER = f"""  swarm-galera:loadBalancer:
    image: registry.lab:5000/swarm-galera/haproxy:{(CHECKOUT / "images/haproxy/TAG").read_text().strip()}
"""
GALERA_NODE = 'docker exec "$(docker ps -q --filter name=galera)" galera-node {}'


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


def config(*words: str, **options: Any) -> None:
    """`pulumi config …` on the stack under test."""
    in_lab("pulumi", "config", *words, "--stack", LAB, **options)


def deploy_up_to(layer: str, *named: str, keep_data: bool = True) -> None:
    """How far the settings have the stack deployed, and which layers may go for it."""
    for key in ("deployUpTo", "takeDown", "keepData"):
        config("rm", f"swarm-galera:{key}", check=False)
    config("set", "swarm-galera:deployUpTo", layer)
    for number, each in enumerate(named):
        config("set", "--path", f"swarm-galera:takeDown[{number}]", each)
    if not keep_data:
        config("set", "swarm-galera:keepData", "false")


def guests() -> list[dict[str, Any]]:
    """The account's guests, asked for with SoftLayer's own command line."""
    words = ("--format", "json", "vs", "list", "--columns", "id,hostname,power_state")
    listed: list[dict[str, Any]] = json.loads(in_lab("slcli", *words).stdout)
    return listed


def outputs() -> dict[str, Any]:
    """The stack's outputs, secrets masked."""
    found: dict[str, Any] = json.loads(in_lab("pulumi", "stack", "output", "--json", "--stack", LAB).stdout)
    return found


def tasks(service: str) -> list[str]:
    """Ids of all tasks that a service has or had, in order: none more means that nothing was restarted."""
    return sorted(on_host("galera-1", f"docker service ps --no-trunc --quiet {service}").split())


def wait_for(what: str, holds: Callable[[], bool], limit: float = 600) -> None:
    """Poll until it holds; fails after `limit` seconds with the name of what was waited for."""
    end = time.monotonic() + limit
    while not holds():
        assert time.monotonic() < end, f"{what}: not within {limit:.0f} s"
        time.sleep(2)


def sql(host: str, query: str, **options: Any) -> str:
    """What the database on a host answers, asked there as root."""
    return on_host(host, GALERA.format(query), **options).strip()


def node(host: str) -> dict[str, str]:
    """What Galera says of its node on a host, by the variable's name; empty while it says nothing."""
    asked = "SHOW STATUS LIKE 'wsrep%'"
    said = on_host(host, GALERA.format(asked), check=False)
    return dict(line.split("\t") for line in said.splitlines() if "\t" in line)


def one_cluster() -> bool:
    """Whether all three nodes are synced and see three of one cluster.

    The next host is asked only once the one before says so: a look is work for hosts that have enough of it.
    """
    uuids = set()
    for host in HOSTS:
        told = node(host)
        asked = ("local_state_comment", "cluster_status", "cluster_size")
        if [told.get(f"wsrep_{name}") for name in asked] != ["Synced", "Primary", "3"]:
            return False
        uuids.add(told["wsrep_cluster_state_uuid"])
    return len(uuids) == 1


def cluster_uuid() -> str:
    """The one cluster UUID that every node sees; fails if they do not come to be one cluster.

    On a machine with more to do than it can, a node may be out of the group for a moment.
    """
    wait_for("one cluster", one_cluster, 120)
    found = node("galera-1")["wsrep_cluster_state_uuid"]
    assert re.fullmatch(r"[0-9a-f-]{36}", found)
    return found


def verify_holds() -> bool:
    return _verified()[0]


def checks() -> list[dict[str, Any]]:
    """All checks of `verify`, whether or not they hold; none where it could not begin."""
    return _verified()[1]


def holds(*options: str, limit: float = 300) -> None:
    """Fails, with what does not hold, unless `verify` comes to hold in `limit` seconds.

    A load balancer needs a moment to see all nodes after a change. `options`: more of verify's.
    """
    end = time.monotonic() + limit
    while True:
        fine, found = _verified(*options)
        if fine:
            return
        broken = [f"{each['where']}: {each['what']}: {each['found']}" for each in found if not each["ok"]]
        assert time.monotonic() < end, "\n".join([f"after {limit:.0f} s:", *(broken or ["no answer"])])
        time.sleep(2)


def _verified(*options: str) -> tuple[bool, list[dict[str, Any]]]:
    """Whether `verify` says that all holds, and its checks."""
    said = operations("verify", "--json", *options, check=False)
    return said.returncode == 0, json.loads(said.stdout)["checks"] if said.stdout else []


def boot(host: str) -> str:
    """Tells one boot of a host from the next; empty while it does not answer."""
    return on_host(host, "cat /proc/sys/kernel/random/boot_id", check=False).strip()


def all_boot() -> None:
    """Fails unless all hosts come to answer SSH."""
    wait_for("SSH", lambda: all(boot(host) for host in HOSTS), 300)


def power_cut(numbers: Iterable[str]) -> None:
    """These servers lose their power, and are off: before that the account takes no other order for them."""
    lost = {*numbers}
    for number in lost:
        in_lab("slcli", "-y", "vs", "power-off", "--hard", number)

    def off() -> bool:
        return all(each["power_state"] == "Halted" for each in guests() if str(each["id"]) in lost)

    wait_for("the end of the hosts", off, 120)


def nothing_changes() -> None:
    """Fails if a further run would change anything."""
    in_lab("pulumi", "preview", "--expect-no-changes", "--stack", LAB)


@contextmanager
def empty_lab() -> Iterator[None]:
    """An empty lab of the tests' own and the settings of `dev`; gone afterwards unless KEEP_LAB is set."""
    run(sys.executable, "-m", "lab", "down", "--name", LAB)
    SETTINGS.write_text(with_store((CHECKOUT / "Pulumi.dev.yaml").read_text(), STORE))
    run(sys.executable, "-m", "lab", "up", "--name", LAB)
    yield
    if not os.environ.get("KEEP_LAB"):
        run(sys.executable, "-m", "lab", "status", "--name", LAB, check=False)
        for host in HOSTS:  # shown if the last test has failed: dead kernels tell why
            run(sys.executable, "-m", "lab", "console", "--name", LAB, host, "--no-follow", check=False)
        run(sys.executable, "-m", "lab", "down", "--name", LAB)
        SETTINGS.unlink(missing_ok=True)


def add_balancer() -> None:
    """Gives the stack under test a load balancer, by its settings; a second time changes nothing."""
    settings = SETTINGS.read_text()
    if BALANCER not in settings:
        SETTINGS.write_text(settings.replace("config:\n", f"config:\n{BALANCER}", 1))


def put_right(settings: str) -> None:
    """After a test that failed, as well as it can be done: all hosts on, none held back, these settings."""
    for guest in guests():
        if guest["power_state"] == "Halted":
            in_lab("slcli", "-y", "vs", "power-on", str(guest["id"]), check=False)
    with suppress(AssertionError):  # `up` orders one that has gone
        all_boot()
    for host in HOSTS:
        freed = f"docker node update --availability active --label-add galera=true {host}"
        on_host(HOSTS[0], freed, check=False)
        on_host(host, "rm -f /run/reboot-required; docker rm -f written", check=False)
    SETTINGS.write_text(settings)
    operations("up", "--yes", check=False, limit=2400)
    for check in checks():
        for told, command in (("being replaced", "replace"), ("being upgraded", "upgrade-hosts")):
            if told in check["found"]:
                operations(command, check["where"], "--yes", check=False, limit=1800)
    for host in HOSTS:
        operations("maintenance", host, "off", check=False)


def checksums() -> set[str]:
    return {sql(host, "CHECKSUM TABLE kept.row") for host in HOSTS}


def insert(host: str, first: int, count: int) -> None:
    values = ",".join(f"({number})" for number in range(first, first + count))
    sql(host, f"INSERT INTO kept.row VALUES {values}")
