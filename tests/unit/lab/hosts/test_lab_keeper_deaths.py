"""A kernel that dies is booted again: real kernels of this machine's own files, and their keeper."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from lab import cli, paths
from lab.hosts import kernel, lifesigns, machine, mconsole
from lab.hosts.lifesigns import LifeSigns
from lab.hosts.machine import Machine
from lab.hosts.uml import UmlBackend
from lab.lifecycle import HostStatus
from tests.unit.lab.hosts.test_lab_hosts import SPEC

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parents[4]
KEEPER = f"""
import sys
sys.path.insert(0, {str(ROOT)!r})
from lab.hosts import keeper, lifesigns
lifesigns.PATIENCE = 1.0
sys.exit(keeper.main())
"""
PANIC = "Kernel panic - not syncing"
LIMIT = 180.0  # seconds, beside whatever else this machine does


@pytest.fixture
def host(tmp_path: Path) -> Machine:
    """In a lab's folder, with what the keeper needs."""
    made = Machine(tmp_path / "lab/hosts/4711")
    made.folder.mkdir(parents=True)
    machine.save(made.spec_file, SPEC)
    made.powered.touch()
    return made


def real_kernel(host: Machine, script: str) -> None:
    """Have the host boot Debian 12's kernel, whose first process is the script, on this machine's own files.

    There `$console` is the host's, in which the ends of former boots are.
    """
    found = kernel.older(host.folder)
    init = host.folder / "init"
    init.write_text(f"#!/bin/sh\nmount -t proc proc /proc\nconsole={host.console}\n{script}\n")
    init.chmod(0o755)
    words = [str(found.program), "mem=64M", "root=/dev/root", "rootfstype=hostfs", "rootflags=/", "ro"]
    words += [f"init={init}", "con0=null,fd:1", "con=null", "ssl=null", "panic=1", "quiet"]
    words += [f"uml_dir={host.run.name}/", f"umid={machine.UMID}"]
    boots(host, words, {"PATH": os.defpath, "HOME": str(host.folder), "LD_PRELOAD": str(found.registers)})


def boots(host: Machine, words: list[str], environment: dict[str, str]) -> None:
    host.boot.write_text(json.dumps({"argv": words, "env": environment}))


