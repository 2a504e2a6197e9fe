"""What tests share that run the program with mocks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest


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
