"""The step that unlocks a manager after its reboot: the key goes from another manager through a pipe only."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from components import unlocking

pytestmark = pytest.mark.unit

KEY = "SWMKEY-1-marked"
# Plays each host by a folder: `state`, and `key` of a manager that tells it. What it is asked, it notes.
SSH = r"""#!/bin/bash
[[ "$1 $2 $3 $4" == "-F $SSH_FILES/config -o ConnectTimeout=20" ]] || { echo "ssh $*" >&2; exit 2; }
host=$HOSTS/$5 command=$6
printf '%s\n' "ssh $*" >>"$HOSTS/calls"
[[ -d $host ]] || exit 255
case $command in
  *LocalNodeState*)
    [[ ! -e $host/starts ]] || { rm "$host/starts"; exit 1; }
    cat "$host/state" ;;
  *unlock-key*) [[ $(<"$host/state") == active ]] && cat "$host/key" ;;
  *"swarm unlock"*)
    read -r given || exit 1
    [[ $given == "$(<"$host/needs")" ]] || exit 1
    echo active >"$host/state" ;;
  *) exit 2 ;;
esac
"""


@dataclass
class Hosts:
    """Three managers."""

    folder: Path

    def __post_init__(self) -> None:
        for name in ("galera-1", "galera-2", "galera-3"):
            (self.folder / name).mkdir(parents=True)
            self.put(name, state="active", key=KEY, needs=KEY)
        files = self.folder / "ssh/swarm-galera-dev"
        files.mkdir(parents=True)
        (files / "config").touch()
        programs = self.folder / "bin"
        programs.mkdir()
        (programs / "ssh").write_text(SSH)
        (programs / "ssh").chmod(0o755)
        (programs / "sleep").write_text("#!/bin/sh\n")
        (programs / "sleep").chmod(0o755)

    def put(self, name: str, **files: str) -> None:
        for file, text in files.items():
            (self.folder / name / file).write_text(f"{text}\n")

    def state(self, name: str) -> str:
        return (self.folder / name / "state").read_text().strip()

    @property
    def calls(self) -> str:
        noted = self.folder / "calls"
        return noted.read_text() if noted.exists() else ""

    def run(self) -> subprocess.CompletedProcess[str]:
        """The step on galera-1, as the plugin runs it."""
        text = unlocking.script("galera-1", ["galera-2", "galera-3"], "swarm-galera-dev")
        return subprocess.run(
            ["/bin/sh", "-c", 'step=x; eval "$(cat)"'],
            input=text,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
            env={
                "PATH": f"{self.folder}/bin:{os.environ['PATH']}",
                "HOME": str(self.folder),
                "HOSTS": str(self.folder),
                "SWARM_GALERA_SSH": f"{self.folder}/ssh",
                "SSH_FILES": f"{self.folder}/ssh/swarm-galera-dev",
            },
        )


@pytest.fixture
def hosts(tmp_path: Path) -> Hosts:
    return Hosts(tmp_path / "hosts")


def test_a_locked_manager_gets_the_key_of_another_one_and_nobody_sees_it(hosts: Hosts) -> None:
    hosts.put("galera-1", state="locked")
    ran = hosts.run()
    assert ran.returncode == 0, ran.stderr
    assert hosts.state("galera-1") == "active"
    assert "the key that galera-2 has told unlocks it" in ran.stderr
    assert KEY not in hosts.calls + ran.stdout + ran.stderr


def test_the_next_manager_is_asked_when_one_does_not_tell(hosts: Hosts) -> None:
    hosts.put("galera-1", state="locked")
    hosts.put("galera-2", state="locked")
    ran = hosts.run()
    assert ran.returncode == 0, ran.stderr
    assert "the key that galera-3 has told unlocks it" in ran.stderr


def test_an_engine_that_is_starting_is_waited_for(hosts: Hosts) -> None:
    hosts.put("galera-1", state="locked", starts="")
    assert hosts.run().returncode == 0
    assert hosts.state("galera-1") == "active"


@pytest.mark.parametrize("state", ["active", "inactive", "error"])
def test_one_that_is_not_locked_is_left_alone(hosts: Hosts, state: str) -> None:
    hosts.put("galera-1", state=state)
    ran = hosts.run()
    assert (ran.returncode, ran.stderr) == (0, "")
    assert "unlock" not in hosts.calls


def test_without_a_manager_that_tells_the_key_it_fails_with_the_remedy(hosts: Hosts) -> None:
    for name in ("galera-1", "galera-2", "galera-3"):
        hosts.put(name, state="locked")
    ran = hosts.run()
    assert ran.returncode == 1
    assert "galera-1 is locked, and no other manager tells the unlock key" in ran.stderr
    assert "Remedy: python -m operations unlock, then repeat" in ran.stderr
    assert hosts.state("galera-1") == "locked"


def test_an_engine_that_does_not_come_at_all_is_the_next_steps_business(
    hosts: Hosts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unlocking, "TRIES", 6)
    hosts.put("galera-1", state="")
    ran = hosts.run()
    assert ran.returncode == 0
    assert "waiting for the engine of galera-1" in ran.stderr
    assert hosts.calls.count("\n") == 6


def test_a_host_that_is_down_is_not_waited_for(hosts: Hosts) -> None:
    (hosts.folder / "galera-1").rename(hosts.folder / "away")
    ran = hosts.run()
    assert ran.returncode == 0
    assert "galera-1 does not answer" in ran.stderr
    assert hosts.calls.count("\n") == 3


def test_on_a_machine_without_the_ssh_files_nobody_looks(hosts: Hosts) -> None:
    (hosts.folder / "ssh/swarm-galera-dev/config").unlink()
    hosts.put("galera-1", state="locked")
    ran = hosts.run()
    assert ran.returncode == 0
    assert "there are no SSH files here" in ran.stderr
    assert hosts.calls == ""
