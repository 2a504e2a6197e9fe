"""How money looks over the wire: billing items of guests, orders, quotes, and the user who placed them."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from lab.api import catalog, price_list
from lab.api.context import ACCOUNT_ID, Lab
from lab.api.masks import Entity
from lab.api.records import Guest, Order, Quote, iso
from lab.api.views_product import category_view, place_view
from lab.api.views_reference import guest_reference

_HOURLY = frozenset({"hourlyRecurringFee"})
"""A property of every billing item, which those that are billed by the month leave out."""


def _fee(guest: Guest, price: price_list.Price) -> str:
    return (price.hourly if guest.hourly else price.monthly) or "0"


def billing_view(lab: Lab, guest: Guest) -> Entity:
    """SoftLayer_Billing_Item_Virtual_Guest: the core's item with one child for each other price."""
    picks = [(price_list.price(pick.price_id), pick.category) for pick in guest.prices]
    items = [(price, category) for price, category in picks if price is not None]

    def children() -> list[Entity]:
        return [
            _child_item(guest, position, price, category)
            for position, (price, category) in enumerate(items)
            if category != "guest_core"
        ]

    core = next((price for price, category in items if category == "guest_core"), None)
    package = price_list.package(price_list.PUBLIC_CLOUD_SERVER if guest.flavor else price_list.CLOUD_SERVER)
    total = sum((Decimal(_fee(guest, price)) for price, _ in items), Decimal(0))
    return Entity(
        "Billing_Item_Virtual_Guest",
        _core_item(guest, core),
        {
            "package": lambda: (
                {"id": package.id, "keyName": package.key, "name": package.name} if package else None
            ),
            "children": children,
            "nextInvoiceChildren": children,
            "nextInvoiceTotalRecurringAmount": lambda: str(total),
            "orderItem": lambda: _order_item(lab, guest),
            "hourlyFlag": lambda: guest.hourly,
            "location": lambda: place_view(guest.datacenter),
            "category": lambda: category_view(catalog.CATEGORIES["guest_core"]),
            "resource": lambda: guest_reference(lab, guest),
        },
        _HOURLY | {"cancellationReason", "invoiceItem", "upgradeItem", "associatedBillingItem"},
    )


def _core_item(guest: Guest, core: price_list.Price | None) -> dict[str, Any]:
    """What the item of the cores, which stands for the whole server, says of itself."""
    local: dict[str, Any] = {
        "id": guest.billing_item,
        "categoryCode": "guest_core",
        "description": core.item.description if core else "",
        "hostName": guest.hostname,
        "domainName": guest.domain,
        "recurringFee": (core.monthly if core else None) or "0",
        "cancellationDate": "",
        "createDate": iso(guest.created),
        "orderItemId": guest.billing_item + 3,
        "resourceName": guest.name,
        "resourceTableId": guest.id,
    }
    if guest.hourly:
        local["hourlyRecurringFee"] = (core.hourly if core else None) or "0"
    return local


def _child_item(guest: Guest, position: int, price: price_list.Price, category: str) -> Entity:
    local: dict[str, Any] = {
        "id": guest.billing_item + 10 + position,
        "parentId": guest.billing_item,
        "categoryCode": category,
        "description": price.item.description,
        "recurringFee": price.monthly or "0",
        "cancellationDate": "",
        "createDate": iso(guest.created),
        "nextInvoiceTotalRecurringAmount": _fee(guest, price),
    }
    if guest.hourly:
        local["hourlyRecurringFee"] = price.hourly or "0"
    return Entity(
        "Billing_Item",
        local,
        {
            "category": lambda: category_view(catalog.CATEGORIES[category]),
            "item": lambda: None,
            "location": lambda: None,
            "hourlyFlag": lambda: guest.hourly,
        },
        _HOURLY,
    )


def _order_item(lab: Lab, guest: Guest) -> Entity:
    order = lab.store.get(Order, guest.order_id)
    return Entity(
        "Billing_Order_Item",
        {"id": guest.billing_item + 3, "billingOrderId": guest.order_id},
        {
            "order": lambda: order_view(lab, order) if order else None,
            "preset": lambda: {"keyName": guest.flavor} if guest.flavor else None,
        },
    )


def order_view(lab: Lab, order: Order) -> Entity:
    """SoftLayer_Billing_Order."""
    total = order.hourly_total if order.hourly else order.monthly_total
    return Entity(
        "Billing_Order",
        {
            "id": order.id,
            "accountId": ACCOUNT_ID,
            "createDate": iso(order.created),
            "modifyDate": iso(order.created),
            "orderApprovalDate": iso(order.created),
            "status": "APPROVED",
            "orderTypeId": 4,
        },
        {
            "orderTotalAmount": lambda: total,
            "userRecord": lambda: user_view(lab),
            "items": lambda: [{"description": text} for text in order.descriptions],
            "initialInvoice": lambda: {
                "id": order.id + 1,
                "amount": total,
                "invoiceTotalAmount": total,
                "invoiceTopLevelItems": [],
            },
            "orderTypeId": lambda: 4,
        },
        frozenset({"presaleEvent", "quote"}),
    )


def quote_view(quote: Quote) -> Entity:
    """SoftLayer_Billing_Order_Quote, with one item for each of its prices."""
    package = price_list.package(quote.package)

    def item(position: int, price: price_list.Price) -> Entity:
        return Entity(
            "Billing_Order_Item",
            {
                "id": quote.id + 1 + position,
                "categoryCode": price.item.categories[0],
                "description": price.item.description,
                "quantity": int(quote.container.get("quantity") or 1),
                "recurringFee": price.monthly or "0",
                "oneTimeFee": "0",
            },
            {
                "package": lambda: (
                    {"id": package.id, "keyName": package.key, "name": package.name} if package else None
                )
            },
        )

    def items() -> list[Entity]:
        found = [price_list.price(number) for number in quote.prices]
        return [item(position, price) for position, price in enumerate(found) if price]

    return Entity(
        "Billing_Order_Quote",
        {
            "id": quote.id,
            "accountId": ACCOUNT_ID,
            "name": quote.name,
            "status": quote.status,
            "createDate": iso(quote.created),
            "modifyDate": iso(quote.modified),
            "expirationDate": iso(quote.expires),
        },
        {"order": lambda: Entity("Billing_Order", {"id": quote.id}, {"items": items})},
    )


def user_view(lab: Lab) -> Entity:
    """SoftLayer_User_Customer: the lab's one user."""
    return Entity(
        "User_Customer",
        {
            "id": ACCOUNT_ID + 1,
            "accountId": ACCOUNT_ID,
            "username": lab.username,
            "displayName": lab.username,
            "email": f"{lab.username}@example.com",
            "firstName": "Lab",
            "lastName": "User",
            "sslVpnAllowedFlag": False,
        },
        {
            "userStatus": lambda: {"id": 1001, "keyName": "ACTIVE", "name": "Active"},
            "hardwareCount": lambda: 0,
            "virtualGuestCount": lambda: len(lab.store.all(Guest)),
            "externalBindingCount": lambda: 0,
            "apiAuthenticationKeyCount": lambda: 1,
            "roles": list,
        },
        frozenset({"parent"}),
    )
