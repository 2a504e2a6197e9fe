"""The volume of `galera.dataPath` on a real engine: no container starts without its data, none loses it."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import pytest

from components.host_scripts import data_path
from tests.support.docker_engine import IMAGE, TestEngine

pytestmark = pytest.mark.plugins

DEVICE = '{{index .Options "device"}}'
WHERE = '{{or (index .Options "device") .Mountpoint}}'


def tried(swarm: TestEngine, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["docker", *words], env=swarm.environment, capture_output=True, text=True, check=False
    )


def docker(swarm: TestEngine, *words: str) -> str:
    done = tried(swarm, *words)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def write(swarm: TestEngine, text: str) -> subprocess.CompletedProcess[str]:
    """A container that appends a line to a file in the volume."""
    words = ("run", "--rm", "--network", "none", "-v", "galera-data:/var/lib/mysql", IMAGE)
    return tried(swarm, *words, "/bin/sh", "-c", f"echo {text} >>/var/lib/mysql/rows")


@pytest.fixture
def path(swarm: TestEngine, tmp_path: Path) -> Path:
    """The folder that the mount would hide, and the volume as the step on the host makes it."""
    path = tmp_path / "srv/mariadb"
    path.mkdir(parents=True)
    words = data_path.prepare("h", "/p", "v").partition("create=(docker ")[2].partition(")")[0]
    docker(swarm, *words.split(), "--opt", f"device={data_path.device(str(path))}", "galera-data")
    return path


def test_without_its_mount_no_container_starts_and_with_it_the_rows_are_there(
    swarm: TestEngine, path: Path
) -> None:
    assert docker(swarm, "volume", "inspect", "--format", DEVICE, "galera-data") == f"{path}/data"
    assert docker(swarm, "volume", "inspect", "--format", WHERE, "galera-data") == f"{path}/data"
    refused = write(swarm, "lost")
    assert refused.returncode != 0
    assert "no such file or directory" in refused.stderr
    assert list(path.iterdir()) == []
    (path / "data").mkdir()
    assert write(swarm, "one").returncode == 0
    # A service that only names the volume gets the same one.
    mount = "type=volume,source=galera-data,target=/var/lib/mysql"
    writes = "echo two >>/var/lib/mysql/rows; trap exit TERM; sleep 1000 & wait"
    docker(
        swarm,
        "service",
        "create",
        "--detach",
        "--name",
        "db",
        "--mount",
        mount,
        IMAGE,
        "/bin/sh",
        "-c",
        writes,
    )
    deadline = time.monotonic() + 60
    while (path / "data/rows").read_text() != "one\ntwo\n":
        assert time.monotonic() < deadline, docker(swarm, "service", "ps", "--no-trunc", "db")
        time.sleep(0.2)
    docker(swarm, "service", "rm", "db")
    # What prune takes is the volume, never the rows.
    while tried(swarm, "volume", "rm", "galera-data").returncode:
        assert time.monotonic() < deadline, "the volume is still in use"
        docker(swarm, "container", "prune", "--force")
        time.sleep(0.2)
    assert (path / "data/rows").read_text() == "one\ntwo\n"


def test_a_volume_of_the_engines_own_is_told_from_one_with_a_path(swarm: TestEngine) -> None:
    docker(swarm, "volume", "create", "plain")
    assert docker(swarm, "volume", "inspect", "--format", DEVICE, "plain") == ""
    assert docker(swarm, "volume", "inspect", "--format", WHERE, "plain").endswith("/volumes/plain/_data")
    docker(swarm, "volume", "rm", "plain")
