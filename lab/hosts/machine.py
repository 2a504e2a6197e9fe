"""The files of one user-mode Linux host and the command line that boots it. No processes here.

Owned here: the layout of `hosts/ID/`, names of taps, the kernel's command line. Left to others: starting it
(`uml.py`), keeping it (`keeper.py`).
"""

from __future__ import annotations

import dataclasses
import json
import os
from dataclasses import dataclass
from pathlib import Path

from lab.hosts.backend import HostSpec, Interface

FREE = 0.9  # share of /dev/shm that a host's memory may take to live there
DEVICES = "abcdefgh"  # user-mode Linux has eight disks
UMID = "host"
SHM = Path("/dev/shm")  # noqa: S108 - the kernel takes its file's name away at once
MAPPINGS = Path("/proc/sys/vm/max_map_count")
PAGES = 256  # in one MB of a host's memory
USUAL_MAPPINGS = 65530  # the kernel's default, enough for any program that is not a host's


@dataclass(frozen=True)
class Machine:
    """One host's folder."""

    folder: Path

    @property
    def spec_file(self) -> Path:
        """The order's part that the host was made from (JSON, 0600)."""
        return self.folder / "spec.json"

    @property
    def base_file(self) -> Path:
        """The path of the image that the system disk is a copy on write of."""
        return self.folder / "base"

    @property
    def kernel_file(self) -> Path:
        """The kernel that the system disk was made for (JSON, see `kernel.Kernel`)."""
        return self.folder / "kernel.json"

    @property
    def system(self) -> Path:
        """What the host has changed on its system disk, or all of that disk once it has grown."""
        return self.folder / "disk0.cow"

    def data(self, position: int) -> Path:
        """The data disk at `position` (1 for the first one): sparse and raw."""
        return self.folder / f"disk{position}.img"

    @property
    def seed(self) -> Path:
        """The folder that the host may mount on its first boot."""
        return self.folder / "seed"

    @property
    def boot(self) -> Path:
        """What the keeper reads before every boot (JSON): the command line and its environment."""
        return self.folder / "boot.json"

    @property
    def console(self) -> Path:
        """What the host's kernel and its init said."""
        return self.folder / "console.log"

    @property
    def deaths(self) -> Path:
        """A line for each time that its kernel has died since the host was switched on."""
        return self.folder / "deaths"

    @property
    def log(self) -> Path:
        """The lab's log of what has happened to its hosts by itself."""
        return self.folder.parents[1] / "logs/hosts.log"

    @property
    def lock(self) -> Path:
        """Held as long as any process of the host is alive."""
        return self.folder / "lock"

    @property
    def pid(self) -> Path:
        """The process that all others of the host end with; only meaningful while the lock is held."""
        return self.folder / "pid"

    @property
    def powered(self) -> Path:
        """There while the host is meant to run: made by a start, removed by any orderly end.

        It outlives a crash of the machine, so that the lab knows what to boot again.
        """
        return self.folder / "powered-on"

    @property
    def run(self) -> Path:
        """The kernel's own folder: its pid file and its management socket."""
        return self.folder / "run"

    @property
    def mconsole(self) -> Path:
        """The management socket."""
        return self.run / UMID / "mconsole"


def tap(host_id: int, network: str) -> str:
    """The name of a host's tap on `private` or `public`; kernel's limit: 15 characters."""
    return f"{network[:2]}{host_id}"


def save(path: Path, spec: HostSpec) -> None:
    """Write a spec, readable for root only (it may hold user data)."""
    fresh = path.with_name(path.name + ".new")
    fresh.unlink(missing_ok=True)
    file = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(file, "w", encoding="utf-8") as out:
        json.dump(dataclasses.asdict(spec), out, indent=2)
    fresh.replace(path)


def load(path: Path) -> HostSpec:
    """Read what `save` wrote."""
    fields = json.loads(path.read_text(encoding="utf-8"))
    fields["private"] = Interface(**fields["private"])
    fields["public"] = None if fields["public"] is None else Interface(**fields["public"])
    fields["disks"] = tuple(fields["disks"])
    fields["ssh_keys"] = tuple(fields["ssh_keys"])
    return HostSpec(**fields)


def card(number: int, host_id: int, network: str, interface: Interface) -> str:
    """The argument for one network card on its tap. `depth`: packets handed over in one call."""
    return f"vec{number}:transport=tap,ifname={tap(host_id, network)},depth=128,gro=1,mac={interface.mac}"


def command_line(machine: Machine, spec: HostSpec, base: Path | None, program: Path) -> list[str]:
    """The words that boot the host. `base` is None when the system disk is no copy on write any more.

    `t` behind a disk's name: no trim, with which mkfs spends 16 s on an empty disk of 25 GB.
    One processor whatever was ordered: user-mode Linux has no more. Paths are relative to the host's folder,
    where the kernel runs, because the address of its socket may have 107 characters only.
    """
    system = machine.system.name if base is None else f"{machine.system.name},{base}"
    disks = [
        f"ubd{DEVICES[position]}t={machine.data(position).name}" for position in range(1, len(spec.disks))
    ]
    cards = [card(0, spec.id, "private", spec.private)]
    if spec.public is not None:
        cards.append(card(1, spec.id, "public", spec.public))
    return [
        str(program),
        f"mem={spec.memory}M",
        f"ubdat={system}",
        *disks,
        "root=/dev/ubda",
        "rw",
        "init=/usr/lib/lab/init",
        *cards,
        f"hostfs={machine.seed}",
        f"uml_dir={machine.run.name}/",
        f"umid={UMID}",
        "con0=null,fd:1",
        "con=null",
        "ssl=null",
        "console=tty0",
        "net.ifnames=0",
        "panic=1",
        "systemd.show_status=error",
        "lsm=yama",
        "quiet",
    ]


def memory_folder(memory: int, shm: Path = SHM) -> Path | None:
    """Where the file goes that is a host's memory (`memory` in MB): /dev/shm if there is room, else None.

    On a real disk the kernel would write the guest's memory back to it all the time.
    """
    try:
        room = os.statvfs(shm)
    except OSError:
        return None
    return shm if room.f_bavail * room.f_frsize * FREE > memory * 1024**2 else None


def allow_mappings(memory: int, setting: Path = MAPPINGS) -> bool:
    """Raise this machine's limit of memory mappings, if it is too low for a host of `memory` MB. False if it
    is and stays so. It is never lowered again: other hosts may need it, and it costs nothing.

    Each page that a program of a host uses is a mapping of its own here, where the pages are scattered. With
    the kernel's default, a program that reads through more than 256 MB of a mapped file, as mariadbd does
    with Galera's cache after a crash, may die of SIGSEGV ("UML ran out of memory on the host side!").
    """
    wanted = memory * PAGES + USUAL_MAPPINGS
    try:
        if int(setting.read_text(encoding="ascii")) < wanted:
            setting.write_text(f"{wanted}\n", encoding="ascii")
    except OSError:
        return False
    return True
