"""Cores, memory, disks and network speed of an existing guest, changed by an upgrade order.

Owns: finding the prices, placing the order once, waiting until the guest has what was ordered.
Leaves to others: everything that needs no order.

Cores, memory and disks reboot the server. Like every order, an upgrade is never placed again blindly: what
the guest has is read first, and an order whose answer was lost is waited for.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from SoftLayer import exceptions as sl

from components.softlayer import guests
from components.softlayer.client import Api
from components.softlayer.errors import SoftLayerFailed, explaining, is_busy, outcome_unknown
from components.softlayer.guest_seen import Guest
from components.softlayer.guest_spec import GuestSpec, changing
from components.softlayer.progress import say, wait_for
from settings.server import Change, Server

BEGIN_LIMIT = 120.0
"""Seconds until an upgrade whose order's answer was lost must have begun."""
_PRICE_MASK = "mask[id,locationGroupId,categories[id,name,categoryCode],item[description,capacity,units]]"


REBOOTING = changing(Change.REBOOT)
"""Properties that an upgrade order changes with a reboot."""
SIZES = REBOOTING | {"nic_speed"}
"""Properties that an upgrade order changes."""


def rebooting(guest: Guest, server: Server, changed: Collection[str] = REBOOTING) -> dict[str, int]:
    """What an upgrade that reboots must change: category code of the price to the capacity wanted.

    Args:
        changed: only these properties.
    """
    wanted: dict[str, int] = {}
    if "cores" in changed and int(guest.raw.get("startCpus", 0)) != server.cores:
        wanted["guest_core"] = server.cores
    if "memory" in changed and int(guest.raw.get("maxMemory", 0)) != server.memory:
        wanted["ram"] = server.memory // 1024
    if "disks" in changed:
        for position, size in enumerate(server.disks):
            if position >= len(guest.disks) or guest.disks[position] < size:
                wanted[f"guest_disk{position}"] = size
    return wanted


def missing(guest: Guest, spec: GuestSpec, changed: Collection[str]) -> dict[str, int]:
    """What an upgrade must change: category code of the price to the capacity wanted (cores, GB, Mbit/s).

    Args:
        changed: the properties whose declaration changed. What differs without that was changed by hand:
            nobody asked to have it ordered.
    """
    wanted = rebooting(guest, spec, changed)
    speeds = {guest.interface(side).get("maxSpeed") for side in ("public", "private")} - {None}
    if "nic_speed" in changed and speeds and speeds != {spec.nic_speed}:
        wanted["port_speed"] = spec.nic_speed
    return wanted


def require_growth(guest: Guest, spec: GuestSpec) -> None:
    """Refuse disks that an upgrade cannot bring about: a disk is larger than declared, or none is told.

    Raises:
        SoftLayerFailed: names the disk; nothing has been ordered.
    """
    if not guest.disks:
        raise SoftLayerFailed(
            f"{spec.name}: the API does not tell which disks the server {guest.id} has, so none is ordered; "
            "run the same command again"
        )
    for number, (actual, size) in enumerate(zip(guest.disks, spec.disks, strict=False), 1):
        if actual > size:
            raise SoftLayerFailed(
                f"{spec.name}: disk {number} has {actual} GB, the settings say {size}, and disks only grow: "
                f"set `disks` to what is there ({', '.join(map(str, guest.disks))}) or more. "
                "Nothing has been ordered"
            )


