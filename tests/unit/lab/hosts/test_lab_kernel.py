"""What is loaded into the hosts' kernel, and its trial: with real processes, traced as the kernel traces."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from lab.errors import LabError
from lab.hosts import debian13, kernel
from lab.hosts.kernel import Kernel
from lab.toolchain.stages import Step, Terminal

pytestmark = pytest.mark.unit

# Takes a stopped child's registers, changes XMM1 and gives back the first `length` bytes only, as user-mode
# Linux 6.1 does where the machine has more. 576 bytes are x87, SSE and the header: less than any x86-64 has.
TRACER = """
import ctypes, os, signal, sys

GETREGSET, SETREGSET, TRACEME, XSTATE = 0x4204, 0x4205, 0, 0x202
XMM1 = slice(176, 192)
libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p]

class Span(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("length", ctypes.c_size_t)]

def ask(request, memory, length):
    span = Span(ctypes.addressof(memory), length)
    ctypes.set_errno(0)
    if libc.ptrace(request, child, XSTATE, ctypes.addressof(span)) < 0:
        sys.exit(ctypes.get_errno())
    return span.length

child = os.fork()
if child == 0:
    libc.ptrace(TRACEME, 0, None, None)
    os.kill(os.getpid(), signal.SIGSTOP)
    os._exit(0)
os.waitpid(child, 0)
before = (ctypes.c_ubyte * 65536)()
full = ask(GETREGSET, before, len(before))
before[XMM1] = list(range(16))
before[512] |= 2  # SSE is in use
length = int(sys.argv[1]) or full
ask(SETREGSET, before, length)
after = (ctypes.c_ubyte * 65536)()
assert ask(GETREGSET, after, len(after)) == full
assert after[XMM1] == list(range(16)), after[XMM1]
assert after[512] & 2
if length < full:
    assert not after[512] & ~3, "what was not handed over is in its initial state"
os.kill(child, signal.SIGKILL)
"""
EFAULT = 14


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return kernel.library(tmp_path_factory.mktemp("kernel"))


def trace(length: int, preload: Path | None) -> int:
    environment = {**os.environ, **({} if preload is None else {"LD_PRELOAD": str(preload)})}
    done = subprocess.run([sys.executable, "-c", TRACER, str(length)], env=environment, check=False)
    return done.returncode


def test_the_machine_refuses_registers_that_are_not_whole() -> None:
    assert trace(576, None) == EFAULT


@pytest.mark.parametrize("length", [576, 0], ids=["some", "all"])
def test_the_library_completes_them(library: Path, length: int) -> None:
    assert trace(length, library) == 0


def test_less_than_the_header_is_refused_with_the_library_too(library: Path) -> None:
    assert trace(512, library) == EFAULT


def test_it_is_compiled_once(tmp_path: Path) -> None:
    first = kernel.library(tmp_path)
    made = first.stat().st_ino
    assert kernel.library(tmp_path) == first
    assert first.stat().st_ino == made
    assert [path.name for path in tmp_path.iterdir()] == [first.name]


def test_without_a_compiler_it_says_which_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(LabError, match="gcc"):
        kernel.library(tmp_path)


# ---- which kernel


@pytest.fixture
def step(tmp_path: Path) -> Step:
    return Step("kernel", tmp_path / "log", Terminal())


def test_debian_12s_kernel_runs_here(step: Step, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(kernel.CHOICE, "debian-12")
    found = kernel.ensure(step, tmp_path)
    assert found.program == kernel.PROGRAM
    assert step.note.startswith(f"{found.release} of Debian 12, as ")


OK = "echo 'Kernel panic - not syncing: Attempted to kill init! exitcode=0x00000000'"
PANIC = """cat <<'END'
mmapper_init - find_iomem failed
userspace - ptrace set fp regs failed, errno = 14
Kernel panic - not syncing: Attempted to kill init! exitcode=0x0000000b
CPU: 0 PID: 1 Comm: init Not tainted 6.1.176 #1
Stack:
 606944ba 607e7fcd 9f08bb90 6067bb96
