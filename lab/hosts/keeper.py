"""The first process of a host: boots its kernel, boots it again when the host reboots, and ends with it.

Run as `python -m lab.hosts.keeper FOLDER LOCKFD` in a process namespace of its own, as its process 1:
whatever user-mode Linux leaves behind ends with it, and it ends with whoever unshared the namespace.

Owned here: what an end of the kernel means, and that it does not sleep for ever or stay dead. Left to others:
everything before (`uml.py`), how a death shows (`lifesigns.py`). The kernel re-executes itself by the name in
its argv[0] when the host reboots; that name is a program here which ends with a code of its own, so that a
reboot can be told from a power-off and starts from a clean slate, with what boot.json says by then. Exit
code 0 is a power-off. With any other the kernel has died, and is booted again as by a real host's panic=1:
user-mode Linux has that on its command line, and aborts all the same.
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
import time
from collections.abc import Callable
from pathlib import Path

from lab.hosts import machine
from lab.hosts.lifesigns import LifeSigns
from lab.hosts.machine import Machine

REBOOT = 75  # EX_TEMPFAIL: come again
OFF = 0
NUDGE_EVERY = 2.0  # seconds
SOON = 60.0  # seconds after its boot in which a death counts as one of a kernel that does not come up
MOST = 3  # such deaths in a row; then the host stays off


def reboot_program(host: Machine) -> Path:
    """The program that the kernel runs in place of itself; named so that `ps` shows which host that is."""
    return host.folder / "bin" / machine.load(host.spec_file).hostname


def boot_once(host: Machine) -> tuple[int, str]:
    """Boot and wait; returns the exit code, REBOOT if the host asked for a reboot, and words of a death."""
    boot = json.loads(host.boot.read_text(encoding="utf-8"))
    shutil.rmtree(host.run, ignore_errors=True)
    host.run.mkdir()
    program = reboot_program(host)
    shutil.rmtree(program.parent, ignore_errors=True)
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\nexit {REBOOT}\n", encoding="ascii")
    program.chmod(0o755)
    with host.console.open("ab", buffering=0) as console:
        signs = LifeSigns(host.console, host.mconsole)
        kernel = subprocess.Popen(
            [f"bin/{program.name}", *boot["argv"][1:]],
            executable=boot["argv"][0],
            cwd=host.folder,
            env=boot["env"],
            stdin=subprocess.DEVNULL,
            stdout=console,
            stderr=console,
        )
        code = wait_and_nudge(kernel, lost=signs.lost)
        signs.read()
        console.write(f"\n-- the kernel ended with code {code}\n".encode())
    return code, signs.words


def wait_and_nudge(
    kernel: subprocess.Popen[bytes], every: float = NUDGE_EVERY, lost: Callable[[], bool] = lambda: False
) -> int:
    """Wait for the kernel's end; its exit code. Every so many seconds it gets a timer's interrupt.

    One that is `lost`, as is asked then, too, is ended.

    User-mode Linux sleeps until a timer that fires once. On a busy machine that signal has been seen to get
    lost: the kernel then waits for ever, its network answers and none of its processes runs. A signal more
    than it expects does no harm: it looks at the time and sets the timer anew.
    """
    ended = threading.Event()

    def nudge() -> None:
        while not ended.wait(every):
            if catches(kernel.pid, signal.SIGALRM):
                kernel.send_signal(signal.SIGALRM)
            if lost():
                kernel.kill()
                return

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


def keep(host: Machine) -> int:
    """Boot the host again whenever it reboots or its kernel dies; 0 once it is off, 1 if it does not come up.

    One that does not come up is still meant to run: the next `lab up` tries again.
    """
    in_a_row = 0
    while True:
        began = time.monotonic()
        code, words = boot_once(host)
        if code == OFF:
            host.powered.unlink(missing_ok=True)
            return 0
        _end_leftovers()
        if code == REBOOT:
            continue
        in_a_row = in_a_row + 1 if time.monotonic() - began < SOON else 1
        stays_off = in_a_row == MOST
        then = (
            f"{MOST} times in a row soon after a boot, so the host stays off"
            if stays_off
            else "it boots again"
        )
        note_death(host, f"{words or 'no word of it on its console'} (code {code})", then)
        if stays_off:
            return 1


def note_few_mappings(host: Machine) -> None:
    """A line on the host's console: what may come of a limit that could not be raised."""
    with host.console.open("a", encoding="utf-8") as file:
        file.write(
            f"-- {machine.MAPPINGS} is too low for this host's memory and cannot be raised: large "
            "programs in it may die of SIGSEGV. Remedy, on this machine: sysctl -w vm.max_map_count=1048576\n"
        )


def note_death(host: Machine, words: str, then: str) -> None:
    """A line in the lab's log and on the host's console, and one for `lab status` to count."""
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    text = f"the kernel has died: {words}; {then}"
    host.log.parent.mkdir(exist_ok=True)
    lines = {
        host.log: f"{now} {machine.load(host.spec_file).hostname} (host {host.folder.name}): {text}\n",
        host.deaths: f"{now} {words}\n",
        host.console: f"-- {now} {text}\n",
    }
    for path, line in lines.items():
        with path.open("a", encoding="utf-8") as file:
            file.write(line)


def main() -> int:
    """Keep the host until it is off."""
    if os.getpid() != 1:
        sys.exit("lab.hosts.keeper must be process 1 of a namespace: `lab up` and the API start it so.")
    host = Machine(Path(sys.argv[1]))
    os.set_inheritable(int(sys.argv[2]), False)  # held by us alone: it must not outlive us in a stray process
    if not machine.allow_mappings(machine.load(host.spec_file).memory):
        note_few_mappings(host)
    return keep(host)


if __name__ == "__main__":
    sys.exit(main())