def kept(host: Machine) -> subprocess.Popen[bytes]:
    """The keeper, as the lab starts it but for its patience."""
    with host.lock.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        words = [*kernel.APART, sys.executable, "-c", KEEPER, str(host.folder), str(lock.fileno())]
        return subprocess.Popen(words, pass_fds=(lock.fileno(),), stdin=subprocess.DEVNULL)


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + LIMIT
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def children(pid: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def log(host: Machine) -> list[str]:
    return host.log.read_text().splitlines() if host.log.exists() else []


ENDED = 'grep -q "the kernel ended" "$console"'


def test_a_kernel_that_panics_boots_again_and_a_power_off_is_one(host: Machine, tmp_path: Path) -> None:
    real_kernel(host, f"if {ENDED}; then echo o; else echo c; fi >/proc/sysrq-trigger; sleep 60")
    assert kept(host).wait(LIMIT) == 0
    said = host.console.read_text()
    assert said.count("-- the kernel ended with code") == 2
    assert said.index(f"{PANIC}: sysrq triggered crash") < said.index("-- the kernel ended with code -6")
    assert "-- the kernel ended with code 0" in said
    (line,) = log(host)
    assert " galera-1 (host 4711): the kernel has died: " in line
    assert line.endswith(f"{PANIC}: sysrq triggered crash (code -6); it boots again")
    assert not host.powered.exists()
    assert UmlBackend(tmp_path / "lab").deaths(4711) == 1


def test_a_kernel_that_says_panic_and_answers_nobody_is_ended_and_boots_again(host: Machine) -> None:
    said = "Received SIGSEGV in SIGSEGV handler, aborting stack trace!"
    real_kernel(
        host,
        f'if {ENDED}; then echo o >/proc/sysrq-trigger; else echo "<2>{said}" >/dev/kmsg; fi; sleep 60',
    )
    keeper = kept(host)
    until(lambda: host.console.exists() and said in host.console.read_text())
    # As it has been seen: the process is there, and does nothing more.
    (first,) = children(keeper.pid)
    (dead,) = children(first)
    os.kill(dead, signal.SIGSTOP)
    assert keeper.wait(LIMIT) == 0
    (line,) = log(host)
    assert line.endswith(f"{said} (code -9); it boots again")
    assert "-- the kernel ended with code 0" in host.console.read_text()


def test_a_kernel_that_only_speaks_of_a_panic_is_left_alone(host: Machine) -> None:
    real_kernel(
        host, f'echo "<2>{PANIC}: they say" >/dev/kmsg; sleep 4; echo o >/proc/sysrq-trigger; sleep 60'
    )
    assert kept(host).wait(LIMIT) == 0
    assert f"{PANIC}: they say" in host.console.read_text()
    assert log(host) == []
    assert host.console.read_text().count("-- the kernel ended") == 1


def test_a_kernel_that_never_comes_up_is_given_up_and_tried_again_by_the_next_up(
    host: Machine, tmp_path: Path
) -> None:
    boots(host, ["/bin/sh", "-c", f"echo '{PANIC}: no root'; exit 3"], {"PATH": os.defpath})
    assert kept(host).wait(LIMIT) == 1
    assert [line.partition("; ")[2] for line in log(host)] == [
        "it boots again",
        "it boots again",
        "3 times in a row soon after a boot, so the host stays off",
    ]
    assert all(f"{PANIC}: no root (code 3)" in line for line in log(host))
    assert host.powered.exists()
    assert UmlBackend(tmp_path / "lab").deaths(4711) == 3


def test_words_that_come_in_pieces_are_read_and_those_of_a_former_boot_are_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    console = tmp_path / "console.log"
    console.write_text(f"{PANIC}: of a former boot\n")
    signs = LifeSigns(console, tmp_path / "nobody")
    now = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now)

    def say(text: str) -> bool:
        with console.open("a") as file:
            file.write(text)
        return signs.lost()

    assert not say("systemd says\n")
    assert not say("Kernel pan")
    assert signs.words == ""
    assert not say("ic - not syncing: Segfault with no mm\nCPU: 0\n")
    assert signs.words == f"{PANIC}: Segfault with no mm"
    now += lifesigns.PATIENCE
    assert not say("")
    now += 0.1
    assert say("")
    console.unlink()
    assert signs.lost()


def test_a_kernel_that_answers_has_taken_its_words_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    console = tmp_path / "console.log"
    console.touch()
    signs = LifeSigns(console, tmp_path / "socket")
    answers = iter([False, True, False])

    def ask(_path: Path, command: str, _timeout: float) -> str:
        assert command == "version"
        if not next(answers):
            raise mconsole.MconsoleError("nobody")
        return "OK"

    monkeypatch.setattr(mconsole, "ask", ask)
    monkeypatch.setattr(lifesigns, "PATIENCE", 0.0)
    console.write_text(f"{PANIC}: first\n")
    assert not signs.lost()
    assert not signs.lost()
    assert not signs.lost(), "asked, though nothing new was said"
    with console.open("a") as file:
        file.write(f"{PANIC}: second\n")
    assert not signs.lost()
    assert (signs.words, next(answers, None)) == (f"{PANIC}: second", None)


def test_the_status_of_a_host_says_what_its_power_does_not(tmp_path: Path) -> None:
    def told(power: str, ssh: bool, deaths: int) -> str:
        found = HostStatus(4711, "galera-1", "10.144.12.10", None, power, ssh, 2048, (25, 25), deaths)
        return cli._state(found, paths.at(tmp_path / "lab"))

    assert told("RUNNING", True, 0) == "RUNNING, ssh answers"
    assert told("RUNNING", False, 0) == "RUNNING, [yellow]ssh does not answer[/yellow]"
    assert told("HALTED", False, 0) == "HALTED"
    assert "its kernel died once[/red]: see" in told("RUNNING", True, 1)
    assert told("HALTED", False, 3) == (
        f"HALTED, [red]its kernel died 3 times[/red]: see {tmp_path}/lab/logs/hosts.log"
    )
