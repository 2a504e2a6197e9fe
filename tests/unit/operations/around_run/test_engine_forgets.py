"""What an engine forgets when it is restarted because it is ill: ports of containers that have gone."""

from __future__ import annotations

from pathlib import Path

import pytest

from components.host_scripts.shell import assign, body
from operations.remote_hosts import SCRIPTS
from tests.unit.fake_host import FakeHost, Ran

pytestmark = pytest.mark.unit

STOPPED = "stop docker.socket docker.service"
SYSTEMD = f"""case $* in
  "{STOPPED}") touch "$host/stopped" ;;
  "-q is-active docker.service") [[ ! -e $host/stopped ]] ;;
esac"""


def restarted(folder: Path, docker: str, systemd: str = SYSTEMD) -> tuple[Ran, bool]:
    """What a restart calls, and whether the store is there afterwards."""
    host = FakeHost(folder / "host")
    store = host.file("local-kv.db", "a port")
    host.program("docker", docker)
    host.program("systemctl", systemd)
    forgetting = f"{assign(store=str(store))}\n{body('engine_forgets', SCRIPTS)}"
    ran = host.run(f"{forgetting}\nsystemctl reset-failed docker.service\nsystemctl restart docker.service")
    assert ran.code == 0, ran.err
    assert ran.called("systemctl")[0] == "systemctl reset-failed docker.service"
    assert ran.called("systemctl")[-1] == "systemctl restart docker.service"
    return ran, store.exists()


@pytest.mark.parametrize("docker", ["echo docker_gwbridge", ":"])
def test_a_restart_frees_the_ports_of_containers_that_have_gone(tmp_path: Path, docker: str) -> None:
    ran, there = restarted(tmp_path, docker)
    assert f"systemctl {STOPPED}" in ran.calls
    assert not there


@pytest.mark.parametrize(
    ("docker", "systemd"),
    [
        pytest.param("printf '%s\\n' docker_gwbridge somebodys", SYSTEMD, id="a network of somebody's"),
        pytest.param("exit 1", SYSTEMD, id="an engine that does not say"),
        pytest.param("echo docker_gwbridge", ":", id="an engine that does not stop"),
    ],
)
def test_the_store_stays_where_it_may_be_needed(tmp_path: Path, docker: str, systemd: str) -> None:
    _, there = restarted(tmp_path, docker, systemd)
    assert there
