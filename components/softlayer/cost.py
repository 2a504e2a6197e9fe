"""What a plan costs, asked of the API without ordering anything.

Owns: the estimate, the refusal above a limit, the comparison with what the stack pays now.
Leaves to others: showing it (components/cost_report.py).

Runs in the program, at preview and at up. Prices of the plan come from `Product_Order::verifyOrder`, which
creates nothing, before any resource is declared. What is paid now comes from the billing items of the servers
that carry the stack's identity; those that it adopted carry none, and cost the same without it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal, InvalidOperation
from typing import Any

from components.softlayer import image_orders
from components.softlayer.client import Api
from components.softlayer.errors import CostTooHigh, SoftLayerFailed, explaining
from components.softlayer.guest_seen import Guest
from components.softlayer.guest_spec import priced, shown
from components.softlayer.identity import owner_of, stack_tag
from settings.server import Server

HOURS_A_MONTH = Decimal(730)
"""8760 hours a year over 12: what an hourly server costs when it runs all month."""

PATIENCE = 15.0
"""Seconds until an API that cannot be reached is an error: nothing has begun, and somebody is watching."""
_EXISTING_MASK = (
    "mask[id,hostname,domain,hourlyBillingFlag,userData[value],tagReferences[tag[name]],"
    "provisionDate,startCpus,maxMemory,blockDevices[device,mountType,"
    "diskImage[capacity,units,metadataFlag,type[keyName]]],"
    "activeTransaction[transactionStatus[name]],"
    "billingItem[id,hourlyRecurringFee,recurringFee,"
    "children[id,hourlyRecurringFee,recurringFee,cancellationDate]]]"
)


@dataclass(frozen=True)
class Price:
    """In the account's currency. Of an hourly server, `monthly` is what it costs when it runs all month."""

    hourly: Decimal
    monthly: Decimal

    def __add__(self, other: Price) -> Price:
        return Price(self.hourly + other.hourly, self.monthly + other.monthly)

    def __sub__(self, other: Price) -> Price:
        return Price(self.hourly - other.hourly, self.monthly - other.monthly)

    def about(self, other: Price) -> bool:
        """Whether it is the same price, as far as it is ever shown."""
        return self.as_output() == other.as_output()

    def as_output(self) -> dict[str, float]:
        """Numbers for the stack's outputs: four decimals an hour, two a month."""
        return {"hourly": round(float(self.hourly), 4), "monthly": round(float(self.monthly), 2)}


NOTHING = Price(Decimal(0), Decimal(0))


@dataclass(frozen=True)
class Estimate:
    """What the planned hosts cost and what that changes.

    Attributes:
        hosts: price by host name, without hosts that are adopted.
        total: of all.
        currency: ISO code.
        before: what the stack pays now.
        adds, removes: host names that the account will have more, or fewer, for this stack than it has now.
        resized: host names that stay and cost something else than now.
        added, removed: what `adds` will cost, and what `removes` costs now.
        guests: the stack's servers as they are now, by host name.
    """

    hosts: Mapping[str, Price]
    total: Price
    currency: str
    before: Price = NOTHING
    adds: tuple[str, ...] = ()
    removes: tuple[str, ...] = ()
    resized: tuple[str, ...] = ()
    added: Price = NOTHING
    removed: Price = NOTHING
    guests: Mapping[str, Guest] = field(default_factory=dict)

    @property
    def change(self) -> Price:
        """What the plan adds to (or, below zero, takes off) what the stack pays now."""
        return self.total - self.before

    def as_output(self) -> dict[str, Any]:
        """For the output `estimatedCost`: hourly, monthly, currency, hosts.

        What a run changes is told in its log, not here: the next run would change the output again.
        """
        return {
            **self.total.as_output(),
            "currency": self.currency,
            "hosts": {name: price.as_output() for name, price in self.hosts.items()},
        }