END
exit 134
"""


def program(folder: Path, text: str) -> tuple[Path, Path]:
    """A kernel that does what the shell text says, and its folder of modules."""
    path = folder / "linux.uml"
    (folder / "modules/9.9.9").mkdir(parents=True)
    path.write_text(f"#!/bin/sh\n{text}", encoding="utf-8")
    path.chmod(0o755)
    return path, folder / "modules/9.9.9"


@pytest.fixture
def older(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """In the place of Debian 12's: one that runs."""
    path, modules = program(tmp_path / "older", OK)
    monkeypatch.setattr(kernel, "PROGRAM", path)
    monkeypatch.setattr(kernel, "MODULES", modules.parent)
    return path


def newer(monkeypatch: pytest.MonkeyPatch, folder: Path, text: str) -> Path:
    """In the place of Debian 13's."""
    path, modules = program(folder / "newer", text)
    monkeypatch.setattr(debian13, "ensure", lambda _step, _home: (path, modules))
    return path


def test_the_newer_kernel_is_taken_where_it_runs(
    step: Step, tmp_path: Path, older: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = newer(monkeypatch, tmp_path, OK)
    assert kernel.ensure(step, tmp_path).program == path
    assert step.note == "9.9.9"


def test_the_older_one_is_taken_where_the_newer_does_not_run(
    step: Step, tmp_path: Path, older: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    newer(monkeypatch, tmp_path, PANIC)
    assert kernel.ensure(step, tmp_path).program == older
    assert "ptrace set fp regs failed" in step.note


def test_the_older_one_is_taken_where_the_newer_cannot_be_fetched(
    step: Step, tmp_path: Path, older: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(debian13, "ARCHIVE", "http://127.0.0.1:9/debian")
    assert kernel.ensure(step, tmp_path).program == older
    assert "Debian 13's kernel cannot be had" in step.note
    assert not list(tmp_path.glob("trixie-*[0-9]")), "half a download is none"


def test_whoever_asks_for_the_newer_one_gets_no_other(
    step: Step, tmp_path: Path, older: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(kernel.CHOICE, "debian-13")
    newer(monkeypatch, tmp_path, PANIC)
    with pytest.raises(LabError, match="does not run on this machine"):
        kernel.ensure(step, tmp_path)


def test_another_choice_is_refused(step: Step, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(kernel.CHOICE, "6.12")
    with pytest.raises(LabError, match="must be debian-12, debian-13 or unset"):
        kernel.ensure(step, tmp_path)


def test_no_kernel_is_one_sentence(step: Step, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(debian13, "ARCHIVE", "http://127.0.0.1:9/debian")
    monkeypatch.setattr(kernel, "PROGRAM", tmp_path / "none")
    with pytest.raises(LabError, match="user-mode-linux"):
        kernel.ensure(step, tmp_path)


def test_apts_own_configuration_touches_nothing_of_the_machines(tmp_path: Path) -> None:
    lines = debian13.apt_configuration(tmp_path).splitlines()
    places = [line for line in lines if line.startswith("Dir::")]
    assert len(places) == 7
    assert all(str(tmp_path) in line or "/dev/null" in line for line in places)


# ---- the trial


def test_a_kernel_that_panics_is_refused_with_its_last_words(tmp_path: Path, library: Path) -> None:
    with pytest.raises(LabError, match=r"does not run on this machine.*ptrace set fp regs failed") as caught:
        kernel.try_out(Kernel(*program(tmp_path, PANIC), library))
    assert "606944ba" not in str(caught.value)


def test_a_kernel_that_hangs_is_refused(
    tmp_path: Path, library: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kernel, "TRIAL", 0.5)
    with pytest.raises(LabError, match=r"did not end in 0\.5 s"):
        kernel.try_out(Kernel(*program(tmp_path, "exec sleep 60"), library))
