"""What mariadbd says of itself, as the node's program takes it."""

from __future__ import annotations

from typing import Any

import pytest

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("state", "ready", "serves"),
    [
        pytest.param("Synced", True, True, id="synced"),
        pytest.param("Donor/Desynced", True, True, id="a donor"),
        pytest.param("Joined", True, True, id="a donor that is done"),
        pytest.param("Joined", False, False, id="a joiner that has all but the last write-sets"),
        pytest.param("Joining: receiving State Transfer", False, False, id="a joiner"),
        pytest.param("Synced", False, False, id="synced, and cut off"),
    ],
)
def test_a_donor_serves_until_it_is_synced_again_and_a_joiner_only_then(
    modules: Any, state: str, ready: bool, serves: bool
) -> None:
    status = modules.sql.ServerStatus(state, True, True, ready, "u", 7, 3)
    assert status.synced is serves
