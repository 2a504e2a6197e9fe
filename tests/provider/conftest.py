"""Fixtures for tests of the providers and slcli against the lab's API with instant hosts."""

from __future__ import annotations

from pathlib import Path

import pytest
from tenacity import RetryCallState

from components.softlayer import progress
from components.softlayer.client import Backoff
from tests.support.lab_api import client as client
from tests.support.lab_api import lab_api as lab_api
from tests.support.lab_api import template as template


@pytest.fixture(autouse=True)
def quick(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Short pauses between tries and polls, as the API here needs no patience; how long is tried stays as it
    is. And a state folder of the test's own, in which notes on orders are kept.
    """
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setattr(progress, "SOONEST", 0.02)
    monkeypatch.setattr(Backoff, "pause", _quick_pause)


_pause = Backoff.pause


def _quick_pause(self: Backoff, state: RetryCallState) -> float:
    return min(_pause(self, state), 0.02)
