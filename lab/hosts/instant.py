"""A host backend that only remembers: no processes, no disks. For tests of the API and of the providers.

Delays (seconds, all 0 by default) and failures can be set at any time, from any thread.
"""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from lab.hosts.backend import CardFilter, HostSpec, PowerState, Traffic


@dataclass
class Machine:
    """What is remembered of one machine. `system_disk` counts how often its system disk was made anew."""

    spec: HostSpec
    power: PowerState = PowerState.HALTED
    started: float = 0.0
    boots: int = 0
    system_disk: int = 1
    data_disks: dict[int, str] = field(default_factory=dict)


class InstantBackend:
    """Machines that exist as soon as they are asked for."""

    def __init__(
        self, *, create: float = 0.0, boot: float = 0.0, stop: float = 0.0, destroy: float = 0.0
    ) -> None:
        """Delays in seconds: how long `create`, `stop` and `destroy` take, and how long after `start` sshd
        answers.
        """
        self.delays = {"create": create, "boot": boot, "stop": stop, "destroy": destroy}
        self.machines: dict[int, Machine] = {}
        self.destroyed: list[int] = []
        self.filters: list[CardFilter] = []
        self.counters: dict[int, Traffic] = {}
        self._failures: dict[str, str] = {}
        self._lock = threading.Lock()

    def fail(self, operation: str, message: str | None) -> None:
        """Make `operation` (create, start, …) raise RuntimeError(message) until called again with None."""
        with self._lock:
            if message is None:
                self._failures.pop(operation, None)
            else:
                self._failures[operation] = message

    def create(self, spec: HostSpec) -> None:
        self._enter("create")
        with self._lock:
            machine = self.machines.setdefault(spec.id, Machine(spec))
            for position in range(1, len(spec.disks)):
                machine.data_disks.setdefault(position, f"data-{spec.id}-{position}")

    def start(self, host_id: int) -> None:
        self._enter("start")
        with self._lock:
            machine = self._machine(host_id)
            if machine.power is not PowerState.RUNNING:
                machine.power = PowerState.RUNNING
                machine.started = time.monotonic()
                machine.boots += 1

    def answers(self, host_id: int) -> bool:
        with self._lock:
            machine = self.machines.get(host_id)
            if machine is None or machine.power is not PowerState.RUNNING or "answers" in self._failures:
                return False
            return time.monotonic() - machine.started >= self.delays["boot"]

    def stop(self, host_id: int, *, hard: bool = False) -> None:
        self._enter("stop")
        with self._lock:
            if host_id in self.machines:
                self.machines[host_id].power = PowerState.HALTED

    def reload(self, spec: HostSpec) -> None:
        self._enter("reload")
        with self._lock:
            machine = self._halted(spec.id)
            machine.spec = spec
            machine.system_disk += 1

    def resize(self, spec: HostSpec) -> None:
        self._enter("resize")
        with self._lock:
            machine = self._halted(spec.id)
            machine.spec = spec
            for position in range(1, len(spec.disks)):
                machine.data_disks.setdefault(position, f"data-{spec.id}-{position}")

    def rename(self, spec: HostSpec) -> None:
        """Remember another host name or domain."""
        with self._lock:
            machine = self._machine(spec.id)
            machine.spec = dataclasses.replace(machine.spec, hostname=spec.hostname, domain=spec.domain)

    def destroy(self, host_id: int) -> None:
        self._enter("destroy")
        with self._lock:
            if self.machines.pop(host_id, None) is not None:
                self.destroyed.append(host_id)

    def set_filters(self, filters: Sequence[CardFilter]) -> None:
        self._enter("set_filters")
        with self._lock:
            self.filters = list(filters)

    def traffic(self) -> dict[int, Traffic]:
        self._enter("traffic")
        with self._lock:
            return {number: self.counters.get(number, Traffic()) for number in self.machines}

    def state(self, host_id: int) -> PowerState:
        with self._lock:
            machine = self.machines.get(host_id)
            return machine.power if machine else PowerState.ABSENT

    def _enter(self, operation: str) -> None:
        delay = self.delays.get(operation, 0.0)
        if delay:
            time.sleep(delay)
        with self._lock:
            message = self._failures.get(operation)
        if message is not None:
            raise RuntimeError(message)

    def _machine(self, host_id: int) -> Machine:
        try:
            return self.machines[host_id]
        except KeyError:
            raise RuntimeError(f"Machine {host_id} does not exist; create it first.") from None

    def _halted(self, host_id: int) -> Machine:
        machine = self._machine(host_id)
        if machine.power is PowerState.RUNNING:
            raise RuntimeError(f"Machine {host_id} is running; stop it first.")
        return machine
