"""What tests share that run the program with mocks, and what makes such a run shorter."""

from __future__ import annotations

import logging
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from pulumi.runtime import resource
from pulumi.runtime.proto import source_pb2


@pytest.fixture(scope="session", autouse=True)
def nobody_asks_where_a_resource_is_made() -> Iterator[None]:
    """The SDK reads the stack of calls for each of them: a seventh of a run of the program with mocks."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(resource, "_get_stack_trace", source_pb2.StackTrace)
        yield


def without_its_traceback(record: logging.LogRecord) -> bool:
    """The message has the error already."""
    record.exc_info = None
    return True


@pytest.fixture(scope="session", autouse=True)
def a_lost_task_is_told_in_a_line() -> Iterator[None]:
    """A refused program leaves tasks that nobody awaits; asyncio tells of them when they are collected.

    That can be in the midst of another test's `ast.parse`. Python 3.11 parses the lines of a traceback, too,
    to mark what failed in them, and ends the outer one with "AST constructor recursion depth mismatch".
    """
    log = logging.getLogger("asyncio")
    log.addFilter(without_its_traceback)
    yield
    log.removeFilter(without_its_traceback)


@pytest.fixture(autouse=True)
def signals_are_as_before() -> Iterator[None]:
    """A program sets them for as long as it runs; its `main` in a test would for all tests after it."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where the program writes its SSH files, and credentials that are never used."""
    folder = tmp_path_factory.mktemp("state")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(folder))
        patch.delenv("SWARM_GALERA_SSH", raising=False)
        patch.setenv("SL_USERNAME", "nobody")
        patch.setenv("SL_API_KEY", "marked-key")
        yield folder
