"""What a plan costs, asked of the API without ordering anything.

Owns: the estimate, its comparison with what the stack has, and the refusal above a limit.
Leaves to others: showing it. Runs in the program, at preview and at up, before anything is declared.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from components.softlayer.client import Api


@dataclass(frozen=True)
class Shape:
    """All of a server that has a price; equal shapes are asked for once.

    Attributes: as in `VirtualGuestArgs`.
    """

    datacenter: str
    cores: int
    memory: int
    disks: tuple[int, ...]
    os: str
    hourly: bool = True
    local_disk: bool = True
    nic_speed: int = 100
    private_only: bool = False


@dataclass(frozen=True)
class Price:
    """In the account's currency."""

    hourly: Decimal
    monthly: Decimal


@dataclass(frozen=True)
class Estimate:
    """What the planned hosts cost and what that changes.

    Attributes:
        hosts: price by host name.
        total: of all.
        adds, removes: host names that the account will have more, or less, than now for this stack.
        currency: ISO code.
    """

    hosts: Mapping[str, Price]
    total: Price
    adds: tuple[str, ...]
    removes: tuple[str, ...]
    currency: str

    def as_output(self) -> dict[str, Any]:
        """For the stack's output `estimatedCost`: hourly, monthly, currency, hosts, adds, removes."""
        raise NotImplementedError  # follows with the first working version


def estimate(
    api: Api, shapes: Mapping[str, Shape], project: str, stack: str, max_monthly: Decimal | None = None
) -> Estimate:
    """Ask for the price of every host.

    Args:
        shapes: by host name.
        project, stack: to find what the stack has already.
        max_monthly: refuse a plan that costs more a month.

    Raises:
        CostTooHigh: above `max_monthly`; nothing has been ordered.
        SoftLayerFailed: the API cannot be reached, or refuses the key or the shape.
    """
    raise NotImplementedError  # follows with the first working version
