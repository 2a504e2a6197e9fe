"""The order of all tests: files that take long begin first, so that no process is left with one at the end.

Tests run in two processes, file by file (`lab/toolchain/jobs.py`): what the tests of a file share is made
once. `xdist_group` would say it test by test, but pytest-xdist 3.8 ignores it under pytest 9.2 (issue 1386).
"""

from __future__ import annotations

import asyncio

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.get_closest_marker("first") is None)


@pytest.fixture(autouse=True)
def thread_has_a_loop() -> None:
    """Pulumi's SDK takes the thread's event loop; `asyncio.run` in a test before leaves none."""
    try:
        asyncio.get_event_loop_policy().get_event_loop()
    except RuntimeError:
        asyncio.set_event_loop(asyncio.new_event_loop())
