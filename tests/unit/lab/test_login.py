"""`lab ssh`: which connection a login goes through, with a made-up ssh that notes how it was called."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lab import login, network, paths
from lab.hosts.backend import HostSpec, Interface
from lab.hosts.machine import Machine
from lab.paths import LabPaths

pytestmark = pytest.mark.unit

SPEC = HostSpec(
    id=4711,
    hostname="galera-1",
    domain="example.com",
    image="DEBIAN_LATEST",
    cores=1,
    memory=2048,
    disks=(25, 25),
    private=Interface("10.144.12.10", 24, "06:00:0a:90:0c:0a", "10.144.12.1"),
    public=None,
    ssh_keys=(),
)
SSH = """#!/bin/sh
case " $* " in
  *" -O check "*) echo check >>"$NOTED"; exec test -e "$2" ;;
  *" -fNM "*) echo "kept $2" >>"$NOTED"; : >"$2" ;;
esac
"""


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LabPaths:
    """A lab with the host, which is on."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/ssh").write_text(SSH)
    (tmp_path / "bin/ssh").chmod(0o755)
    (tmp_path / "noted").touch()
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:/usr/bin:/bin")
    monkeypatch.setenv("NOTED", str(tmp_path / "noted"))
    monkeypatch.setattr(network, "command", lambda _namespace, argv: list(argv))
    monkeypatch.setattr(login, "LONGEST", 1000)  # pytest's folders have long names
    made = paths.at(tmp_path / "lab")
    made.ssh.mkdir(parents=True)
    machine = Machine(made.hosts / str(SPEC.id))
    machine.mconsole.parent.mkdir(parents=True)
    key = machine.seed / "etc/ssh/ssh_host_ed25519_key.pub"
    key.parent.mkdir(parents=True)
    key.write_text("ssh-ed25519 AAAA of the host\n")
    return made


def noted(lab: LabPaths) -> list[str]:
    return (lab.root.parent / "noted").read_text().splitlines()


def test_further_logins_go_through_the_connection_of_the_first(lab: LabPaths) -> None:
    words = login.through_kept(lab, SPEC)
    assert login.through_kept(lab, SPEC) == words
    assert words[:2] == ["ssh", "-S"]
    assert words[-1] == "root@10.144.12.10"
    assert noted(lab) == ["check", f"kept {words[2]}", "check"]


def test_a_host_that_was_restarted_is_not_asked_through_a_connection_to_what_it_was(lab: LabPaths) -> None:
    before = login.through_kept(lab, SPEC)[2]
    os.utime(Machine(lab.hosts / str(SPEC.id)).mconsole.parent, ns=(1, 1))
    assert login.through_kept(lab, SPEC)[2] != before
    assert [line for line in noted(lab) if line.startswith("kept")][1] != f"kept {before}"


def test_a_connection_that_ended_is_made_anew(lab: LabPaths) -> None:
    words = login.through_kept(lab, SPEC)
    Path(words[2]).unlink()
    assert login.through_kept(lab, SPEC) == words
    assert noted(lab) == ["check", f"kept {words[2]}"] * 2


@pytest.mark.parametrize("why", ["it is off", "the lab has a long name"])
def test_without_a_place_for_it_a_login_is_one_by_itself(
    lab: LabPaths, monkeypatch: pytest.MonkeyPatch, why: str
) -> None:
    if why == "it is off":
        Machine(lab.hosts / str(SPEC.id)).mconsole.parent.rmdir()
    else:
        monkeypatch.setattr(login, "LONGEST", 10)
    assert login.through_kept(lab, SPEC) == login.words(lab, SPEC)
    assert noted(lab) == []


def test_it_comes_from_where_no_filter_applies_and_knows_the_hosts_key(lab: LabPaths) -> None:
    words = login.words(lab, SPEC)
    assert words[words.index("-b") + 1] == str(network.CONSOLE)
    assert "StrictHostKeyChecking=yes" in words
    assert (lab.ssh / "known_hosts-4711").read_text() == "10.144.12.10 ssh-ed25519 AAAA\n"
