"""SoftLayer_Product_Order: verifying and placing orders of guests and of upgrades."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any

from lab.api import catalog, errors
from lab.api.context import Call
from lab.api.ordering import containers, placing, prices, upgrades
from lab.api.ordering.request import GUEST_ORDER, GuestRequest
from lab.api.records import Guest, Order, iso
from lab.api.service import Service, exposed

_UPGRADE = "Virtual_Guest_Upgrade"


class ProductOrder(Service):
    """A container may come bare or within `orderContainers`; the answer has the same form."""

    name = "Product_Order"

    @exposed("verifyOrder")
    def verify_order(self, call: Call, order: dict[str, Any]) -> dict[str, Any]:
        verified = [self._verify(container) for container in _containers(order)]
        return {"orderContainers": verified} if "orderContainers" in order else verified[0]

    @exposed("placeOrder")
    def place_order(self, call: Call, order: dict[str, Any], save_as_quote: bool = False) -> dict[str, Any]:
        if save_as_quote:
            raise errors.Fault(errors.PUBLIC, "The lab does not keep quotes.")
        # Everything is checked before anything is created.
        checked = [
            (container, None if _is_upgrade(container) else self._requests(container))
            for container in _containers(order)
        ]
        receipts = []
        for container, requests in checked:
            if requests is None:
                receipts.append(self._upgrade(container))
            else:
                placed, guests = placing.place(self.lab, requests, "placeOrder")
                details = containers.verified(requests, container)
                details["virtualGuests"] = [_receipt_guest(guest) for guest in guests]
                receipts.append(_receipt(placed, details))
        if "orderContainers" in order:
            receipts[0]["orderDetails"]["orderContainers"] = [
                receipt["orderDetails"].copy() for receipt in receipts
            ]
        return receipts[0]

    def _requests(self, container: dict[str, Any]) -> list[GuestRequest]:
        kind = str(container.get("complexType") or "")
        if kind != GUEST_ORDER:
            raise errors.order_data("complexType", f"The lab takes {GUEST_ORDER}, not '{kind}'.")
        return containers.from_container(self.lab, container)

    def _verify(self, container: dict[str, Any]) -> dict[str, Any]:
        if _is_upgrade(container):
            return upgrades.verified(upgrades.check(self.lab, container), container)
        return containers.verified(self._requests(container), container)

    def _upgrade(self, container: dict[str, Any]) -> dict[str, Any]:
        upgrade = upgrades.check(self.lab, container)
        details = upgrades.verified(upgrade, container)
        hourly, monthly = prices.totals(upgrade.picks)
        placed = Order(
            id=self.lab.store.next_id(),
            kind="upgrade",
            guests=[upgrade.guest.id],
            hourly=upgrade.guest.hourly,
            hourly_total=str(hourly),
            monthly_total=str(monthly),
            descriptions=[price["item"]["description"] for price in details["prices"]],
            created=time.time(),
        )
        self.lab.store.put(placed)
        self.lab.engine.begin(
            upgrade.guest, upgrade.kind, upgrade.changes, not_before=upgrade.not_before(self.lab)
        )
        details["virtualGuests"] = [_receipt_guest(upgrade.guest)]
        return _receipt(placed, details)


def _containers(order: Any) -> list[dict[str, Any]]:
    if not isinstance(order, dict):
        raise errors.order_data("orderContainers", "The order is empty.")
    found = order.get("orderContainers", [order])
    if not isinstance(found, list) or not found:
        raise errors.order_data("orderContainers", "The order is empty.")
    return found


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
        "currencyShortName": catalog.CURRENCY,
    }
