"""What the real Pulumi makes of the providers: nine servers, made, changed, looked at, and taken away."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.provider.real_up import PROVISION, SERVERS

pytestmark = [pytest.mark.provider, pytest.mark.first]
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def facts() -> dict[str, Any]:
    """The facts of one stack's life."""
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
    assert facts["up"]["ordered"] == SERVERS
    assert facts["up"]["in_state"] == sorted(guest["id"] for guest in facts["up"]["guests"])


def test_nine_servers_take_the_time_of_one(facts: dict[str, Any]) -> None:
    """All orders are placed while no server is ready, though nine waits share four workers; and from the last
    order to the end of the last wait it is less than two servers take, one after the other."""
    assert facts["up"]["all_ordered_while_none_was_ready"] is True
    assert PROVISION <= facts["up"]["seconds_from_last_order_to_last_look"] < 2 * PROVISION


def test_every_server_carries_the_stack_s_tag(facts: dict[str, Any]) -> None:
    tags = [set(guest["tags"]) for guest in facts["up"]["guests"]]
    assert all("swarm-galera" in one for one in tags)
    assert len(set.intersection(*tags)) == 2


def test_the_api_key_is_in_no_argument_no_output_and_no_file(facts: dict[str, Any]) -> None:
    """Whether it comes from the stack's settings, from the environment or from the user's own file."""
    assert facts["up"]["secret"] == 0
    assert facts["providers"]
    assert facts["key_in_arguments"] == []
    assert facts["key_in_said"] == []
    assert facts["key_in_files"] == []


def test_a_provider_is_told_its_engine_s_address(facts: dict[str, Any]) -> None:
    """By which it knows whether the engine still lives (components/softlayer/progress.py)."""
    assert all(re.search(r" 127\.0\.0\.1:\d+\b", line) for line in facts["providers"])


def test_the_private_ssh_key_is_a_secret_of_the_state(facts: dict[str, Any]) -> None:
    resources = facts["up"]["exported"]["deployment"]["resources"]
    (pair,) = (resource for resource in resources if resource["type"].endswith("SshKeyPair"))
    assert set(pair["outputs"]["private_key"]) >= {"ciphertext"}
    assert facts["private_key_in_files"] == []


def test_the_wait_for_all_orders_leaves_no_edges_in_the_state(facts: dict[str, Any]) -> None:
    resources = facts["up"]["exported"]["deployment"]["resources"]
    for wait in (resource for resource in resources if resource["type"].endswith("GuestReady")):
        guests = [urn for urn in wait.get("dependencies", []) if "VirtualGuest" in urn]
        assert len(guests) == 1


def test_a_change_in_place_reaches_every_server_and_orders_none(facts: dict[str, Any]) -> None:
    before, after = facts["up"]["guests"], facts["change"]["guests"]
    assert [guest["id"] for guest in after] == [guest["id"] for guest in before]
    assert {guest["memory"] for guest in before} == {2048}
    assert {guest["memory"] for guest in after} == {4096}
    assert facts["change"]["ordered"] == SERVERS


def test_nothing_drifts_and_nothing_is_left_to_change(facts: dict[str, Any]) -> None:
    assert facts["change"]["changes"] == ""


def test_a_server_that_was_cancelled_is_ordered_anew_and_nothing_else_is_another_one(
    facts: dict[str, Any],
) -> None:
    cancel = facts["cancel"]
    assert cancel["ordered"] == SERVERS + 1
    assert cancel["others"] == cancel["without"]
    assert len(cancel["without"]) == SERVERS - 1
    (new,) = set(cancel["in_state"]) - set(cancel["without"])
    assert sorted(cancel["waited_for"]) == cancel["in_state"]
    assert new in cancel["waited_for"]
    assert cancel["replaced"] == []


def test_a_destroyed_stack_leaves_nothing_in_the_account(facts: dict[str, Any]) -> None:
    left = {name: facts["destroy"][name] for name in ("in_state", "guests", "keys", "groups")}
    assert left == {"in_state": [], "guests": [], "keys": [], "groups": []}
