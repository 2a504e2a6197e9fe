"""What a plan does to the servers that are there, as a table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from components.softlayer.changes import interrupted, refuse_loss_of_majority
from components.softlayer.errors import SettingInvalid
from components.softlayer.guest_seen import Guest
from settings.server import Server

pytestmark = pytest.mark.unit

SERVER = Server.of(domain="example.com", datacenter="tor01", cores=2, memory=4096, disks=(25, 100))
AS_PLANNED: dict[str, Any] = {
    "provisionDate": "2026-01-01T00:00:00+00:00",
    "startCpus": 2,
    "maxMemory": 4096,
    # The API tells numbers as texts at times, and the swap disk besides.
    "blockDevices": [
        {"device": device, "diskImage": {"capacity": size}}
        for device, size in (("0", "25"), ("1", "2"), ("2", "100"))
    ],
}


@pytest.mark.parametrize(
    ("differs", "interrupts"),
    [
        ({}, False),
        ({"startCpus": 1}, True),
        ({"maxMemory": 2048}, True),
        ({"blockDevices": AS_PLANNED["blockDevices"][:2]}, True),
        ({"startCpus": 1, "provisionDate": None}, False),
        ({"primaryNetworkComponent": {"maxSpeed": 10}}, False),
    ],
)
def test_cores_memory_and_disks_interrupt_a_server_that_is_there(
    differs: dict[str, Any], interrupts: bool
) -> None:
    now = {"galera-1": Guest({**AS_PLANNED, **differs})}
    planned = dict.fromkeys(["galera-1", "galera-2"], SERVER)
    assert interrupted(now, planned, ()) == (["galera-1"] if interrupts else [])


def test_servers_take_their_turns_in_the_plan_s_order() -> None:
    now = dict.fromkeys(["c", "a"], Guest({**AS_PLANNED, "startCpus": 1}))
    assert interrupted(now, dict.fromkeys("abcd", SERVER), {"d", "b"}) == ["a", "b", "c", "d"]


def check(now: str, managers: str, workers: str = "", replaced: str = "", turns: Sequence[str] = "") -> None:
    """Host names of one letter each."""
    refuse_loss_of_majority(
        dict.fromkeys(now, Guest({})), list(managers), list(workers), set(replaced), list(turns)
    )


@pytest.mark.parametrize(
    "plan",
    [
        pytest.param({"now": "", "managers": "abc"}, id="a new stack"),
        pytest.param({"now": "abc", "managers": "abc"}, id="the same hosts"),
        pytest.param({"now": "abcxyz", "managers": "abc", "workers": ""}, id="all workers go"),
        pytest.param({"now": "abcde", "managers": "abc"}, id="two of five managers go"),
        pytest.param({"now": "bcx", "managers": "abc"}, id="a lost manager is ordered anew, a worker goes"),
        pytest.param({"now": "a", "managers": "abc"}, id="an order that was cut off"),
        pytest.param({"now": "abc", "managers": "abc", "replaced": "b"}, id="one manager is replaced"),
        pytest.param({"now": "abc", "managers": "abc", "turns": "abc"}, id="all are resized in turn"),
        pytest.param(
            {"now": "abc", "managers": "abc", "replaced": "b", "turns": "b"},
            id="one is replaced by a larger one",
        ),
        pytest.param(
            {"now": "ab", "managers": "abc", "replaced": "c", "turns": "ab"}, id="a lost one comes back"
        ),
        pytest.param(
            {"now": "abcxy", "managers": "abc", "workers": "xy", "replaced": "xy", "turns": "abc"},
            id="workers are replaced while managers are resized",
        ),
    ],
)
def test_plans_that_leave_the_majority_are_accepted(plan: dict[str, Any]) -> None:
    check(**plan)


@pytest.mark.parametrize(
    ("plan", "said"),
    [
        ({"now": "abc", "managers": "xyz"}, "the stack has none, and a, b, c would be given up"),
        ({"now": "abc", "managers": "axy"}, "the stack has a, and b, c would be given up"),
        ({"now": "abc", "managers": "x"}, "a, b, c would be given up"),
        (
            {"now": "abc", "managers": "abc", "replaced": "b", "turns": "ac"},
            "b may be replaced in the same run that reboots or reloads a, c",
        ),
    ],
)
def test_plans_that_take_the_majority_are_refused_before_anything_is_changed(
    plan: dict[str, Any], said: str
) -> None:
    with pytest.raises(SettingInvalid, match=said) as refused:
        check(**plan)
    assert "nothing was ordered or changed; " in str(refused.value)
