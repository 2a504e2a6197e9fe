"""An engine starts with every option of daemon.json that the settings let through, and not with others."""

from __future__ import annotations

import json
from typing import Any

import pytest

from settings import engine_options
from tests.support import docker_engine

pytestmark = pytest.mark.plugins

TAKEN: dict[str, Any] = {
    "allow-nondistributable-artifacts": ["registry.example.com:5000"],
    "debug": True,
    "default-cgroupns-mode": "private",
    "default-ipc-mode": "private",
    "default-shm-size": "128M",
    "default-ulimits": {"nofile": {"Name": "nofile", "Soft": 65536, "Hard": 65536}},
    "dns-opts": ["timeout:1"],
    "dns-search": ["example.com"],
    "experimental": True,
    "features": {"buildkit": True},
    "icc": True,
    "log-level": "debug",
    "max-concurrent-downloads": 3,
    "max-concurrent-uploads": 3,
    "max-download-attempts": 3,
    "metrics-addr": "127.0.0.1:9323",
    "mtu": 1400,
    "network-control-plane-mtu": 1400,
    "node-generic-resources": ["gpu=1"],
    "oom-score-adjust": -500,
    "raw-logs": True,
    "shutdown-timeout": 30,
    "userland-proxy": True,
}


def started_with(options: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What an engine with this daemon.json says of itself; RuntimeError if it does not start."""
    shell = docker_engine.RUN_ENGINE
    assert 'echo "{}"' in shell
    monkeypatch.setattr(
        docker_engine, "RUN_ENGINE", shell.replace('echo "{}"', f"echo '{json.dumps(options)}'")
    )
    with docker_engine.engine() as engine:
        told: dict[str, Any] = engine.client.info()
        return told


def test_an_engine_starts_with_all_options_that_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    assert set(TAKEN) == set(engine_options.ALLOWED)
    assert list(engine_options.problems(TAKEN)) == []
    told = started_with(TAKEN, monkeypatch)
    assert told["Debug"] is True
    assert told["ExperimentalBuild"] is True


def test_an_engine_does_not_start_with_an_option_that_it_does_not_know(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(docker_engine, "_START", 8)
    with pytest.raises(RuntimeError, match="debugg"):
        started_with({"debugg": True}, monkeypatch)
