"""A node's program without the database's client library, which is the image's: a stand-in of its name.

What needs a real server is in tests/images.
"""

from __future__ import annotations

import importlib
import signal
import sys
import types
from collections.abc import Iterator
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

import pytest

from images.galera.galera_node.settings import SECRETS, Settings

PACKAGE = "images.galera.galera_node"
CLIENTS = (
    "sql",
    "formation",
    "component",
    "departure",
    "silence",
    "endpoints",
    "observer",
    "reports",
    "parts",
    "own_data",
    "orderly_stop",
    "watch",
    "attempt",
    "supervisor",
)
"""The modules that load the client library, each after those that it uses."""


@pytest.fixture
def modules(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """These modules by name, loaded anew; their signal handlers are taken back."""
    client = types.ModuleType("pymysql")
    client.Error = Exception  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "pymysql", client)
    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD)
    before = [signal.getsignal(number) for number in numbers]
    for name in CLIENTS:
        monkeypatch.delitem(sys.modules, f"{PACKAGE}.{name}", raising=False)
    yield types.SimpleNamespace(**{name: importlib.import_module(f"{PACKAGE}.{name}") for name in CLIENTS})
    for name in CLIENTS:
        sys.modules.pop(f"{PACKAGE}.{name}", None)
    signal.set_wakeup_fd(-1)
    for number, handler in zip(numbers, before, strict=True):
        signal.signal(number, handler)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    (tmp_path / "data").mkdir()
    for name in SECRETS:
        (tmp_path / name).write_text("secret\n")
    return Settings(
        node="a",
        cluster="galera",
        size=3,
        peers="no.such.name.invalid",
        store="etcd://etcd:2381",
        subnet=IPv4Network("127.0.0.0/8"),
        database="app",
        data_dir=tmp_path / "data",
        run_dir=tmp_path / "run",
        secrets=tmp_path,
        stop_grace=30.0,
    )