def estimate(api: Api, servers: Mapping[str, Server], max_monthly: Decimal | None = None) -> Estimate:
    """Ask for the price of every host: one pair of calls for each kind of server.

    Args:
        servers: by host name, without hosts that are adopted.
        max_monthly: refuse a plan that costs more a month.

    Raises:
        CostTooHigh: above `max_monthly`; nothing has been ordered.
        SoftLayerFailed: the API cannot be reached, or refuses the key or a server.
    """
    api = api.patient_for(PATIENCE)
    prices: dict[Server, Price] = {}
    currency = "USD"
    for server in dict.fromkeys(servers.values()):
        with explaining(
            f"asking for the price of a server ({shown(server)})", left="Nothing has been ordered."
        ):
            template = image_orders.without_image(priced(server))
            order = api.call("Virtual_Guest", "generateOrderTemplate", template)
            if server.image:
                order = image_orders.with_image(order, server.image)
            verified = api.call("Product_Order", "verifyOrder", order)
        prices[server] = price_of(verified.get("prices") or (), hourly=server.hourly)
        currency = str(verified.get("currencyShortName") or currency)
    hosts = {name: prices[server] for name, server in servers.items()}
    total = sum(hosts.values(), NOTHING)
    if max_monthly is not None and total.monthly > max_monthly:
        raise CostTooHigh(
            f"the plan costs {total.monthly:.2f} {currency} a month, maxMonthlyCost is {max_monthly:.2f}: "
            f"nothing has been ordered. Have fewer or smaller servers, or raise the limit: "
            f"`pulumi config set swarm-galera:maxMonthlyCost {total.monthly.__ceil__()}`"
        )
    return Estimate(hosts=hosts, total=total, currency=currency)


def compared(api: Api, plan: Estimate, owner: str | None) -> Estimate:
    """The plan beside what the stack pays now.

    Args:
        owner: the stack's identity; None when it has none yet, and so no servers.

    Raises:
        SoftLayerFailed: the API cannot be reached, or names no price of a server.
    """
    now: list[Guest] = []
    if owner is not None:
        with explaining("looking at what the stack has already", left="Nothing has been ordered."):
            now = existing(api.patient_for(PATIENCE), owner, plan.hosts)
    paid = {guest.id: paid_for(guest.raw) for guest in now}
    kept: dict[str, Guest] = {}
    for guest in now:
        if guest.hostname in plan.hosts:
            kept.setdefault(guest.hostname, guest)
    # Of two servers of one name, one is too many: it has another identity, or is about to be replaced.
    surplus = [guest for guest in now if kept.get(guest.hostname) is not guest]
    adds = tuple(name for name in plan.hosts if name not in kept)
    return replace(
        plan,
        before=sum(paid.values(), NOTHING),
        adds=adds,
        removes=tuple(guest.hostname for guest in surplus),
        resized=tuple(name for name, guest in kept.items() if not plan.hosts[name].about(paid[guest.id])),
        added=sum((plan.hosts[name] for name in adds), NOTHING),
        removed=sum((paid[guest.id] for guest in surplus), NOTHING),
        guests={guest.hostname: guest for guest in surplus} | kept,
    )


def price_of(prices: Iterable[Mapping[str, Any]], *, hourly: bool) -> Price:
    """The sum of an order's prices.

    Raises:
        SoftLayerFailed: a fee is not a number, or there is none at all: none is better than a wrong one.
    """
    rows = list(prices)
    if not rows:
        raise SoftLayerFailed("the API named no price; run the same command again")
    key = "hourlyRecurringFee" if hourly else "recurringFee"
    total = sum((_fee(row, key) for row in rows), Decimal(0))
    return Price(total, total * HOURS_A_MONTH) if hourly else Price(total / HOURS_A_MONTH, total)


def _fee(row: Mapping[str, Any], key: str) -> Decimal:
    value = row.get(key)
    if value in (None, ""):
        return Decimal(0)
    try:
        return Decimal(str(value))
    except InvalidOperation:
        raise SoftLayerFailed(f"the API named a price that is no number: {key} = {value!r}") from None


def existing(api: Api, owner: str, hostnames: Iterable[str]) -> list[Guest]:
    """The servers of a stack that are not cancelled, with what is paid for them.

    Asked for by the stack's tag, and by the planned names: one that never got its tags costs as much.
    """
    wheres: list[dict[str, Any]] = [{"tagReferences": {"tag": {"name": _in([stack_tag(owner)])}}}]
    if names := list(hostnames):
        wheres.append({"hostname": _in(names)})
    rows = [row for where in wheres for row in api.list("getVirtualGuests", mask=_EXISTING_MASK, where=where)]
    found = {
        guest.id: guest
        for guest in map(Guest, rows)
        if guest.marker is not None and owner_of(guest.marker) == owner and not guest.reclaiming
    }
    return list(found.values())


def _in(values: Iterable[str]) -> dict[str, Any]:
    return {"operation": "in", "options": [{"name": "data", "value": list(values)}]}


def paid_for(row: Mapping[str, Any]) -> Price:
    """What a guest's billing item and its children cost; nothing while it has none yet."""
    item = row.get("billingItem") or {}
    items = [item, *(child for child in item.get("children") or () if not child.get("cancellationDate"))]
    return price_of(items, hourly=bool(row.get("hourlyBillingFlag")))
