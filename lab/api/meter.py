"""What the servers have sent and received, in slots of five minutes, as SoftLayer's metrics keep it.

Owned here: reading the machines' counters once a minute, and the slots. Left to others: the counters (the
backend's `traffic`), what clients are told (`services/metric.py`). Only traffic is measured: of processors
and memory of a lab's hosts nobody keeps a record.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from lab.api.records import Guest, TrafficSlot
from lab.api.store import Store
from lab.hosts.backend import HostBackend, Traffic

EVERY = 60.0  # seconds between readings
SLOT = 300  # seconds
KEPT = 7 * 86400.0  # seconds that slots are kept


class Meter:
    """Reads the counters of one backend into one store."""

    def __init__(self, store: Store, backend: HostBackend, internal_error: Callable[[str], None]) -> None:
        """`internal_error` is told, while the exception is handled, that a reading failed."""
        self._store = store
        self._backend = backend
        self._internal_error = internal_error
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, name="meter", daemon=True)

    def start(self) -> None:
        """Read from now on, in a thread of its own."""
        self._thread.start()

    def stop(self) -> None:
        """End."""
        self._end.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        while not self._end.wait(EVERY):
            try:
                self.read()
            except Exception:
                self._internal_error("the traffic of the servers could not be read")

    def read(self, now: float | None = None) -> None:
        """Add what has passed since the last reading to the slot of this time."""
        moment = time.time() if now is None else now
        with self._store.transaction():
            # Read in here: an older reading after a newer one would look like counters that began anew.
            counters = self._backend.traffic()
            newest: dict[int, TrafficSlot] = {}
            guests = {guest.id for guest in self._store.all(Guest)}
            for slot in self._store.all(TrafficSlot):
                if slot.guest_id not in guests or slot.begin < moment - KEPT:
                    self._store.delete(slot)
                else:
                    newest[slot.guest_id] = slot
            for guest in guests & counters.keys():
                self._add(guest, counters[guest], newest.get(guest), int(moment) // SLOT * SLOT)

    def _add(self, guest: int, counter: Traffic, last: TrafficSlot | None, begin: int) -> None:
        passed = counter.since(last.counter if last else Traffic())
        if last is not None and last.begin == begin:
            slot = last
            slot.passed = slot.passed.plus(passed)
        else:
            slot = TrafficSlot(
                id=self._store.next_id(), guest_id=guest, begin=begin, passed=passed, counter=counter
            )
        slot.counter = counter
        self._store.put(slot)

    def slots(self, guest: int) -> list[TrafficSlot]:
        """The slots of a server, oldest first, up to this moment."""
        self.read()
        return [slot for slot in self._store.all(TrafficSlot) if slot.guest_id == guest]
