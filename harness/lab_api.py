"""A lab's API with instant hosts inside the running process: what tests of providers and of the API start.

Owns: starting one on a free loopback port in a directory of its own, a client for it, faults by a short call,
and waiting for what its transactions do.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import SoftLayer
from SoftLayer.transports import XmlRpcTransport

from lab.api.credentials import Credentials
from lab.api.plans import PLANS
from lab.api.records import Guest, InjectedFault, Order, Settings, Transaction
from lab.api.server import ApiServer
from lab.api.transactions import SETTINGS_ID, START_DELAY
from lab.hosts.instant import InstantBackend

USERNAME = "lab"
API_KEY = "0123456789abcdef" * 4
"""Only digits and letters, 64 of them: the form in which the SDK hides a key when it prints a request."""
QUICK = {"*": 0.01, START_DELAY: 0.03}
"""Seconds a step lasts in tests that do not care."""


class LabApi:
    """A running API. `backend` is the instant one: its machines, delays and failures are open to tests."""

    def __init__(self, state: Path, *, username: str = USERNAME, api_key: str = API_KEY) -> None:
        self.state = state
        self.username = username
        self.api_key = api_key
        self.backend = InstantBackend()
        self.internal_errors: list[str] = []
        self.server = self._serve()

    def _serve(self, port: int = 0) -> ApiServer:
        server = ApiServer(self.state, self.backend, Credentials(self.username, self.api_key), port=port)
        if server.store.get(Settings, SETTINGS_ID) is None:
            server.store.put(Settings(id=SETTINGS_ID, durations=dict(QUICK)))
        server.start()
        return server

    def restart(self) -> None:
        """End the API and start it again on the same port and state; the hosts live on."""
        port = int(self.server.address.rpartition(":")[2])
        self.server.stop()
        self.internal_errors += self.server.internal_errors
        self.server = self._serve(port)

    def stop(self) -> None:
        """End the API.

        Raises AssertionError with the tracebacks when the API itself went wrong on the way: its bugs look
        like SoftLayer's faults to a client, and must not pass for them.
        """
        self.server.stop()
        self.internal_errors += self.server.internal_errors
        if self.internal_errors:
            raise AssertionError("The lab's API had internal errors:\n\n" + "\n".join(self.internal_errors))

    @property
    def endpoint(self) -> str:
        """The URL that clients use: http://127.0.0.1:PORT/xmlrpc/v3.1."""
        return self.server.endpoint

    @property
    def environment(self) -> dict[str, str]:
        """Credentials as the SDK and the program read them."""
        return {"SL_USERNAME": self.username, "SL_API_KEY": self.api_key}

    def client(self, *, username: str | None = None, api_key: str | None = None) -> Any:
        """The real SDK's client, unmodified, without a look at the user's own configuration."""
        auth = SoftLayer.BasicAuthentication(username or self.username, api_key or self.api_key)
        transport = XmlRpcTransport(endpoint_url=self.endpoint, timeout=20)
        return SoftLayer.BaseClient(auth=auth, transport=transport, config_file="/dev/null")

    # --- faults and settings -----------------------------------------------------------------------

    def fault(self, kind: str, *, count: int | None = None, **fields: Any) -> int:
        """Inject a fault (kinds: see `lab/api/faults.py`); `count` None: until cleared. Returns its id."""
        with self.server.store.transaction():
            rule = InjectedFault(id=self.server.store.next_id(), kind=kind, remaining=count, **fields)
            return self.server.faults.add(rule).id

    def clear_faults(self, number: int | None = None) -> None:
        """Take one injected fault away, or all; stuck transactions go on."""
        self.server.faults.clear(number)
        self.server.engine.notify()

    def durations(self, **seconds: float) -> None:
        """Set how long steps last, in seconds: by step, by transaction kind (`provision=60`),
        `START_DELAY`.
        """
        with self.server.store.transaction():
            settings = self.server.engine.settings()
            settings.durations |= seconds
            self.server.store.put(settings)
        self.server.engine.notify()

    def rate_limit(self, calls_a_second: int) -> None:
        """Limit calls, 0 for no limit."""
        with self.server.store.transaction():
            settings = self.server.engine.settings()
            settings.rate_limit = calls_a_second
            self.server.store.put(settings)

    # --- what happened -----------------------------------------------------------------------------

    def calls(self, service: str | None = None, method: str | None = None) -> list[dict[str, Any]]:
        """The calls made so far: at, service, method, id, outcome. Services without `SoftLayer_`."""
        return [
            call
            for call in self.server.calls()
            if service in (None, call["service"]) and method in (None, call["method"])
        ]

    def count(self, service: str, method: str) -> int:
        """How often a method was called, failed calls too."""
        return len(self.calls(service, method))

    @property
    def ordered(self) -> int:
        """How many guests were created so far, by any method, gone ones too."""
        return sum(len(order.guests) for order in self.server.store.all(Order) if order.kind != "upgrade")

    def guests(self) -> list[Guest]:
        """The guests that exist, those being reclaimed too."""
        return self.server.store.all(Guest)

    def guest(self, number: int) -> Guest:
        """One guest. Raises LookupError when it is gone."""
        found = self.server.store.get(Guest, number)
        if found is None:
            raise LookupError(f"There is no guest {number}.")
        return found

    def step(self, number: int) -> str | None:
        """The step that a guest's transaction is in, None when it has none."""
        found = self.server.store.get(Guest, number)
        entry = self.server.store.get(Transaction, found.transaction) if found and found.transaction else None
        if entry is None or entry.finished:
            return None
        return PLANS[entry.kind].steps[entry.step].name

    def wait_idle(self, number: int, timeout: float = 20.0) -> None:
        """Wait until a guest has no transaction any more, or is gone."""

        def idle() -> bool:
            found = self.server.store.get(Guest, number)
            return found is None or found.transaction is None

        self.wait_until(idle, f"guest {number} to be idle", timeout)

    def wait_step(self, number: int, step: str, timeout: float = 20.0) -> None:
        """Wait until a guest's transaction is in that step."""
        self.wait_until(lambda: self.step(number) == step, f"guest {number} to be in {step}", timeout)

    def wait_until(self, condition: Callable[[], bool], what: str, timeout: float = 20.0) -> None:
        """Poll until `condition` holds. Raises TimeoutError with `what` it was waiting for."""
        end = time.monotonic() + timeout
        while not condition():
            if time.monotonic() > end:
                raise TimeoutError(f"Waited {timeout:.0f} s in vain for {what}.")
            time.sleep(0.005)
