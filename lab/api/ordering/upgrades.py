"""Upgrade orders: from a container to the changes that an upgrade transaction makes to a guest."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from lab.api import catalog, errors, price_list, shapes
from lab.api.context import Lab
from lab.api.ordering import placing, prices
from lab.api.records import Disk, Guest, PricePick, Transaction
from lab.api.transactions import DEFAULT_START_DELAY, START_DELAY
from lab.api.views_product import flavor_prices


@dataclass
class Upgrade:
    """A checked upgrade. `window` in seconds since the epoch; `kind` names the plan of its transaction."""

    guest: Guest
    kind: str
    changes: dict[str, object]
    picks: list[PricePick]
    window: float

    def not_before(self, lab: Lab) -> float:
        """When its transaction may begin: in its maintenance window, and never quite at once."""
        delay = lab.engine.settings().durations.get(START_DELAY, DEFAULT_START_DELAY)
        return max(time.time() + delay, self.window)


def check(lab: Lab, container: dict[str, Any]) -> Upgrade:
    """Check an upgrade container. Raises Fault, also for a guest with an outstanding transaction."""
    shapes.check(container, shapes.ORDER)
    guests = container.get("virtualGuests") or []
    number = guests[0].get("id") if len(guests) == 1 and isinstance(guests[0], dict) else None
    guest = lab.store.get(Guest, int(str(number))) if str(number or "").isdigit() else None
    if guest is None:
        raise errors.not_found(number)
    entry = lab.store.get(Transaction, guest.transaction) if guest.transaction else None
    if entry is not None and not entry.finished:
        raise errors.busy()
    window = _window(container)
    package = price_list.package(price_list.PUBLIC_CLOUD_SERVER if guest.flavor else price_list.CLOUD_SERVER)
    assert package is not None
    changes: dict[str, object] = {}
    new: list[PricePick] = []
    if container.get("presetId"):
        flavor = catalog.flavor_by_id(int(container["presetId"]))
        if flavor is None or guest.flavor is None:
            raise errors.order_data("presetId", "Only a server with a flavor can change to another one.")
        changes |= {"flavor": flavor.key, "cores": flavor.cores, "memory": flavor.memory * 1024}
        new += [
            PricePick(price_id=price.id, category=category)
            for price, category in flavor_prices(flavor)
            if category != "guest_disk0"
        ]
    if container.get("prices"):
        new += prices.pick_prices(container["prices"], package, guest.hourly)
    if not new:
        raise errors.order_data("prices", "The upgrade orders nothing.")
    _apply(lab, guest, new, changes)
    replaced = {pick.category for pick in new}
    kept = [pick for pick in guest.prices if pick.category not in replaced]
    picks = kept + new
    changes["prices"] = [pick.model_dump() for pick in picks]
    kind = "upgrade" if set(changes) - {"port_speed", "prices"} else "upgrade_network"
    return Upgrade(guest, kind, changes, new, window)


def verified(upgrade: Upgrade, container: dict[str, Any]) -> dict[str, Any]:
    """What verifyOrder answers for an upgrade: the prices that it brings, in full."""
    hourly, monthly = prices.totals(upgrade.picks)
    total = str(hourly if upgrade.guest.hourly else monthly)
    return {
        **{name: value for name, value in container.items() if name != "prices"},
        "packageId": price_list.PUBLIC_CLOUD_SERVER if upgrade.guest.flavor else price_list.CLOUD_SERVER,
        "useHourlyPricing": upgrade.guest.hourly,
        "prices": [prices.price_struct(pick) for pick in upgrade.picks],
        "currencyShortName": price_list.CURRENCY,
        "preTaxRecurring": total,
        "postTaxRecurring": total,
    }


def _apply(lab: Lab, guest: Guest, picks: list[PricePick], changes: dict[str, object]) -> None:
    disks = {disk.device: disk.model_copy() for disk in guest.disks}
    for pick in picks:
        price = price_list.price(pick.price_id)
        assert price is not None
        item, capacity = price.item, int(price.item.capacity)
        if pick.category == "guest_core":
            if (item.units == "PRIVATE_CORE") is not guest.dedicated:
                raise errors.order_data("prices", "Dedicated and shared cores cannot be exchanged.")
            changes["cores"] = capacity
        elif pick.category == "ram":
            changes["memory"] = capacity * 1024
        elif pick.category == "port_speed":
            if ("Public" in item.description) is guest.private_only:
                raise errors.order_data("prices", "The uplink does not fit the server's networks.")
            changes["port_speed"] = capacity
        elif pick.category in catalog.DISK_CATEGORIES:
            _grow(lab, guest, disks, pick.category, item, capacity)
            changes["disks"] = [disk.model_dump() for _, disk in sorted(disks.items())]
        else:
            raise errors.order_data("prices", f"Category {pick.category} cannot be upgraded.")


def _grow(
    lab: Lab, guest: Guest, disks: dict[int, Disk], category: str, item: price_list.Item, capacity: int
) -> None:
    if item.local_disk is not guest.local_disk:
        raise errors.order_data("prices", "Local and SAN disks cannot be mixed.")
    slot = catalog.DISK_CATEGORIES.index(category)
    device = slot if slot == 0 else slot + 1
    if device in disks:
        if capacity <= disks[device].capacity:
            raise errors.order_data(
                "prices", f"Disk {device} has {disks[device].capacity} GB: it can only be made larger."
            )
        disks[device].capacity = capacity
        return
    if slot != len(disks):
        raise errors.order_data("prices", f"The next disk to add is guest_disk{len(disks)}, not {category}.")
    disks[device] = Disk(id=placing.new_disk_id(lab, device), device=device, capacity=capacity)


def _window(container: dict[str, Any]) -> float:
    for entry in container.get("properties") or []:
        if entry.get("name") == "MAINTENANCE_WINDOW":
            text = str(entry.get("value"))
            try:
                return datetime.fromisoformat(text).timestamp()
            except ValueError:
                raise errors.order_data("properties", f"MAINTENANCE_WINDOW '{text}' is not a time.") from None
    raise errors.order_data("properties", "An upgrade needs the property MAINTENANCE_WINDOW.")
