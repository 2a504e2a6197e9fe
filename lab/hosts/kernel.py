"""The hosts' kernel: user-mode Linux, made to run on this CPU and tried before it is needed.

Owned here: which kernel that is, what is loaded into it (`registers.c`), and the trial. Left to others: where
the newer one comes from (`debian13.py`), the words that boot a host (`machine.py`), its root file system
(`rootfs.py`).

Debian 13's kernel (6.12) needs a third of the time of Debian 12's (6.1) for a process and half for a system
call. It is taken where it can be had and runs; else Debian 12's own, which apt has installed.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from lab.errors import LabError
from lab.hosts import debian13
from lab.toolchain.stages import Step

PROGRAM = Path("/usr/bin/linux.uml")  # Debian 12's own
MODULES = Path("/usr/lib/uml/modules")
SOURCE = Path(__file__).with_name("registers.c")
COMPILER = ("gcc", "-O2", "-Wall", "-Werror", "-shared", "-fPIC")
# A process namespace of its own: what the kernel leaves behind ends with its first process.
APART = ("unshare", "--pid", "--fork", "--kill-child=SIGKILL", "--mount-proc", "--")
TRIAL = 60.0  # seconds a trial may take; it takes one or two
LAST_WORDS = 4  # lines of a failed trial that are shown
CHOICE = "SWARM_GALERA_LAB_KERNEL"
"""Environment: `debian-12` or `debian-13`, and no other. Unset: the newer one if it runs, else the older."""


@dataclass(frozen=True)
class Kernel:
    """One kernel.

    Attributes:
        program: user-mode Linux itself.
        modules: its folder of modules, named by its release, e.g. `6.12.113`.
        registers: the library to load into it (LD_PRELOAD).
    """

    program: Path
    modules: Path
    registers: Path

    @property
    def release(self) -> str:
        """As `uname -r` says it on a host."""
        return self.modules.name

    def save(self, path: Path) -> None:
        """Write it where `load` finds it: a host boots the kernel whose modules are on its system disk."""
        fields = {"program": self.program, "modules": self.modules, "registers": self.registers}
        path.write_text(json.dumps({name: str(value) for name, value in fields.items()}), encoding="utf-8")


def load(path: Path) -> Kernel:
    """Read what `save` wrote."""
    return Kernel(**{name: Path(value) for name, value in json.loads(path.read_text("utf-8")).items()})


def ensure(step: Step, home: Path) -> Kernel:
    """The kernel that hosts are installed with; what it needs is made in `home` if it is not there.

    LabError if there is none, its library cannot be built, or it does not run here.
    """
    choice = os.environ.get(CHOICE, "")
    if choice not in ("", "debian-12", "debian-13"):
        raise LabError(f"{CHOICE} must be debian-12, debian-13 or unset, not “{choice}”.")
    registers = library(home)
    if choice != "debian-12":
        try:
            program, modules = debian13.ensure(step, home)
            newer = Kernel(program, modules, registers)
            step.say(f"a trial boot of {newer.release}")
            try_out(newer)
            step.result(newer.release)
            return newer
        except LabError as error:
            if choice == "debian-13":
                raise
            refusal = str(error)
    fallback = older(home)
    step.say(f"a trial boot of {fallback.release}")
    try_out(fallback)
    why = f"as {CHOICE} says" if choice else f"slower than Debian 13's: {refusal}"
    step.result(f"{fallback.release} of Debian 12, {why}")
    return fallback


def older(home: Path) -> Kernel:
    """Debian 12's kernel, as apt has installed it. LabError if it is not there."""
    modules = max(MODULES.glob("*"), default=None)
    if not PROGRAM.is_file() or modules is None:
        raise LabError(f"{PROGRAM} is missing: install Debian's package user-mode-linux (`make up` does).")
    return Kernel(PROGRAM, modules, library(home))


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


def try_out(kernel: Kernel) -> None:
    """Boot a kernel with this machine's own files, read-only, until its first process ends.

    LabError if that does not end, or not well.

    A kernel whose first process ends panics, by design: what counts is that this one ended well.
    """
    with tempfile.TemporaryDirectory(prefix="swarm-galera-kernel-") as folder:
        words = [str(kernel.program), "mem=64M", "root=/dev/root", "rootfstype=hostfs", "rootflags=/", "ro"]
        words += ["init=/bin/true", "con0=null,fd:1", "con=null", "ssl=null", "panic=1", "quiet"]
        words += [f"uml_dir={folder}/", "umid=trial"]
        environment = {"PATH": os.defpath, "HOME": folder, "LD_PRELOAD": str(kernel.registers)}
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
    lines = [line.strip() for line in said.split("\nStack:", maxsplit=1)[0].splitlines() if line.strip()]
    return " / ".join(lines[-LAST_WORDS:]) or "none"
