"""`lab pause` stops the one process that is a host's kernel; here a shell stands in for it."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.errors import LabError
from lab.hosts import pausing
from lab.hosts.machine import Machine

pytestmark = pytest.mark.unit


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Machine]:
    """One whose kernel writes to its console again and again, below a keeper below what was started."""
    host = Machine(tmp_path / "101")
    (host.folder / "bin").mkdir(parents=True)
    kernel = host.folder / "bin" / "galera-1"
    kernel.symlink_to("/bin/sh")
    loop = "while :; do echo tick >>console.log; sleep 0.02; done"
    keeper = f"bin/galera-1 -c '{loop}' & wait"
    process = subprocess.Popen(["sh", "-c", f'sh -c "{keeper}" & wait'], cwd=host.folder, process_group=0)
    host.pid.write_text(f"{process.pid}\n")
    try:
        yield host
    finally:
        subprocess.run(["kill", "-KILL", "--", f"-{process.pid}"], check=True)
        process.wait()


def goes_on(host: Machine) -> bool:
    """Whether the console grows."""
    before = host.console.stat().st_size if host.console.exists() else 0
    end = time.monotonic() + 0.5
    while time.monotonic() < end:
        if host.console.exists() and host.console.stat().st_size > before + 5:
            return True
        time.sleep(0.01)
    return False


def test_a_paused_host_does_nothing_until_it_is_resumed(host: Machine) -> None:
    wait_until_it_runs(host)
    assert not pausing.paused(host)
    pausing.pause(host)
    pausing.pause(host)
    assert pausing.paused(host)
    time.sleep(0.05)  # what it had begun
    assert not goes_on(host)
    pausing.resume(host)
    assert not pausing.paused(host)
    assert goes_on(host)


def wait_until_it_runs(host: Machine) -> None:
    end = time.monotonic() + 20
    while not goes_on(host):
        assert time.monotonic() < end


def test_a_host_that_is_off_cannot_be_paused_and_is_not(tmp_path: Path) -> None:
    host = Machine(tmp_path)
    assert not pausing.paused(host)
    with pytest.raises(LabError, match="does not run"):
        pausing.pause(host)
