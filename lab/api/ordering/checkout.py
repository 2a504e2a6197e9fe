"""Whole orders, bare or within `orderContainers`: verified, and placed. The answer has the order's form.

Owned here: that everything of an order is checked before anything is created, and its receipt. What one
container holds is checked by `containers.py` (guests) and `upgrades.py`.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any

from lab.api import errors, price_list
from lab.api.context import Lab
from lab.api.ordering import containers, placing, prices, upgrades
from lab.api.ordering.request import GUEST_ORDER, GuestRequest
from lab.api.records import Guest, Order, iso

_UPGRADE = "Virtual_Guest_Upgrade"


def verify(lab: Lab, order: Any) -> dict[str, Any]:
    """What verifyOrder answers; nothing is created. Raises Fault."""
    verified = [_verified(lab, container) for container in containers_of(order)]
    return {"orderContainers": verified} if "orderContainers" in order else verified[0]


def place(lab: Lab, order: Any) -> dict[str, Any]:
    """Create what is ordered; the receipt. Raises Fault, then nothing has been created."""
    checked = [
        (container, None if _is_upgrade(container) else _requests(lab, container))
        for container in containers_of(order)
    ]
    receipts = []
    for container, requests in checked:
        if requests is None:
            receipts.append(_upgrade(lab, container))
        else:
            placed, guests = placing.place(lab, requests, "placeOrder")
            details = containers.verified(requests, container)
            details["virtualGuests"] = [_receipt_guest(guest) for guest in guests]
            receipts.append(_receipt(placed, details))
    if "orderContainers" in order:
        receipts[0]["orderDetails"]["orderContainers"] = [
            receipt["orderDetails"].copy() for receipt in receipts
        ]
    return receipts[0]


def containers_of(order: Any) -> list[dict[str, Any]]:
    """An order's containers. Raises Fault when there is none."""
    if not isinstance(order, dict):
        raise errors.order_data("orderContainers", "The order is empty.")
    found = order.get("orderContainers", [order])
    if not isinstance(found, list) or not found or not all(isinstance(each, dict) for each in found):
        raise errors.order_data("orderContainers", "The order is empty.")
    return found


def _requests(lab: Lab, container: dict[str, Any]) -> list[GuestRequest]:
    kind = str(container.get("complexType") or "")
    if kind != GUEST_ORDER:
        raise errors.order_data("complexType", f"The lab takes {GUEST_ORDER}, not '{kind}'.")
    return containers.from_container(lab, container)


def _verified(lab: Lab, container: dict[str, Any]) -> dict[str, Any]:
    if _is_upgrade(container):
        return upgrades.verified(upgrades.check(lab, container), container)
    return containers.verified(_requests(lab, container), container)


def _upgrade(lab: Lab, container: dict[str, Any]) -> dict[str, Any]:
    upgrade = upgrades.check(lab, container)
    details = upgrades.verified(upgrade, container)
    hourly, monthly = prices.totals(upgrade.picks)
    placed = Order(
        id=lab.store.next_id(),
        kind="upgrade",
        guests=[upgrade.guest.id],
        hourly=upgrade.guest.hourly,
        hourly_total=str(hourly),
        monthly_total=str(monthly),
        descriptions=[price["item"]["description"] for price in details["prices"]],
        created=time.time(),
    )
    lab.store.put(placed)
    lab.engine.begin(upgrade.guest, upgrade.kind, upgrade.changes, not_before=upgrade.not_before(lab))
    details["virtualGuests"] = [_receipt_guest(upgrade.guest)]
    return _receipt(placed, details)


def _is_upgrade(container: dict[str, Any]) -> bool:
    return str(container.get("complexType") or "").endswith(_UPGRADE)


def _receipt_guest(guest: Guest) -> dict[str, Any]:
    return {
        "id": guest.id,
        "globalIdentifier": guest.guid,
        "hostname": guest.hostname,
        "domain": guest.domain,
        "fullyQualifiedDomainName": guest.name,
    }


def _receipt(order: Order, details: dict[str, Any]) -> dict[str, Any]:
    return {
        "orderId": order.id,
        "orderDate": iso(order.created),
        "orderDetails": details,
        "placedOrder": {
            "id": order.id,
            "status": "PENDING_AUTO_APPROVAL",
            "createDate": datetime.fromtimestamp(order.created, UTC).isoformat(timespec="seconds"),
            "items": [{"description": text} for text in order.descriptions],
        },
        "total": order.hourly_total if order.hourly else order.monthly_total,
        "currencyShortName": price_list.CURRENCY,
    }
