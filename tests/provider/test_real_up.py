"""What the real Pulumi makes of the providers: nine servers, one `pulumi up`."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.provider.real_up import SERVERS

pytestmark = [pytest.mark.provider, pytest.mark.first]
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def facts() -> dict[str, Any]:
    """The facts of one run."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.provider.real_up"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr + done.stdout
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_all_servers_are_ordered_once_and_in_the_state(facts: dict[str, Any]) -> None:
    assert facts["ordered"] == SERVERS
    assert facts["in_state"] == sorted(guest["id"] for guest in facts["guests"])


def test_all_orders_are_placed_while_no_server_is_ready(facts: dict[str, Any]) -> None:
    """No wait holds up an order, though nine waits share four workers: so all servers are provisioned side by
    side and take the time of one."""
    assert facts["all_ordered_while_none_was_ready"] is True


def test_every_server_carries_the_stack_s_tag(facts: dict[str, Any]) -> None:
    tags = [set(guest["tags"]) for guest in facts["guests"]]
    assert all("swarm-galera" in one for one in tags)
    assert len(set.intersection(*tags)) == 2


def test_the_api_key_is_in_no_argument_no_output_and_no_file(facts: dict[str, Any]) -> None:
    assert facts["secret"] == 0
    assert facts["providers"]
    assert facts["key_in_arguments"] == []
    assert facts["key_in_said"] is False
    assert facts["key_in_files"] == []


def test_a_provider_is_told_its_engine_s_address(facts: dict[str, Any]) -> None:
    """By which it knows whether the engine still lives (components/softlayer/progress.py)."""
    assert all(re.search(r" 127\.0\.0\.1:\d+\b", line) for line in facts["providers"])


def test_the_private_ssh_key_is_a_secret_of_the_state(facts: dict[str, Any]) -> None:
    resources = facts["exported"]["deployment"]["resources"]
    (pair,) = (resource for resource in resources if resource["type"].endswith("SshKeyPair"))
    assert set(pair["outputs"]["private_key"]) >= {"ciphertext"}
    assert facts["private_key_in_files"] == []


def test_the_wait_for_all_orders_leaves_no_edges_in_the_state(facts: dict[str, Any]) -> None:
    resources = facts["exported"]["deployment"]["resources"]
    for wait in (resource for resource in resources if resource["type"].endswith("GuestReady")):
        guests = [urn for urn in wait.get("dependencies", []) if "VirtualGuest" in urn]
        assert len(guests) == 1
