"""What the files of tests that need a swarm share: each has one of its own. And whose plugins there are."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from lab.toolchain import plugins
from tests.plugins.stacks import KINDS
from tests.support.docker_engine import TestEngine, engine


@pytest.fixture(scope="module")
def swarm() -> Iterator[TestEngine]:
    with engine() as running:
        yield running


def pytest_report_header() -> str:
    """Whose plugins these tests run with, in `pytest`'s header."""
    return f"Pulumi's plugins: {plugins.told()}; tests with pulumi run with those of: {', '.join(KINDS)}"
