"""Two stacks at once in one account: they are ordered side by side, and one goes without the other noticing.

Each has one manager and one worker, which joins with the worker's token and bears no data.

The tests tell one story and run in the order they are written: each begins where the last one ended.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import yaml

from tests.lab.whole_cluster import CHECKOUT, GALERA, LAB, empty_lab, guests, in_lab, on_host, run, wait_for

pytestmark = [pytest.mark.lab, pytest.mark.usefixtures("stacks")]

PREFIXES = {LAB: "galera", f"{LAB}-staging": "staging"}
"""Of the hosts' names, by stack."""
DEV, STAGING = PREFIXES


def operations(stack: str, *words: str, check: bool = True) -> str:
    """What `python -m operations …` prints."""
    asked = (sys.executable, "-m", "operations", *words, "--stack", stack)
    return in_lab(*asked, check=check).stdout


def hostnames() -> list[str]:
    return sorted(guest["hostname"] for guest in guests())


def named(kind: str, label: str) -> list[str]:
    """What the account has of that kind, as `slcli` lists it."""
    listed: list[dict[str, Any]] = json.loads(in_lab("slcli", "--format", "json", kind, "list").stdout)
    return sorted(str(each[label]) for each in listed)


@pytest.fixture(scope="module")
def stacks() -> Iterator[None]:
    """Both, made by two runs at the same time."""
    files = {stack: CHECKOUT / f"Pulumi.{stack}.yaml" for stack in PREFIXES}
    with empty_lab():
        template = yaml.safe_load((CHECKOUT / "Pulumi.dev.yaml").read_text())
        for stack, prefix in PREFIXES.items():
            servers = template["config"]["swarm-galera:servers"]
            servers |= {"prefix": prefix, "managers": 1, "workers": 1}
            files[stack].write_text(yaml.safe_dump(template, sort_keys=False))
        with ThreadPoolExecutor() as side_by_side:
            first = side_by_side.submit(run, "make", "up", f"LAB={LAB}", f"STACK={DEV}")
            # Pulumi's programs and plugins are there then, and the first stack's run is in its midst.
            wait_for("servers of the first stack", lambda: first.done() or bool(guests()))
            operations(STAGING, "up", "--yes")
            first.result()
        yield
        operations(STAGING, "destroy", "--yes", check=False)
    files[STAGING].unlink(missing_ok=True)


def test_both_serve_and_a_further_run_changes_nothing() -> None:
    for stack, prefix in PREFIXES.items():
        operations(stack, "verify")
        in_lab("pulumi", "preview", "--expect-no-changes", "--stack", stack)
        role = on_host(f"{prefix}-2", "docker info --format '{{.Swarm.ControlAvailable}}'")
        assert role.strip() == "false"
    assert hostnames() == ["galera-1", "galera-2", "staging-1", "staging-2"]


def test_their_swarms_and_rows_are_their_own() -> None:
    asked = "docker info --format '{{.Swarm.Cluster.ID}}'"
    assert len({on_host(f"{prefix}-1", asked) for prefix in PREFIXES.values()}) == len(PREFIXES)
    for prefix in PREFIXES.values():
        on_host(f"{prefix}-1", GALERA.format(f"CREATE DATABASE of_{prefix}"))
    for prefix in PREFIXES.values():
        shown = on_host(f"{prefix}-1", GALERA.format("SHOW DATABASES LIKE 'of\\_%'"))
        assert shown.split() == [f"of_{prefix}"]


def test_one_is_destroyed_and_the_other_notices_nothing() -> None:
    before = on_host("staging-1", "docker ps --quiet --no-trunc")
    boot = on_host("staging-1", "cat /proc/sys/kernel/random/boot_id")
    operations(DEV, "destroy", "--yes")
    assert hostnames() == ["staging-1", "staging-2"]
    operations(STAGING, "verify")
    in_lab("pulumi", "preview", "--expect-no-changes", "--stack", STAGING)
    assert on_host("staging-1", "docker ps --quiet --no-trunc") == before
    assert on_host("staging-1", "cat /proc/sys/kernel/random/boot_id") == boot
    assert len(named("sshkey", "label")) == 1
    operations(STAGING, "destroy", "--yes")
    assert guests() == []
    assert named("sshkey", "label") == []
    assert named("securitygroup", "name") == []
