"""What prune does to a node's data, on a real engine: docs/how-to/operations.md, "Volumes and prune"."""

from __future__ import annotations

import subprocess

import pytest

from tests.support.docker_engine import IMAGE, TestEngine

pytestmark = pytest.mark.plugins


def docker(swarm: TestEngine, *words: str) -> str:
    done = subprocess.run(
        ["docker", *words], env=swarm.environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def volumes(swarm: TestEngine) -> list[str]:
    return docker(swarm, "volume", "ls", "-q").split()


HOLD = ("--restart", "always", "--name", "hold-volumes", "--network", "none", "--entrypoint", "/bin/sleep")
MOUNTS = ("-v", "galera-data:/var/lib/mysql:ro", "-v", "etcd-data:/etcd:ro")


def test_prune_spares_the_volumes_that_a_running_container_holds_and_no_others(swarm: TestEngine) -> None:
    prune = ("system", "prune", "--force", "--volumes")
    # Nobody has it, as on a drained host.
    docker(swarm, "volume", "create", "galera-data")
    docker(swarm, "system", "prune", "--force")
    assert volumes(swarm) == ["galera-data"]
    docker(swarm, *prune)
    assert volumes(swarm) == []
    # A stopped container goes first, and then what it held.
    docker(swarm, "create", *HOLD, *MOUNTS, IMAGE, "1000")
    docker(swarm, *prune)
    assert volumes(swarm) == []
    # A running one, as documented, keeps them.
    docker(swarm, "run", "--detach", *HOLD, *MOUNTS, IMAGE, "1000")
    try:
        docker(swarm, *prune)
        assert sorted(volumes(swarm)) == ["etcd-data", "galera-data"]
    finally:
        docker(swarm, "rm", "--force", "hold-volumes")
        docker(swarm, "volume", "prune", "--force")
