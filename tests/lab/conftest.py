"""Whose plugins the whole job runs with; one lab and one stack for it and all outages.

Bringing a stack up takes longer than most outages, each of which leaves it whole. The last one destroys it:
test_end.py.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from lab.toolchain import plugins
from tests.lab.whole_cluster import (
    SETTINGS,
    add_balancer,
    empty_lab,
    make,
    one_cluster,
    put_right,
    sql,
    wait_for,
)


def pytest_report_header() -> str:
    """In `pytest`'s header."""
    return f"Pulumi's plugins: {plugins.told()}"


@pytest.fixture(scope="session")
def lab() -> Iterator[None]:
    """A lab that is empty when the first test sees it, and gone after the last one."""
    with empty_lab():
        yield


@pytest.fixture(scope="session")
def stack(lab: None) -> str:
    """A stack that is up, with a load balancer: made now, unless the whole job has made it without one. Its
    settings then.
    """
    add_balancer()
    make("up")
    return SETTINGS.read_text()


@pytest.fixture(scope="module")
def cluster(stack: str, request: pytest.FixtureRequest) -> None:
    """Three Synced nodes, with an empty table `kept.row` that no other file's tests have seen.

    What a test that failed has left of it is put right first: an hour of others may come after it.
    """
    if request.session.testsfailed:
        put_right(stack)
    wait_for("three Synced nodes", one_cluster)
    sql("galera-1", "DROP DATABASE IF EXISTS kept; CREATE DATABASE kept")
    sql("galera-1", "CREATE TABLE kept.row (n INT PRIMARY KEY)")
