"""Faults on purpose: what a client may meet on a bad day, as rules that calls and transaction steps are
held against.

Kinds for calls: `lost-response` (done, then the connection breaks), `drop` (the connection breaks, nothing
is done), `http-500`, `http-429` and others, `rate-limit`, `fault` (any code and message), `set-tags`
(setTags fails), `delay` (`seconds` before the answer), `stale-list` (a list stays as it was when it was
first asked for under the rule). With `after` the call is carried out first and then fails in that way.
Kinds for transactions: `slow` (a step takes `seconds` longer), `stuck` (a step waits until the rule is
cleared), `backend` (a step's machine call fails), `partial-ips` (the public address stays hidden for
`seconds` after provisioning; without seconds until the rule is cleared; `interface` names another one).
"""

from __future__ import annotations

import threading
import time
from collections import deque
from fnmatch import fnmatchcase

from lab.api import errors
from lab.api.records import InjectedFault
from lab.api.store import Store

_STATUSES = (401, 403, 404, 408, 413, 429, 500, 503)
CALL_KINDS = (
    "lost-response",
    "drop",
    *(f"http-{status}" for status in _STATUSES),
    "rate-limit",
    "fault",
    "set-tags",
    "delay",
    "stale-list",
)
STEP_KINDS = ("slow", "stuck", "backend", "partial-ips")
KINDS = CALL_KINDS + STEP_KINDS
INTERFACES = ("public", "private", "*")


class FaultInjector:
    """The rules, kept in the store. Each use of a rule with a count takes one off."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def add(self, rule: InjectedFault) -> InjectedFault:
        """Keep a rule. Raises ValueError with a remedy when it makes no sense."""
        if rule.kind not in KINDS:
            raise ValueError(f"Unknown fault kind '{rule.kind}'. Choose one of: {', '.join(KINDS)}.")
        if rule.kind in {"slow", "delay"} and rule.seconds <= 0:
            raise ValueError(f"The fault '{rule.kind}' needs a number of seconds above 0.")
        if rule.remaining is not None and rule.remaining < 1:
            raise ValueError("A fault's count must be 1 or more; leave it out for a fault that stays.")
        if rule.interface not in INTERFACES:
            raise ValueError(
                f"A fault's interface is one of: {', '.join(INTERFACES)}; not '{rule.interface}'."
            )
        if rule.kind == "set-tags":
            rule.method = "setTags"
        self._store.put(rule)
        return rule

    def rules(self) -> list[InjectedFault]:
        """All rules, used up ones too: they are kept until cleared."""
        return self._store.all(InjectedFault)

    def clear(self, number: int | None = None) -> int:
        """Forget one rule, or all; returns how many."""
        with self._store.transaction():
            rules = [rule for rule in self.rules() if number is None or rule.id == number]
            for rule in rules:
                self._store.delete(rule)
        return len(rules)

    def present(self, number: int) -> bool:
        """Whether a rule has not been cleared."""
        return self._store.get(InjectedFault, number) is not None

    def for_call(self, service: str, method: str, hostnames: list[str]) -> list[InjectedFault]:
        """The rules that this call meets, in the order they were made: delays first, then at most one
        failure.
        """
        met: list[InjectedFault] = []
        with self._store.transaction():
            for rule in self.rules():
                if rule.kind not in CALL_KINDS or not _fits_call(rule, service, method, hostnames):
                    continue
                if rule.kind != "delay" and any(other.kind != "delay" for other in met):
                    continue
                if self._use(rule):
                    met.append(rule)
        return met

    def for_step(
        self, kind: str, step: str, hostname: str, interface: str | None = None
    ) -> InjectedFault | None:
        """The rule of this kind that a transaction's step meets, or None. `interface`: private or public, for
        `partial-ips`.
        """
        with self._store.transaction():
            for rule in self.rules():
                if rule.kind != kind or not fnmatchcase(step, rule.step):
                    continue
                if interface is not None and not fnmatchcase(interface, rule.interface):
                    continue
                if fnmatchcase(hostname, rule.hostname) and self._use(rule):
                    return rule
        return None

    def _use(self, rule: InjectedFault) -> bool:
        if rule.remaining == 0:
            return False
        if rule.skip:
            rule.skip -= 1
            self._store.put(rule)
            return False
        if rule.remaining is not None:
            rule.remaining -= 1
            self._store.put(rule)
        return True


def to_fault(rule: InjectedFault) -> errors.Fault | None:
    """The XML-RPC fault that a rule stands for; None for the kinds that are no faults."""
    match rule.kind:
        case "rate-limit":
            return errors.rate_limited(50)
        case "fault":
            return errors.Fault(rule.code or errors.PUBLIC, rule.message or "Injected fault.")
        case "set-tags":
            code = rule.code or errors.PUBLIC
            return errors.Fault(code, rule.message or "Unable to set tags on this virtual guest yet.")
    return None


class RateLimiter:
    """Counts calls within the last second."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._calls: deque[float] = deque()

    def exceeded(self, limit: int) -> bool:
        """Count one call; whether it is one too many for `limit` calls a second (0: never)."""
        if limit <= 0:
            return False
        now = time.monotonic()
        with self._lock:
            while self._calls and now - self._calls[0] >= 1.0:
                self._calls.popleft()
            if len(self._calls) >= limit:
                return True
            self._calls.append(now)
            return False


def _fits_call(rule: InjectedFault, service: str, method: str, hostnames: list[str]) -> bool:
    wanted = rule.service.removeprefix("SoftLayer_")
    if not fnmatchcase(service, wanted) or not fnmatchcase(method, rule.method):
        return False
    return rule.hostname == "*" or any(fnmatchcase(name, rule.hostname) for name in hostnames)
