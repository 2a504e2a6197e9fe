"""What the files of tests that need a swarm share: each file has one of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from lab.plugins.testing_docker import TestEngine, engine


@pytest.fixture(scope="module")
def swarm() -> Iterator[TestEngine]:
    with engine() as running:
        yield running
