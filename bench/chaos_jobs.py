"""The jobs that `bench.chaos` kills: what each one is, on what it is done, what must be true in the end.

Owns: the jobs, their course when nothing disturbs them, doing one again after a kill, what is wrong then.
Leaves to others: when to kill (chaos.py), the stack and the account (harness).
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components.softlayer import journal, orders
from components.softlayer.client import Api, Credentials
from harness.account import Account
from harness.servers import STACK, Servers, ServersFailed
from lab.api.records import Order
from operations.account import strays
from operations.account.audit import Account as StackAccount
from operations.account.comparison import known
from settings.errors import UserError

SERVERS = 3
TAKES = 0.5
"""Seconds that a call which orders or cancels takes at least: many kills fall into one, it is carried out."""
AROUND_ORDERS = 0.75
"""Share of kills that fall between the first and the last call that orders or cancels."""
UP = ("up", "--yes", "--skip-preview", "--parallel", "64")
DESTROY = ("destroy", "--yes", "--skip-preview", "--parallel", "64")
_MANY = 1000


@dataclass(frozen=True)
class Job:
    """What is killed, and what must be true when the same was done to its end.

    Attributes:
        name: in the table.
        words: of pulumi.
        costly: the call that orders or cancels: service and method.
        settings: what changes before the job; None for a job that starts from nothing.
        ordered: servers ever ordered, and upgrades ordered; at most, where the killed run is not repeated.
        existing: servers in the end.
        leaves: SSH keys and security groups in the end.
    """

    name: str
    words: tuple[str, ...]
    costly: tuple[str, str]
    settings: Mapping[str, Any] | None
    ordered: tuple[int, int]
    existing: int
    leaves: tuple[int, int] = (1, 2)


_ORDER, _CANCEL = ("Virtual_Guest", "createObject"), ("Virtual_Guest", "deleteObject")
_UPGRADE = ("Product_Order", "placeOrder")
JOBS = {
    job.name: job
    for job in (
        Job("up", UP, _ORDER, None, (SERVERS, 0), SERVERS),
        Job("more memory", UP, _UPGRADE, {"memory": 4096}, (SERVERS, SERVERS), SERVERS),
        Job("replacement", UP, _ORDER, {"datacenter": "dal13"}, (2 * SERVERS, 0), SERVERS),
        Job("destroy", DESTROY, _CANCEL, {}, (SERVERS, 0), 0, leaves=(0, 0)),
        Job("up, then destroy", UP, _ORDER, None, (SERVERS, 0), 0, leaves=(0, 0)),
    )
}


@dataclass(frozen=True)
class Course:
    """The calls of an undisturbed job: how many, and the first and the last of the costly ones."""

    calls: int
    first: int
    last: int

    def moment(self, draw: random.Random) -> int:
        """A number of calls to kill after."""
        if draw.random() < AROUND_ORDERS:
            # From when the first one may be under way to when the last one still is.
            return draw.randint(max(self.first - 3, 1), max(self.last - 1, 1))
        return draw.randint(1, self.calls)


class Stage:
    """An account and a stack that are ready for a job."""

    def __init__(self, root: Path, account: Account, job: Job) -> None:
        self.lab, self.job = account.lab, job
        self.stack = Servers(root / "pulumi", account.endpoint, account.environment, SERVERS)
        if job.settings is not None:
            self.stack.up()
            self.stack.settings(dict(job.settings))
            self.lab.server.forget_calls()
        service, method = job.costly
        self._delay = self.lab.fault("delay", service=service, method=method, seconds=TAKES, count=_MANY)

    def begun(self) -> int:
        """Costly calls that have reached the API."""
        (left,) = (rule.remaining for rule in self.lab.server.faults.rules() if rule.id == self._delay)
        return _MANY - int(left or 0)

    def done(self) -> int:
        """Servers ordered, upgraded or cancelled by the job so far."""
        lab, before = self.lab, 0 if self.job.settings is None else SERVERS
        if self.job.costly == _UPGRADE:
            return sum(order.kind == "upgrade" for order in lab.server.store.all(Order))
        if self.job.costly == _ORDER:
            return lab.ordered - before
        steps = [lab.step(guest.id) or "" for guest in lab.guests()]
        return SERVERS - sum("RECLAIM" not in step for step in steps)

    def again(self) -> None:
        """The job to its end, after the kill. Raises ServersFailed."""
        self.stack.unlock()
        if self.job.name == "up, then destroy":
            self._without_strays()
            self.stack.must(*DESTROY)
        else:
            self.stack.must(*self.job.words)

    def _without_strays(self) -> None:
        """As `python -m operations destroy` does: what the killed run ordered goes, too."""
        state = known(self.stack.exported())
        if not state.owner:
            return
        api = Api(Credentials(self.lab.username, self.lab.api_key, self.lab.endpoint))
        account = StackAccount(api, state, "swarm-galera", STACK)
        notes = journal.folder(Path(self.stack.environment["XDG_STATE_HOME"]) / "swarm-galera")
        try:
            orders.await_unsettled(api, state.owner, notes)
            found = strays.strays_of(account)
            strays.cancel(account, found)
            strays.wait_gone(account, found)
        except UserError as error:
            raise ServersFailed(str(error)) from None

    def course(self) -> Course:
        """Do the job undisturbed."""
        self.stack.must(*self.job.words)
        calls = [(call["service"], call["method"]) for call in self.lab.calls()]
        costly = [number for number, call in enumerate(calls, 1) if call == self.job.costly]
        return Course(len(calls), costly[0], costly[-1])

    def wrong(self, in_state: list[int]) -> str:
        """What is not as the job wants it; empty when all is."""
        lab, job = self.lab, self.job
        guests = sorted(guest.id for guest in lab.guests())
        upgrades = sum(order.kind == "upgrade" for order in lab.server.store.all(Order))
        left = tuple(len(lab.client().call("Account", m)) for m in ("getSshKeys", "getSecurityGroups"))
        ordered = (lab.ordered, upgrades)
        if job.name == "up, then destroy":
            ordered = (max(lab.ordered, SERVERS), upgrades)
        checks: dict[str, tuple[Any, Any]] = {
            "servers and upgrades ordered": (ordered, job.ordered),
            "servers": (len(guests), job.existing),
            "servers in the state": (in_state, guests),
            "keys and groups": (left, job.leaves),
            "memory": ({guest.memory for guest in lab.guests()}, _each(job, "memory", 2048)),
            "datacenters": ({guest.datacenter for guest in lab.guests()}, _each(job, "datacenter", "tor01")),
        }
        return "; ".join(f"{what}: {is_}, not {be}" for what, (is_, be) in checks.items() if is_ != be)


def _each(job: Job, key: str, default: Any) -> set[Any]:
    return {(job.settings or {}).get(key, default)} if job.existing else set()
