"""Fixtures of tests that talk to the lab's API with instant hosts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.lab_api import LabApi


@pytest.fixture
def lab_api(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LabApi]:
    """A lab's API of the test's own: empty, quick, on a free port of the loopback interface.

    `lab_api.endpoint`, `.username`, `.api_key`, `.environment`, `.client()`; `.fault(kind, …)`,
    `.durations(…)`; `.count(service, method)`, `.ordered`, `.guests()`, `.wait_idle(id)`; `.restart()`;
    `.backend` for the hosts.
    """
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    api = LabApi(tmp_path / "api")
    yield api
    api.stop()


@pytest.fixture
def client(lab_api: LabApi) -> Any:
    """The real SDK's client for `lab_api`."""
    return lab_api.client()


@pytest.fixture
def template() -> Callable[..., dict[str, Any]]:
    """A function that gives a valid createObject template; keyword arguments replace or add properties."""

    def make(**changes: Any) -> dict[str, Any]:
        base: dict[str, Any] = {
            "hostname": "galera-1",
            "domain": "example.com",
            "startCpus": 1,
            "maxMemory": 1024,
            "localDiskFlag": True,
            "hourlyBillingFlag": True,
            "operatingSystemReferenceCode": "DEBIAN_LATEST",
            "datacenter": {"name": "tor01"},
            "networkComponents": [{"maxSpeed": 100}],
            "blockDevices": [
                {"device": "0", "diskImage": {"capacity": 25}},
                {"device": "2", "diskImage": {"capacity": 25}},
            ],
        }
        merged = {**base, **changes}
        return {name: value for name, value in merged.items() if value is not None}

    return make