def pick_prices(
    offered: Iterable[Mapping[str, Any]], wanted: Mapping[str, int], name: str, *, private_only: bool
) -> list[dict[str, Any]]:
    """The prices of an upgrade order.

    Args:
        offered: what `getUpgradeItemPrices` returned.
        wanted: category code to capacity.
        name: for messages.
        private_only: a server without a public interface has uplinks of its own.

    Raises:
        SoftLayerFailed: a capacity is not offered; says which are.
    """
    rows = list(offered)
    picked = []
    for category_code, capacity in wanted.items():
        matches = [
            (price, category)
            for price in rows
            for category in price.get("categories") or ()
            if category.get("categoryCode") == category_code
            # Prices of a location group are for places that have their own; the standard one fits everywhere.
            and price.get("locationGroupId") in (None, "")
            and (price.get("item") or {}).get("units") not in ("PRIVATE_CORE", "DEDICATED_CORE")
            and (category_code != "port_speed" or _is_private_uplink(price) == private_only)
        ]
        fitting = [m for m in matches if _capacity(m[0]) == capacity]
        if not fitting:
            sizes = ", ".join(str(c) for c in sorted({_capacity(p) for p, _ in matches})) or "none"
            raise SoftLayerFailed(
                f"{name}: {category_code} cannot be changed to {capacity}; offered for this server: {sizes}. "
                "Nothing has been ordered"
            )
        price, category = fitting[0]
        # Disk prices serve several slots: the order must say which one is meant.
        picked.append(
            {"id": price["id"], "categories": [{"id": category["id"], "categoryCode": category_code}]}
        )
    return picked


def _is_private_uplink(price: Mapping[str, Any]) -> bool:
    return "public" not in str((price.get("item") or {}).get("description", "")).lower()


def _capacity(price: Mapping[str, Any]) -> int:
    try:
        return int(float((price.get("item") or {}).get("capacity") or 0))
    except ValueError:
        return 0


def upgrade(api: Api, guest_id: int, spec: GuestSpec, changed: Collection[str]) -> None:
    """Bring those of cores, memory, disks and network speed that changed to what is declared.

    Raises:
        SoftLayerFailed: a size is not sold, or the API refuses; says what is left behind.
        WaitedTooLong: the upgrade did not end.
    """

    def place() -> bool:
        guest = guests.wait_idle(api, guest_id, spec.name)
        if guest is None:
            raise SoftLayerFailed(f"{spec.name}: the server {guest_id} is gone; run `pulumi refresh`")
        if "disks" in changed:
            require_growth(guest, spec)
        wanted = missing(guest, spec, changed)
        if not wanted:
            return True
        offered = api.call("Virtual_Guest", "getUpgradeItemPrices", True, id=guest_id, mask=_PRICE_MASK)
        order = {
            "complexType": "SoftLayer_Container_Product_Order_Virtual_Guest_Upgrade",
            "virtualGuests": [{"id": guest_id}],
            "prices": pick_prices(offered, wanted, spec.name, private_only=spec.private_only),
            "properties": [
                {
                    "name": "MAINTENANCE_WINDOW",
                    "value": dt.datetime.now(dt.UTC).strftime("%Y-%m-%d %H:%M:%S%z"),
                }
            ],
        }
        try:
            api.insist("Product_Order", "placeOrder", order)
        except sl.SoftLayerAPIError as error:
            if is_busy(error):
                return False
            if not outcome_unknown(error):
                raise
            say(f"{spec.name}: the answer to the upgrade's order was lost; waiting whether it begins")
            _wait_begun(api, guest_id, spec, changed)
        return True

    def reached() -> tuple[bool | None, str]:
        guest = guests.get(api, guest_id)
        if guest is None:
            raise SoftLayerFailed(f"{spec.name}: the server {guest_id} vanished during its upgrade")
        wanted = missing(guest, spec, changed)
        if not wanted and guest.transaction is None:
            return True, ""
        return None, f"transaction {guest.transaction}" if guest.transaction else "not begun yet"

    with explaining(f"{spec.name}: upgrading", left="The server is as it was."):
        wait_for(
            f"{spec.name}: placing the upgrade's order",
            lambda: (place() or None, "refused because of an outstanding transaction"),
            guests.TRANSACTION_LIMIT,
            guests.STUCK,
        )
        wait_for(f"{spec.name}: upgrading", reached, guests.TRANSACTION_LIMIT, guests.STUCK)


def _wait_begun(api: Api, guest_id: int, spec: GuestSpec, changed: Collection[str]) -> None:
    def look() -> tuple[bool | None, str]:
        guest = guests.get(api, guest_id)
        begun = guest is None or guest.transaction is not None or not missing(guest, spec, changed)
        return (True, "") if begun else (None, "not begun yet")

    wait_for(
        f"{spec.name}: looking for an upgrade whose order's answer was lost",
        look,
        BEGIN_LIMIT,
        "it was probably not ordered; run the same command again: it looks at what the server has first",
    )
