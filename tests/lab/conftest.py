"""Whose plugins the whole job runs with; one lab and one stack for it and all outages.

Bringing a stack up takes longer than most outages, each of which leaves it whole. The last one destroys it:
test_end.py.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from lab.toolchain import plugins
from tests.lab.whole_cluster import add_balancer, empty_lab, make, one_cluster, sql, wait_for


def pytest_report_header() -> str:
    """In `pytest`'s header."""
    return f"Pulumi's plugins: {plugins.told()}"


@pytest.fixture(scope="session")
def lab() -> Iterator[None]:
    """A lab that is empty when the first test sees it, and gone after the last one."""
    with empty_lab():
        yield


@pytest.fixture(scope="session")
def stack(lab: None) -> None:
    """A stack that is up, with a load balancer: made now, unless the whole job has made it without one."""
    add_balancer()
    make("up")


@pytest.fixture(scope="module")
def cluster(stack: None) -> None:
    """Three Synced nodes, with an empty table `kept.row` that no other file's tests have seen."""
    wait_for("three Synced nodes", one_cluster)
    sql("galera-1", "DROP DATABASE IF EXISTS kept; CREATE DATABASE kept")
    sql("galera-1", "CREATE TABLE kept.row (n INT PRIMARY KEY)")
