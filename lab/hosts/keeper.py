"""The first process of a host: boots its kernel, boots it again when the host reboots, and ends with it.

Run as `python -m lab.hosts.keeper FOLDER LOCKFD` in a process namespace of its own, as its process 1:
whatever user-mode Linux leaves behind ends with it, and it ends with whoever unshared the namespace.

Owned here: what an end of the kernel means, and that it does not sleep for ever. Left to others: everything
before (`uml.py`). The kernel re-executes itself by the name in its argv[0] when the host reboots; that name
is a program here which ends with a code of its own, so that a reboot can be told from a power-off and starts
from a clean slate, with what boot.json says by then.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

from lab.hosts import machine
from lab.hosts.machine import Machine

REBOOT = 75  # EX_TEMPFAIL: come again
NUDGE_EVERY = 2.0  # seconds


def reboot_program(host: Machine) -> Path:
    """The program that the kernel runs in place of itself; named so that `ps` shows which host that is."""
    return host.folder / "bin" / machine.load(host.spec_file).hostname


def boot_once(host: Machine) -> int:
    """Boot and wait; returns the exit code, REBOOT if the host asked for a reboot."""
    boot = json.loads(host.boot.read_text(encoding="utf-8"))
    shutil.rmtree(host.run, ignore_errors=True)
    host.run.mkdir()
    program = reboot_program(host)
    shutil.rmtree(program.parent, ignore_errors=True)
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\nexit {REBOOT}\n", encoding="ascii")
    program.chmod(0o755)
    with host.console.open("ab", buffering=0) as console:
        kernel = subprocess.Popen(
            [f"bin/{program.name}", *boot["argv"][1:]],
            executable=boot["argv"][0],
            cwd=host.folder,
            env=boot["env"],
            stdin=subprocess.DEVNULL,
            stdout=console,
            stderr=console,
        )
        code = wait_and_nudge(kernel)
        console.write(f"\n-- the kernel ended with code {code}\n".encode())
    return code


def wait_and_nudge(kernel: subprocess.Popen[bytes], every: float = NUDGE_EVERY) -> int:
    """Wait for the kernel's end; its exit code. Every so many seconds it gets a timer's interrupt.

    User-mode Linux sleeps until a timer that fires once. On a busy machine that signal has been seen to get
    lost: the kernel then waits for ever, its network answers and none of its processes runs. A signal more
    than it expects does no harm: it looks at the time and sets the timer anew.
    """
    ended = threading.Event()

    def nudge() -> None:
        while not ended.wait(every):
            if catches(kernel.pid, signal.SIGALRM):
                kernel.send_signal(signal.SIGALRM)

    nudger = threading.Thread(target=nudge, daemon=True)
    nudger.start()
    code = kernel.wait()
    ended.set()
    nudger.join()
    # Between a look and its signal the kernel can have become its reboot program, which a signal ends.
    return REBOOT if code == -signal.SIGALRM else code


def catches(pid: int, number: signal.Signals) -> bool:
    """Whether the process has a handler for that signal: while it starts or reboots, the kernel has none."""
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace")
    except OSError:
        return False
    found = re.search(r"^SigCgt:\s*([0-9a-f]+)$", status, re.MULTILINE)
    return found is not None and bool(int(found[1], 16) >> (number - 1) & 1)


def _end_leftovers() -> None:
    """End the traced children that the old kernel leaves; in this process namespace there is nobody else."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(-1, signal.SIGKILL)
    with contextlib.suppress(ChildProcessError):
        while True:
            os.wait()


def main() -> int:
    """Keep the host until it is off."""
    if os.getpid() != 1:
        sys.exit("lab.hosts.keeper must be process 1 of a namespace: `lab up` and the API start it so.")
    host = Machine(Path(sys.argv[1]))
    os.set_inheritable(int(sys.argv[2]), False)  # held by us alone: it must not outlive us in a stray process
    while boot_once(host) == REBOOT:
        _end_leftovers()
    host.powered.unlink(missing_ok=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
