"""Transactions: what happens to a guest after an order, a cancellation, an upgrade or a reload, step by step.

Owned here: what a step does to a machine, how long it lingers, and going on after a restart of the API.
Which steps there are is in `plans.py`. Every running transaction has a thread of its own, so guests never
wait for one another; everything it has done is in the store, so a thread can be started anew at any time. A
step whose machine call fails is logged, tried again after 5 to 60 seconds, and shows as a transaction that
does not end.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from ipaddress import IPv4Network

from lab.api.faults import FaultInjector
from lab.api.locations import Networks
from lab.api.plans import PLANS, Step
from lab.api.records import Disk, Guest, Nic, PricePick, Settings, Transaction
from lab.api.store import Store
from lab.hosts.backend import HostBackend, HostSpec, Interface, PowerState

log = logging.getLogger("lab.api.transactions")

SETTINGS_ID = 1
DEFAULT_LINGER = 0.05
"""Seconds each step lasts beyond its work, unless the settings say otherwise."""
START_DELAY = "START_DELAY"
DEFAULT_START_DELAY = 0.2
"""Seconds between an order and its visible transaction: the window in which a new guest seems to be idle."""
_FIRST_RETRY, _LAST_RETRY = 5.0, 60.0


class _Stopping(Exception):
    """The engine is being stopped: leave the step as it is, for the next start."""


class Engine:
    """Runs the transactions of one store against one backend."""

    def __init__(
        self,
        store: Store,
        backend: HostBackend,
        faults: FaultInjector,
        networks: Networks,
        internal_error: Callable[[str], None],
    ) -> None:
        """`internal_error` is told, while the exception is handled, which transaction broke off by a bug."""
        self._store = store
        self._backend = backend
        self._faults = faults
        self._networks = networks
        self._internal_error = internal_error
        self._changed = threading.Condition()
        self._stopping = False
        self._workers: dict[int, threading.Thread] = {}

    def start(self) -> None:
        """Go on with everything that was running when the API ended."""
        running = [entry for entry in self._store.all(Transaction) if not entry.finished]
        for entry in running:
            log.info("going on with %s of guest %d", entry.kind, entry.guest_id)
            self._spawn(entry.id)

    def stop(self, timeout: float = 10.0) -> None:
        """Let all threads end where they are; waits up to `timeout` seconds for those inside a machine
        call.
        """
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
            workers = list(self._workers.values())
        end = time.monotonic() + timeout
        for worker in workers:
            worker.join(max(0.0, end - time.monotonic()))

    def notify(self) -> None:
        """Something that a waiting step looks at has changed: faults, settings."""
        with self._changed:
            self._changed.notify_all()

    def begin(
        self,
        guest: Guest,
        kind: str,
        changes: dict[str, object] | None = None,
        *,
        not_before: float | None = None,
    ) -> Transaction:
        """Write a new transaction and give it to `guest` (both are stored); it runs once the call commits.

        The caller has made sure that no other one is active. `not_before`: seconds since the epoch.
        """
        now = time.time()
        if not_before is None:
            delay = self.settings().durations.get(START_DELAY, DEFAULT_START_DELAY)
            not_before = now + (delay if kind == "provision" else 0.0)
        plan = PLANS[kind]
        entry = Transaction(
            id=self._store.next_id(),
            guest_id=guest.id,
            kind=kind,
            hidden=plan.hidden,
            not_before=not_before,
            created=now,
            modified=now,
            changes=changes or {},
        )
        self._store.put(entry)
        if guest.last_transaction is not None:
            previous = self._store.get(Transaction, guest.last_transaction)
            if previous is not None:
                self._store.delete(previous)
        guest.last_transaction = guest.transaction
        guest.transaction = entry.id
        guest.modified = now
        self._store.put(guest)
        self._store.after_commit(lambda: self._spawn(entry.id))
        return entry

    def renamed(self, guest: Guest) -> None:
        """Tell a backend that keeps names (an optional `rename(spec)`) that the guest has another one."""
        rename = getattr(self._backend, "rename", None)
        if rename is None or self._backend.state(guest.id) is PowerState.ABSENT:
            return
        try:
            rename(self.spec(guest))
        except Exception:
            # The API's name is the one that counts; the machine itself never changes its own.
            log.exception("guest %d (%s): its machine keeps its old name", guest.id, guest.name)

    def settings(self) -> Settings:
        """The lab's settings as they are now."""
        return self._store.get(Settings, SETTINGS_ID) or Settings(id=SETTINGS_ID)

    def linger(self, kind: str, step: str) -> float:
        """Seconds a step lasts beyond its work: by its own name, by its transaction's share, or by `*`."""
        durations = self.settings().durations
        if step in durations:
            return durations[step]
        if kind in durations:
            return durations[kind] / len(PLANS[kind].steps)
        return durations.get("*", DEFAULT_LINGER)

    def _spawn(self, number: int) -> None:
        with self._changed:
            if self._stopping or number in self._workers:
                return
            worker = threading.Thread(
                target=self._run, args=(number,), name=f"transaction-{number}", daemon=True
            )
            self._workers[number] = worker
        worker.start()

    def _run(self, number: int) -> None:
        try:
            while self._advance(number):
                pass
        except _Stopping:
            pass
        except Exception:
            # The store is gone or a programming error: keep the record as it is, and say so.
            self._internal_error(f"transaction {number} broke off; it goes on when the API starts again")
        finally:
            with self._changed:
                self._workers.pop(number, None)

    def _advance(self, number: int) -> bool:
        """Do the next thing a transaction needs; False when it is over."""
        entry = self._store.get(Transaction, number)
        guest = self._store.get(Guest, entry.guest_id) if entry else None
        if entry is None or guest is None or entry.finished:
            return False
        self._sleep_until(entry.not_before)
        step = PLANS[entry.kind].steps[entry.step]
        if not entry.acted:
            self._hold(entry, step, guest)
            self._act(entry, step, guest)
            return True
        self._sleep_until(entry.linger_until)
        return self._leave_step(number)

    def _hold(self, entry: Transaction, step: Step, guest: Guest) -> None:
        if entry.held_by is None:
            rule = self._faults.for_step("stuck", step.name, guest.hostname)
            if rule is None:
                return
            log.warning("guest %d (%s) is stuck in %s by fault %d", guest.id, guest.name, step.name, rule.id)
            entry.held_by = rule.id
            self._store.put(entry)
        while self._faults.present(entry.held_by):
            self._sleep(1.0)
        entry.held_by = None
        self._store.put(entry)

    def _act(self, entry: Transaction, step: Step, guest: Guest) -> None:
        retry = _FIRST_RETRY
        while True:
            try:
                rule = self._faults.for_step("backend", step.name, guest.hostname)
                if rule is not None:
                    raise RuntimeError(rule.message or "injected backend failure")
                self._work(step, guest, entry)
                break
            except _Stopping:
                raise
            except Exception as error:
                log.exception(
                    "guest %d (%s): %s failed; next try in %.0f s", guest.id, guest.name, step.name, retry
                )
                with self._store.transaction():
                    entry.error = f"{step.name}: {error}"
                    entry.modified = time.time()
                    self._store.put(entry)
                self._sleep(retry)
                retry = min(retry * 2, _LAST_RETRY)
        slow = self._faults.for_step("slow", step.name, guest.hostname)
        extra = slow.seconds if slow else 0.0
        with self._store.transaction():
            now = time.time()
            current = self._store.get(Guest, guest.id)
            if current is not None:
                self._effect(step, current, entry, now)
            entry.acted = True
            entry.error = None
            entry.modified = now
            entry.linger_until = now + self.linger(entry.kind, step.name) + extra
            self._store.put(entry)

    def _leave_step(self, number: int) -> bool:
        with self._store.transaction():
            entry = self._store.get(Transaction, number)
            if entry is None:
                return False
            entry.step += 1
            entry.acted = False
            entry.modified = time.time()
            entry.finished = entry.step == len(PLANS[entry.kind].steps)
            self._store.put(entry)
            guest = self._store.get(Guest, entry.guest_id)
            if entry.finished and guest is not None:
                self._finish(entry, guest)
            return not entry.finished

    def _finish(self, entry: Transaction, guest: Guest) -> None:
        if entry.kind == "reclaim":
            for number in (guest.transaction, guest.last_transaction):
                old = self._store.get(Transaction, number) if number else None
                if old is not None:
                    self._store.delete(old)
            self._store.delete(guest)
            log.info("guest %d (%s) is gone", guest.id, guest.name)
            return
        if guest.last_transaction is not None:
            old = self._store.get(Transaction, guest.last_transaction)
            if old is not None:
                self._store.delete(old)
        guest.last_transaction, guest.transaction = guest.transaction, None
        guest.modified = time.time()
        self._store.put(guest)

    def _work(self, step: Step, guest: Guest, entry: Transaction) -> None:
        """The part of a step that talks to the machine; may take long, may be repeated."""
        match step.action:
            case "create":
                self._backend.create(self.spec(guest))
            case "start":
                self._backend.start(guest.id)
            case "stop":
                self._backend.stop(guest.id)
            case "stop_hard":
                self._backend.stop(guest.id, hard=True)
            case "reload":
                self._backend.reload(self.spec(_changed(guest, entry)))
            case "resize":
                self._backend.resize(self.spec(_changed(guest, entry)))
            case "destroy":
                self._backend.destroy(guest.id)
            case "provisioned" | "answers":
                self._await_answer(guest)

    def _effect(self, step: Step, guest: Guest, entry: Transaction, now: float) -> None:
        """The part of a step that changes what the API tells about the guest."""
        match step.action:
            case "assign_private":
                self._assign(guest.private, "private", step, guest)
            case "assign_public" if guest.public is not None:
                self._assign(guest.public, "public", step, guest)
            case "provisioned":
                guest.provisioned = now
                for nic in guest.nics:
                    if nic.held_seconds:
                        nic.hidden_until = now + nic.held_seconds
                        nic.held_by = None
            case "start" | "stop" | "stop_hard":
                for nic in guest.nics:
                    nic.filtered = nic.filtered or bool(nic.security_groups)
            case "reload" | "resize" | "change_network":
                guest = _changed(guest, entry)
                for nic in guest.nics:
                    nic.speed = nic.max_speed = int(str(entry.changes.get("port_speed", nic.max_speed)))
            case _:
                return
        guest.modified = now
        self._store.put(guest)

    def _assign(self, nic: Nic, interface: str, step: Step, guest: Guest) -> None:
        rule = self._faults.for_step("partial-ips", step.name, guest.hostname, interface)
        if rule is not None:
            nic.held_by = rule.id
            nic.held_seconds = rule.seconds
        nic.shown = True

    def _await_answer(self, guest: Guest) -> None:
        pause = 0.01
        while not self._backend.answers(guest.id):
            self._sleep(pause)
            pause = min(pause * 2, 0.5)

    def spec(self, guest: Guest) -> HostSpec:
        """What the backend needs to know of a guest."""
        return HostSpec(
            id=guest.id,
            hostname=guest.hostname,
            domain=guest.domain,
            image=guest.host_image,
            cores=guest.cores,
            memory=guest.memory,
            disks=tuple(disk.capacity for disk in sorted(guest.disks, key=lambda disk: disk.device)),
            private=_interface(guest.private, self._networks.private),
            public=_interface(guest.public, self._networks.public) if guest.public else None,
            ssh_keys=tuple(guest.ssh_keys),
            user_data=guest.user_data,
            post_install_uri=guest.post_install_uri,
        )

    def _sleep_until(self, moment: float) -> None:
        while (left := moment - time.time()) > 0:
            self._sleep(left)

    def _sleep(self, seconds: float) -> None:
        """Wait, but not beyond a change that `notify` tells of. Raises _Stopping when the engine ends."""
        with self._changed:
            if not self._stopping:
                self._changed.wait(seconds)
            if self._stopping:
                raise _Stopping


def _interface(nic: Nic, network: IPv4Network) -> Interface:
    return Interface(nic.address, network.prefixlen, nic.mac, str(network[1]))


def _changed(guest: Guest, entry: Transaction) -> Guest:
    """A copy of the guest as the transaction will leave it."""
    fields = {name: value for name, value in _typed(entry.changes).items() if name in Guest.model_fields}
    return guest.model_copy(deep=True, update=fields)


def _typed(changes: dict[str, object]) -> dict[str, object]:
    """Changes come back from the store as plain values: make records of them again."""
    makers: dict[str, Callable[[object], object]] = {
        "disks": lambda value: [Disk.model_validate(item) for item in _list(value)],
        "prices": lambda value: [PricePick.model_validate(item) for item in _list(value)],
    }
    return {name: makers[name](value) if name in makers else value for name, value in changes.items()}


def _list(value: object) -> list[object]:
    assert isinstance(value, list)
    return value
