"""What every service needs: the store, the networks, the engine, the faults, and who is asking; and what
admin calls need of a running API. No behaviour.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from lab.api import errors
from lab.api.credentials import Credentials
from lab.api.faults import FaultInjector
from lab.api.locations import Networks
from lab.api.masks import Mask
from lab.api.meter import Meter
from lab.api.store import Store
from lab.api.transactions import Engine
from lab.hosts.backend import PowerState

ACCOUNT_ID = 307608


@dataclass(frozen=True)
class Lab:
    """The API's parts. `power` tells what a machine is doing; `images` are what the backend can install
    (None: anything).
    """

    store: Store
    engine: Engine
    faults: FaultInjector
    meter: Meter
    networks: Networks
    username: str
    power: Callable[[int], PowerState]
    images: frozenset[str] | None = None


class Administered(Protocol):
    """A running API, as admin calls see it."""

    @property
    def credentials(self) -> Credentials: ...
    @property
    def store(self) -> Store: ...
    @property
    def engine(self) -> Engine: ...
    @property
    def faults(self) -> FaultInjector: ...

    def calls(self) -> list[dict[str, Any]]:
        """The calls answered so far, oldest first."""

    def forget_calls(self) -> None:
        """Begin the list of calls anew."""


@dataclass(frozen=True)
class Call:
    """One request: the service without its prefix, the method, and what its headers said."""

    service: str
    method: str
    args: tuple[Any, ...] = ()
    identifier: Any = None
    mask: Mask | None = None
    filter: Any = None
    limit: int | None = None
    offset: int = 0
    username: str = field(default="", compare=False)

    def number(self) -> int:
        """The id from InitParameters. Raises Fault when there is none or it is no number."""
        if self.identifier is None:
            raise errors.Fault(errors.PUBLIC, "Object does not exist to execute method on.")
        try:
            return int(str(self.identifier))
        except ValueError:
            raise errors.not_found(self.identifier) from None
