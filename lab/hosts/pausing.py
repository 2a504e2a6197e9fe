"""A host that stands still, as when its hypervisor moves it: `lab pause` and `lab resume`.

Owned here: which of the machine's processes that is, its stop and its going on. Left to others: which hosts
there are (`uml.py`), the kernel's life (`keeper.py`).

Stopped is the kernel itself, by SIGSTOP. Its processes wait for it at their next system call or interrupt, so
nothing of the host goes on, and nothing is lost; its clock jumps when it goes on, as that of a moved host
does. A host that is switched off meanwhile dies as any other.
"""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from lab.errors import LabError
from lab.hosts.machine import Machine

PROC = Path("/proc")
SOON = 10.0  # seconds in which a process that gets the signal must have stopped


def pause(host: Machine) -> None:
    """It stands still until `resume`; a second time changes nothing. LabError if it does not run."""
    kernel = _kernel(host)
    os.kill(kernel, signal.SIGSTOP)
    end = time.monotonic() + SOON
    while _state(kernel) != "T":
        if time.monotonic() > end:
            raise LabError(f"Host {host.folder.name} does not stand still: its kernel waits for the machine.")
        time.sleep(0.01)


def resume(host: Machine) -> None:
    """It goes on; one that does already is left alone. LabError if it does not run."""
    os.kill(_kernel(host), signal.SIGCONT)


def paused(host: Machine) -> bool:
    """Whether it stands still; False for one that does not run."""
    try:
        return _state(_kernel(host)) == "T"
    except (LabError, OSError):
        return False


def _kernel(host: Machine) -> int:
    """The kernel's process: the keeper's child, which is the child of whoever was started for the host."""
    try:
        first = int(host.pid.read_text(encoding="ascii"))
        for keeper in _children(first):
            for child in _children(keeper):
                if (PROC / str(child) / "cmdline").read_bytes().startswith(b"bin/"):
                    return child
    except (OSError, ValueError):
        pass
    raise LabError(f"Host {host.folder.name} does not run: power it on first.")


def _children(pid: int) -> list[int]:
    """The processes whose parent that is."""
    found = []
    for entry in PROC.iterdir():
        if not entry.name.isdecimal():
            continue
        try:
            if _fields(int(entry.name))[1] == str(pid):
                found.append(int(entry.name))
        except OSError:
            continue  # it has just ended
    return sorted(found)


def _state(pid: int) -> str:
    return _fields(pid)[0]


def _fields(pid: int) -> list[str]:
    """What /proc says of a process behind its name, which may hold anything: state first, then parent."""
    return (PROC / str(pid) / "stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
