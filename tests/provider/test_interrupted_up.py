"""Ctrl-C in the middle of an `up` of the whole program, while servers are waited for, and the next `up`."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from lab.toolchain import places
from tests.provider.interrupted_up import HOSTS

pytestmark = [pytest.mark.provider, pytest.mark.first]


@pytest.fixture(scope="module")
def facts() -> dict[str, Any]:
    """The facts of one interrupted run and the next."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.provider.interrupted_up"],
        cwd=places.CHECKOUT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr + done.stdout
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_pulumi_is_interrupted_once_and_the_run_ends_as_shells_say(facts: dict[str, Any]) -> None:
    assert facts["code"] == 130
    assert facts["said"].count("^C received; cancelling") == 1
    assert "Interrupted: pulumi finishes what is under way" in facts["said"]
    assert facts["said"].rstrip().endswith("Interrupted. The same command goes on from here.")


def test_waits_for_servers_that_do_not_come_end_at_once(facts: dict[str, Any]) -> None:
    assert facts["said"].count("-ready **creating failed**") == HOSTS


def test_the_state_knows_all_that_was_ordered_and_nobody_holds_it(facts: dict[str, Any]) -> None:
    assert facts["ordered_then"] == HOSTS
    assert facts["in_state_then"] == facts["existing"]
    assert facts["pending"] == []
    assert facts["locks"] == []


def test_the_same_command_goes_on_and_orders_nothing_twice(facts: dict[str, Any]) -> None:
    assert facts["second"]["code"] == 0, facts["second"]["said"]
    assert facts["ordered"] == HOSTS
    assert facts["in_state"] == facts["existing"]
    assert len(facts["existing"]) == HOSTS


def test_what_the_first_run_may_have_left_on_the_swarm_is_looked_for(facts: dict[str, Any]) -> None:
    """In vain here: no host lets anybody in."""
    assert "could not be looked for: galera-1" in facts["second"]["said"]
