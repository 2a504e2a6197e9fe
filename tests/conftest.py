"""The order of all tests: files that take long begin first, so that no process is left with one at the end.

Tests run in two processes, file by file (`lab/toolchain/jobs.py`): what the tests of a file share is made
once. `xdist_group` would say it test by test, but pytest-xdist 3.8 ignores it under pytest 9.2 (issue 1386).
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.get_closest_marker("first") is None)


@pytest.fixture(scope="session", autouse=True)
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    """One event loop for a process of tests, closed at its end."""
    made = asyncio.new_event_loop()
    asyncio.set_event_loop(made)
    yield made
    made.close()


@pytest.fixture(autouse=True)
def thread_has_a_loop(loop: asyncio.AbstractEventLoop) -> None:
    """Pulumi's SDK takes the thread's event loop; `asyncio.run` in a test before leaves none."""
    asyncio.set_event_loop(loop)
