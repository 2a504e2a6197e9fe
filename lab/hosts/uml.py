"""Hosts as user-mode Linux kernels: `HostBackend` for a lab.

Owned here: making, booting, ending and finding them. All that is known of a host is in its folder, so any
process may ask or act; a lock that the host's own processes hold says whether it runs. Left to others: the
files (`machine.py`, `seed.py`, `disks.py`), what goes on while it runs (`keeper.py`), when (`lab/api`).
"""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import json
import os
import shutil
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from lab import cuts, detached, network, packet_filter, paths
from lab.errors import LabError
from lab.hosts import disks, kernel, machine, mconsole, pausing, rootfs, seed
from lab.hosts.backend import CardFilter, HostSpec, PowerState, Traffic
from lab.hosts.machine import Machine

POLL = 0.1  # seconds
SHUTDOWN = 60.0  # seconds an orderly shutdown may take before the plug is pulled
DEATH = 20.0  # seconds in which the processes of a killed host must be gone
SSH = 22
ANSWER = 2.0  # seconds that sshd may take to greet
CHECKOUT = Path(__file__).resolve().parents[2]


class UmlBackend:
    """The hosts of one lab, by the lab's state folder. Its methods are those of `HostBackend`."""

    def __init__(self, lab: Path) -> None:
        self.lab = paths.at(lab)

    @property
    def images(self) -> frozenset[str]:
        """What it can install; the API refuses orders of anything else."""
        return frozenset(self._systems())

    def create(self, spec: HostSpec) -> None:
        """Make disks and seed. Repeating it completes what was cut off and leaves a complete host as it is.

        Raises LabError for a spec no host can be made of: more than eight disks, a disk that would shrink.
        """
        if not 1 <= len(spec.disks) <= len(machine.DEVICES):
            raise LabError(f"{spec.hostname} has {len(spec.disks)} disks: order 1 to {len(machine.DEVICES)}.")
        host = self._machine(spec.id)
        host.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if host.spec_file.exists():
            return
        self._install(host, spec)
        machine.save(host.spec_file, spec)  # last: from now on it is a host

    def start(self, host_id: int) -> None:
        """Boot; a host that runs is left alone. LabError for one that is not there or cannot be started."""
        host, spec = self._made(host_id)
        with self._off(host) as lock:
            if lock is None:
                return
            self._plug(spec)
            base = (
                Path(host.base_file.read_text(encoding="utf-8").strip()) if host.base_file.exists() else None
            )
            # A host from before there was a choice has Debian 12's modules.
            known = host.kernel_file.exists()
            boots = kernel.load(host.kernel_file) if known else kernel.older(paths.cache("kernel"))
            memory = machine.memory_folder(spec.memory) or host.folder
            boot = {
                "argv": machine.command_line(host, spec, base, boots.program),
                "env": {
                    "PATH": os.defpath,
                    "HOME": str(host.folder),
                    "TMPDIR": str(memory),
                    "LD_PRELOAD": str(boots.registers),
                },
            }
            host.boot.write_text(json.dumps(boot, indent=2), encoding="utf-8")
            host.powered.touch()
            host.deaths.unlink(missing_ok=True)
            keeper = (sys.executable, "-m", "lab.hosts.keeper", str(host.folder), str(lock))
            number = detached.start(
                [*network.enter(self.lab.namespace), *kernel.APART, *keeper],
                log=host.console,
                cwd=CHECKOUT,
                pass_fds=(lock,),
            )
            host.pid.write_text(f"{number}\n", encoding="ascii")

    def answers(self, host_id: int) -> bool:
        """Whether sshd greets the lab's console now, whatever security groups and cuts there are."""
        host = self._machine(host_id)
        if not host.spec_file.exists() or not self._runs(host):
            return False
        spec = machine.load(host.spec_file)
        try:
            address, console = spec.private.address, str(network.CONSOLE)
            with network.connect(self.lab.namespace, address, SSH, ANSWER, console) as line:
                line.settimeout(ANSWER)
                return line.recv(4) == b"SSH-"
        except OSError:
            return False

    def stop(self, host_id: int, *, hard: bool = False) -> None:
        """Power off and wait until it is off: by the power button, after 60 s or if `hard` by the plug."""
        host = self._machine(host_id)
        if not self._runs(host):
            host.powered.unlink(missing_ok=True)
            return
        if not hard:
            with contextlib.suppress(mconsole.MconsoleError):  # a kernel that does not listen is unplugged
                mconsole.ask(host.mconsole, "cad")
                self._wait_off(host, SHUTDOWN)
        if self._runs(host):
            self._kill(host)
        host.powered.unlink(missing_ok=True)

    def reload(self, spec: HostSpec) -> None:
        """A fresh system disk and a fresh seed with new host keys; data disks stay. The host must be off."""
        host, _ = self._made(spec.id)
        with self._off(host) as lock:
            self._must_be_off(lock, spec, "reloaded")
            self._install(host, spec)
            machine.save(host.spec_file, spec)

    def resize(self, spec: HostSpec) -> None:
        """New memory, larger or more disks, for the next boot; names and keys stay as they were installed.

        The host must be off. LabError when a disk would shrink.
        """
        host, present = self._made(spec.id)
        with self._off(host) as lock:
            self._must_be_off(lock, spec, "resized")
            if spec.disks[0] < present.disks[0] or len(spec.disks) < len(present.disks):
                raise LabError(
                    f"Disks of {spec.hostname} cannot shrink or go: it has {present.disks} GB, "
                    f"asked for were {spec.disks}."
                )
            if spec.disks[0] > present.disks[0]:
                if host.system.exists():
                    disks.grow_system(host.system, spec.disks[0], is_cow=host.base_file.exists())
                    host.base_file.unlink(missing_ok=True)
                else:  # never booted: nothing to carry over
                    host.base_file.write_text(
                        f"{self._rootfs(spec).image(spec.disks[0])}\n", encoding="utf-8"
                    )
            self._data_disks(host, spec)
            machine.save(host.spec_file, spec)

    def destroy(self, host_id: int) -> None:
        """Unplug and remove disks, taps, everything. A host that is not there is fine."""
        host = self._machine(host_id)
        if not host.folder.exists():
            return
        self.stop(host_id, hard=True)
        for name in network.BRIDGES:
            network.remove_tap(self.lab.namespace, machine.tap(host_id, name))
        cuts.heal(self.lab, host_id)
        host.spec_file.unlink(missing_ok=True)  # first: half a host is none
        shutil.rmtree(host.folder)

    def set_filters(self, filters: Sequence[CardFilter]) -> None:
        """Filter these cards and no others, at once. Where the kernel cannot, all stay open: `lab status`
        says so. LabError if the filters cannot be loaded.
        """
        if packet_filter.recorded(self.lab.packet_filter).tracking is not None:
            packet_filter.load(self.lab.namespace, packet_filter.groups_text(filters))

    def traffic(self) -> dict[int, Traffic]:
        """By the counters of the taps: what a tap receives, its host has sent."""
        passed = network.traffic(self.lab.namespace)
        found = {}
        for spec in self.hosts():
            sent, received = passed.get(machine.tap(spec.id, "private"), (0, 0))
            public_sent, public_received = passed.get(machine.tap(spec.id, "public"), (0, 0))
            found[spec.id] = Traffic(received, sent, public_received, public_sent)
        return found

    def state(self, host_id: int) -> PowerState:
        """What the machine is doing now."""
        host = self._machine(host_id)
        if not host.spec_file.exists():
            return PowerState.ABSENT
        return PowerState.RUNNING if self._runs(host) else PowerState.HALTED

    def deaths(self, host_id: int) -> int:
        """How often the machine's kernel has died, and was booted again, since it was switched on."""
        file = self._machine(host_id).deaths
        return len(file.read_text(encoding="utf-8").splitlines()) if file.exists() else 0

    def pause(self, host_id: int) -> None:
        """Have it stand still until `resume`, as a hypervisor may. LabError if it does not run."""
        pausing.pause(self._made(host_id)[0])

    def resume(self, host_id: int) -> None:
        """Have it go on. LabError if it does not run."""
        pausing.resume(self._made(host_id)[0])

    def paused(self, host_id: int) -> bool:
        """Whether it stands still."""
        return pausing.paused(self._machine(host_id))

    def hosts(self) -> list[HostSpec]:
        """The specs of all hosts there are, by id."""
        found = (machine.load(path) for path in self.lab.hosts.glob("*/spec.json"))
        return sorted(found, key=lambda spec: spec.id)

    def recover(self) -> list[HostSpec]:
        """Boot again whatever ran when the machine went down; returns those hosts."""
        fallen = [
            spec
            for spec in self.hosts()
            if self._machine(spec.id).powered.exists() and self.state(spec.id) is PowerState.HALTED
        ]
        for spec in fallen:
            self.start(spec.id)
        return fallen

    def rename(self, spec: HostSpec) -> None:
        """Remember another host name or domain; the host itself keeps what it was installed with."""
        host, present = self._made(spec.id)
        machine.save(host.spec_file, dataclasses.replace(present, hostname=spec.hostname, domain=spec.domain))

    def _machine(self, host_id: int) -> Machine:
        return Machine(self.lab.hosts / str(host_id))

    def _install(self, host: Machine, spec: HostSpec) -> None:
        """A fresh system disk with its kernel, and the seed for its first boot."""
        system = self._rootfs(spec)
        seed.write(host.seed, spec, self._console_key())
        host.system.unlink(missing_ok=True)
        host.base_file.write_text(f"{system.image(spec.disks[0])}\n", encoding="utf-8")
        system.kernel.save(host.kernel_file)
        self._data_disks(host, spec)

    def _made(self, host_id: int) -> tuple[Machine, HostSpec]:
        host = self._machine(host_id)
        if not host.spec_file.exists():
            raise LabError(
                f"There is no host {host_id} in lab {self.lab.name}: `lab status` lists those there are."
            )
        return host, machine.load(host.spec_file)

    def _rootfs(self, spec: HostSpec) -> rootfs.RootFs:
        """Of the system that was ordered; the usual one for a host of before there was a choice."""
        systems = self._systems()
        system = spec.image if spec.image in rootfs.SYSTEMS else rootfs.USUAL
        if system not in systems:
            raise LabError(
                f"Lab {self.lab.name} does not install {system}: name it in a stack's file (servers.os) "
                f"or in {rootfs.ALSO}, then run `lab up`."
            )
        return rootfs.RootFs(systems[system])

    def _systems(self) -> dict[str, Path]:
        try:
            record = json.loads(self.lab.record.read_text(encoding="utf-8"))
            # A lab of before there was a choice has one.
            systems = record["systems"] if "systems" in record else {rootfs.USUAL: record["rootfs"]}
        except (OSError, KeyError):
            raise LabError(
                f"Lab {self.lab.name} has no root file system for hosts yet: run `lab up`."
            ) from None
        return {system: Path(folder) for system, folder in systems.items()}

    def _console_key(self) -> str | None:
        path = self.lab.ssh / "id_ed25519.pub"
        return path.read_text(encoding="ascii") if path.is_file() else None

    @staticmethod
    def _data_disks(host: Machine, spec: HostSpec) -> None:
        for position, size in enumerate(spec.disks[1:], start=1):
            disks.ensure_data(host.data(position), size)

    def _plug(self, spec: HostSpec) -> None:
        network.tap(self.lab.namespace, machine.tap(spec.id, "private"), "private")
        if spec.public is not None:
            network.tap(self.lab.namespace, machine.tap(spec.id, "public"), "public")

    @contextlib.contextmanager
    def _off(self, host: Machine) -> Iterator[int | None]:
        """The host's lock, which is free only while the host is off; None if it runs."""
        # Not filelock's: the host's processes inherit this file, and hold the lock by it.
        file = os.open(host.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield None
            else:
                yield file
        finally:
            os.close(file)

    def _must_be_off(self, lock: int | None, spec: HostSpec, verb: str) -> None:
        if lock is None:
            raise LabError(f"{spec.hostname} (host {spec.id}) runs and cannot be {verb}: power it off first.")

    def _runs(self, host: Machine) -> bool:
        if not host.lock.exists():
            return False
        with self._off(host) as lock:
            return lock is None

    def _wait_off(self, host: Machine, patience: float) -> bool:
        """Whether the host went off within `patience` seconds."""
        deadline = time.monotonic() + patience
        while self._runs(host):
            if time.monotonic() > deadline:
                return False
            time.sleep(POLL)
        return True

    def _kill(self, host: Machine) -> None:
        """End the process that all others of the host end with."""
        with contextlib.suppress(ProcessLookupError, FileNotFoundError, ValueError):
            pid = int(host.pid.read_text(encoding="ascii"))
            if str(host.folder) in Path(f"/proc/{pid}/cmdline").read_text(encoding="utf-8", errors="replace"):
                os.kill(pid, signal.SIGKILL)
        if not self._wait_off(host, DEATH):
            raise LabError(
                f"Host {host.folder.name} does not end. Its first process should be "
                f"{host.pid.read_text().strip()} (see {host.pid}); end it with `kill -9`, then repeat."
            )
