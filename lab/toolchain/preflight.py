"""Whether this machine can run the project, asked before anything is changed.

Owned here: the facts of the machine and what is refused, each refusal one sentence with its remedy. Left to
others: installing anything. Standard library only; runs by the system's own Python.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from lab.toolchain import places

GIB = 1024**3
MEMORY = 8  # GiB; three hosts take up to 6, the rest is for what builds and drives them
DISK_COLD = 15  # GiB; Go's module and build cache 5, root file system and images 4, one lab's disks 3, air
DISK_WARM = 6  # GiB; what a lab writes once the caches are filled
PYTHON = (3, 11)
GO_THAT_FETCHES_NEWER = (1, 21)  # from here on `go` gets the version that a go.mod asks for by itself
TUN = Path("/dev/net/tun")


@dataclass(frozen=True)
class Facts:
    """What matters of a machine; sizes in GiB, versions as number tuples, None where there is none."""

    system: str
    machine: str
    root: bool
    python: tuple[int, ...]
    python_path: str
    venv: bool
    go: tuple[int, ...] | None
    go_wanted: tuple[int, ...]
    go_needed: bool
    apt: bool
    tun: bool
    memory: float
    disk: tuple[tuple[str, float], ...]
    disk_wanted: float


def numbers(version: str) -> tuple[int, ...]:
    """The leading dotted number in a version text: `go1.25.8` is (1, 25, 8); empty if there is none."""
    found = re.search(r"\d+(\.\d+)*", version)
    return tuple(int(part) for part in found.group().split(".")) if found else ()


def dotted(version: Iterable[int]) -> str:
    """(1, 25, 8) as `1.25.8`."""
    return ".".join(str(part) for part in version)


def refusals(facts: Facts) -> list[str]:
    """One sentence for each thing that is missing, with its remedy; empty if the machine will do."""
    found = []
    if facts.system != "Linux" or facts.machine != "x86_64":
        found.append(
            f"This is {facts.system} on {facts.machine}, but the lab's hosts are x86-64 Linux kernels: "
            "use an x86-64 Linux machine, e.g. a virtual one with Debian 12."
        )
    if facts.python < PYTHON:
        found.append(
            f"{facts.python_path} is Python {dotted(facts.python)}, but {dotted(PYTHON)} or newer is needed: "
            "install it, or name another one with `make PYTHON=/path/to/python3 …`."
        )
    if not facts.root:
        found.append(
            "You are not root, but network namespaces and system packages need it: run `sudo -E make …`, "
            "or log in as root."
        )
    if not facts.apt:
        found.append(
            "There is no apt-get, but the lab installs user-mode-linux, buildah and others with it: "
            "use Debian 12, or a container of it with /dev/net/tun."
        )
    if not facts.venv and not (facts.apt and facts.python_path.startswith("/usr/bin/")):
        # Debian's own Python gets python3-venv with the other packages; any other is its owner's.
        found.append(
            f"{facts.python_path} cannot make virtual environments (no module ensurepip): "
            "install its venv package, or use Debian's Python with `make PYTHON=/usr/bin/python3 …`."
        )
    if facts.go_needed:
        found += _go_refusals(facts)
    if not facts.tun:
        found.append(
            f"There is no {TUN}, but each of the lab's hosts has a tap device: run `modprobe tun`; in a "
            f"container start it with `--device {TUN} --cap-add NET_ADMIN --cap-add SYS_ADMIN`."
        )
    if facts.memory < MEMORY:
        found.append(
            f"The machine has {facts.memory:.1f} GiB of memory, but the lab's three hosts and the builds "
            f"need {MEMORY} GiB: use a larger machine."
        )
    for folder, free in facts.disk:
        if free < facts.disk_wanted:
            found.append(
                f"{folder} has {free:.1f} GiB free, but {facts.disk_wanted:g} GiB are needed: free some, or "
                "put the caches elsewhere with XDG_CACHE_HOME, XDG_STATE_HOME, GOMODCACHE and GOCACHE."
            )
    return found


def _go_refusals(facts: Facts) -> list[str]:
    wanted = dotted(facts.go_wanted)
    remedy = f"unpack Go {wanted} or newer from https://go.dev/dl/ into /usr/local, and put its bin on PATH"
    if facts.go is None:
        return [f"There is no `go` on PATH, and Pulumi is built with it where it is not installed: {remedy}."]
    if facts.go < GO_THAT_FETCHES_NEWER:
        return [
            f"Go {dotted(facts.go)} is too old to build Pulumi or to fetch the Go {wanted} that can: "
            f"{remedy} (Debian 12's own golang package is too old as well)."
        ]
    return []


def wanted_go() -> tuple[int, ...]:
    """The Go version that the CLI's go.mod asks for."""
    text = (Path(__file__).parent / "pulumi" / "go.mod").read_text(encoding="utf-8")
    line = re.search(r"^go (\S+)$", text, re.MULTILINE)
    assert line is not None
    return numbers(line.group(1))


def gather(*, go_needed: bool) -> Facts:
    """This machine's facts. `go_needed`: whether a toolchain would have to be built."""
    uname = os.uname()
    warm = any((places.cache() / "rootfs").glob("*"))
    return Facts(
        system=uname.sysname,
        machine=uname.machine,
        root=os.geteuid() == 0,
        python=sys.version_info[:3],
        python_path=sys.executable,
        venv=_has_module("ensurepip"),
        go=_go_version(),
        go_wanted=wanted_go(),
        go_needed=go_needed,
        apt=shutil.which("apt-get") is not None,
        tun=TUN.is_char_device(),
        memory=_memory(),
        disk=_disk([places.cache(), places.state(), places.CHECKOUT, *_go_folders(go_needed)]),
        disk_wanted=DISK_COLD if go_needed or not warm else DISK_WARM,
    )


def _has_module(name: str) -> bool:
    return importlib.util.find_spec(name) is not None


def _go_says(*arguments: str) -> list[str]:
    try:
        done = subprocess.run(["go", *arguments], capture_output=True, text=True, check=True, cwd="/")
    except (OSError, subprocess.CalledProcessError):
        return []
    return done.stdout.split("\n")


def _go_version() -> tuple[int, ...] | None:
    said = _go_says("env", "GOVERSION")
    return numbers(said[0]) or None if said else None


def _go_folders(needed: bool) -> list[Path]:
    return [Path(folder) for folder in _go_says("env", "GOMODCACHE", "GOCACHE") if folder] if needed else []


def _memory() -> float:
    """GiB of memory: the machine's, or less where a control group allows less."""
    sizes = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    for limit in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        try:
            sizes.append(int(Path(limit).read_text(encoding="ascii")))
        except (OSError, ValueError):
            continue
    return min(sizes) / GIB


def _disk(folders: list[Path]) -> tuple[tuple[str, float], ...]:
    """Free GiB of each file system that one of the folders is on or will be made on."""
    found: dict[int, tuple[str, float]] = {}
    for folder in folders:
        there = folder
        while not there.exists():
            there = there.parent
        found.setdefault(there.stat().st_dev, (str(there), shutil.disk_usage(there).free / GIB))
    return tuple(found.values())
