"""The hosts' kernel: Debian's user-mode Linux, made to run on this CPU and tried before it is needed.

Owned here: which program that is, what is loaded into it (`registers.c`), and the trial. Left to others: the
words that boot a host (`machine.py`), its root file system (`rootfs.py`).
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from lab.errors import LabError
from lab.toolchain.stages import Step

KERNEL = Path("/usr/bin/linux.uml")
SOURCE = Path(__file__).with_name("registers.c")
COMPILER = ("gcc", "-O2", "-Wall", "-Werror", "-shared", "-fPIC")
# A process namespace of its own: what the kernel leaves behind ends with its first process.
APART = ("unshare", "--pid", "--fork", "--kill-child=SIGKILL", "--mount-proc", "--")
TRIAL = 60.0  # seconds a trial may take; it takes one or two
LAST_WORDS = 4  # lines of a failed trial that are shown


def ensure(step: Step, home: Path) -> Path:
    """The library to load into the kernel (LD_PRELOAD), built in `home` if it is not there; then a trial.

    LabError if there is no kernel, it cannot be built for, or does not run here.
    """
    if not KERNEL.is_file():
        raise LabError(f"{KERNEL} is missing: install Debian's package user-mode-linux (`make up` does).")
    built = library(home)
    step.say("a trial boot")
    try_out(built)
    return built


def library(home: Path) -> Path:
    """The compiled `registers.c`, by what it is made from; complete or not there."""
    digest = hashlib.sha256(f"{COMPILER}".encode() + SOURCE.read_bytes()).hexdigest()[:16]
    path = home / f"registers-{digest}.so"
    if path.is_file():
        return path
    if shutil.which(COMPILER[0]) is None:
        raise LabError(
            f"{COMPILER[0]} is missing: install Debian's packages gcc and libc6-dev (`make up` does)."
        )
    home.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=home) as folder:
        fresh = Path(folder) / path.name
        done = subprocess.run(
            [*COMPILER, "-o", str(fresh), str(SOURCE)], capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            raise LabError(
                f"{SOURCE} cannot be compiled: is libc6-dev installed (`make up` does)? {done.stderr.strip()}"
            )
        fresh.replace(path)
    return path


def try_out(preload: Path) -> None:
    """Boot the kernel with this machine's own files, read-only, until its first process ends.

    LabError if that does not end, or not well.

    A kernel whose first process ends panics, by design: what counts is that this one ended well.
    """
    with tempfile.TemporaryDirectory(prefix="swarm-galera-kernel-") as folder:
        words = [str(KERNEL), "mem=64M", "root=/dev/root", "rootfstype=hostfs", "rootflags=/", "ro"]
        words += ["init=/bin/true", "con0=null,fd:1", "con=null", "ssl=null", "panic=1", "quiet"]
        words += [f"uml_dir={folder}/", "umid=trial"]
        environment = {"PATH": os.defpath, "HOME": folder, "LD_PRELOAD": str(preload)}
        # Not as the namespace's first process, which no signal ends, not even a panic's own abort.
        apart = [*APART, "sh", "-c", '"$@"; exit', "sh"]
        try:
            said = subprocess.run(
                [*apart, *words],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                timeout=TRIAL,
                check=False,
            ).stdout.decode(errors="replace")
        except subprocess.TimeoutExpired:
            raise LabError(
                f"The hosts' kernel does not run on this machine: a trial boot did not end in {TRIAL:g} s. "
                "The lab needs a machine that lets its processes trace one another (ptrace)."
            ) from None
    if not ran(said):
        raise LabError(
            "The hosts' kernel (user-mode Linux) does not run on this machine, so the lab cannot have hosts. "
            f"Nothing was ordered. Its last words: {last_words(said)}"
        )


def ran(said: str) -> bool:
    """Whether the first process of the kernel that said this ended well."""
    return "Attempted to kill init! exitcode=0x00000000" in said


def last_words(said: str) -> str:
    """What a kernel said before its trace of calls, in one line."""
    lines = [line.strip() for line in said.split("\nStack:")[0].splitlines() if line.strip()]
    return " / ".join(lines[-LAST_WORDS:]) or "none"
