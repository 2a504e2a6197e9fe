"""What tests share that run the program with mocks, and what makes such a run shorter."""

from __future__ import annotations

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
