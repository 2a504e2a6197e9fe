"""What is loaded into the hosts' kernel, and its trial: with real processes, traced as the kernel traces."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from lab.errors import LabError
from lab.hosts import kernel
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


def test_the_real_kernel_runs_here(tmp_path: Path) -> None:
    step = Step("kernel", tmp_path / "log", Terminal())
    assert kernel.ensure(step, tmp_path).is_file()


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


def kernels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    def install(text: str) -> None:
        program = tmp_path / "linux"
        program.write_text(f"#!/bin/sh\n{text}", encoding="utf-8")
        program.chmod(0o755)
        monkeypatch.setattr(kernel, "KERNEL", program)

    return install


def test_a_kernel_that_panics_is_refused_with_its_last_words(
    tmp_path: Path, library: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kernels(tmp_path, monkeypatch)(PANIC)
    with pytest.raises(LabError, match=r"does not run on this machine.*ptrace set fp regs failed") as caught:
        kernel.try_out(library)
    assert "606944ba" not in str(caught.value)


def test_a_kernel_that_hangs_is_refused(
    tmp_path: Path, library: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kernel, "TRIAL", 0.5)
    kernels(tmp_path, monkeypatch)("exec sleep 60")
    with pytest.raises(LabError, match=r"did not end in 0\.5 s"):
        kernel.try_out(library)


def test_no_kernel_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel, "KERNEL", tmp_path / "none")
    with pytest.raises(LabError, match="user-mode-linux"):
        kernel.ensure(Step("kernel", tmp_path / "log", Terminal()), tmp_path)
