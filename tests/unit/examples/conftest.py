"""What the examples' programs read: the outputs of a cluster's stack."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.unit.program import run


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The program's own outputs, numbers as another stack reads them."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setenv("SL_USERNAME", "nobody")
    monkeypatch.setenv("SL_API_KEY", "marked-key")
    outputs = dict(run().outputs)
    outputs["galera"] = {**outputs["galera"], "port": float(outputs["galera"]["port"])}
    outputs["contractVersion"] = float(outputs["contractVersion"])
    return outputs
