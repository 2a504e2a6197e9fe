"""Whose plugins the whole job runs with; one stack for all outages, each of which leaves it whole.

Bringing a stack up takes longer than most outages.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from lab.toolchain import plugins
from tests.lab.whole_cluster import one_cluster, running_stack, sql, wait_for


def pytest_report_header() -> str:
    """In `pytest`'s header."""
    return f"Pulumi's plugins: {plugins.told()}"


@pytest.fixture(scope="session")
def stack() -> Iterator[None]:
    """A stack that is up; destroyed after the last test, with its lab."""
    with running_stack():
        yield


@pytest.fixture(scope="module")
def cluster(stack: None) -> None:
    """Three Synced nodes, with an empty table `kept.row` that no other file's tests have seen."""
    wait_for("three Synced nodes", one_cluster)
    sql("galera-1", "DROP DATABASE IF EXISTS kept; CREATE DATABASE kept")
    sql("galera-1", "CREATE TABLE kept.row (n INT PRIMARY KEY)")
