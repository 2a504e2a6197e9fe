"""Quotes: orders that are checked, priced and kept, but not placed [SDK].

What they answer is inferred from what the SDK's ordering manager and slcli read of it [I].
"""

from __future__ import annotations

import time
from typing import Any

from lab.api import errors, shapes
from lab.api.context import Lab
from lab.api.ordering import checkout
from lab.api.records import Quote, iso

LASTS = 30 * 24 * 3600.0
"""Seconds until a quote expires."""


def place(lab: Lab, order: Any) -> dict[str, Any]:
    """Keep an order of one container as a quote; its receipt. Raises Fault, as verifying the order would."""
    found = checkout.containers_of(order)
    if len(found) != 1:
        raise errors.order_data("orderContainers", "The lab keeps quotes of one container only.")
    verified = checkout.verify(lab, found[0])
    now = time.time()
    quote = Quote(
        id=lab.store.next_id(),
        name=str(order.get("quoteName") or found[0].get("quoteName") or f"Quote {time.strftime('%Y-%m-%d')}"),
        container=found[0],
        package=int(verified["packageId"]),
        prices=[int(price["id"]) for price in verified["prices"]],
        created=now,
        modified=now,
        expires=now + LASTS,
    )
    for _ in quote.prices:  # the quote's items: see views_billing.py
        lab.store.next_id()
    lab.store.put(quote)
    return {
        "orderDate": iso(now),
        "orderDetails": verified,
        "quote": {
            "id": quote.id,
            "name": quote.name,
            "status": quote.status,
            "expirationDate": iso(quote.expires),
        },
    }


def recalculated(lab: Lab, quote: Quote) -> dict[str, Any]:
    """The quote's container at today's prices. Raises Fault when it cannot be ordered any more."""
    return checkout.verify(lab, quote.container)


def ordered(container: Any) -> dict[str, Any]:
    """A container as `slcli order quote` fills it in, turned into one that orders virtual guests.

    It names the servers in `hardware`, whatever their kind, and gives SSH keys as a plain list of ids.
    """
    (found, *_) = checkout.containers_of(container)
    shapes.check(found, {"hardware": [{}], "virtualGuests": [{}], "sshKeys": []})
    hosts = found.get("hardware") or []
    guests = found.get("virtualGuests") or []
    if hosts:
        kept = [*guests, *({} for _ in hosts)]
        guests = [{**guest, **host} for guest, host in zip(kept, hosts, strict=False)]
    keys = found.get("sshKeys") or []
    if keys and not any(isinstance(key, dict) for key in keys):
        keys = [{"sshKeyIds": keys} for _ in guests]
    return {**found, "virtualGuests": guests, "sshKeys": keys}
