"""Orders of servers that are made from an image template.

Owns: how such an order is put together. Leaves to others: sending it (orders.py), its price (cost.py).

`createObject` and `generateOrderTemplate` take no disks together with an image ("Block devices may not be
provided when using an image template", softlayer-python issues 325, 693 and 804). So the order's container is
generated with any operating system in the image's place, whose price is then taken out; `placeOrder` takes an
image and disks together. The Terraform provider does the same (softlayer/terraform-provider-softlayer, pull
request 53).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

ANY_SYSTEM = "UBUNTU_LATEST"
"""A reference code that will not go away, and free of charge."""


def without_image(template: Mapping[str, Any]) -> dict[str, Any]:
    """A creation template as `generateOrderTemplate` takes it: as it is, or with a system for the image."""
    if not template.get("blockDeviceTemplateGroup"):
        return dict(template)
    kept = {key: value for key, value in template.items() if key != "blockDeviceTemplateGroup"}
    return {**kept, "operatingSystemReferenceCode": ANY_SYSTEM}


def with_image(order: Mapping[str, Any], image: str) -> dict[str, Any]:
    """The generated container, for the image with that global identifier."""
    guests = [
        {key: value for key, value in guest.items() if key != "operatingSystemReferenceCode"}
        | {"blockDeviceTemplateGroup": {"globalIdentifier": image}}
        for guest in order["virtualGuests"]
    ]
    return {
        **order,
        "imageTemplateGlobalIdentifier": image,
        "virtualGuests": guests,
        "prices": [price for price in order["prices"] if not _is_system(price)],
    }


def _is_system(price: Mapping[str, Any]) -> bool:
    codes = {category.get("categoryCode") for category in price.get("categories") or ()}
    return "os" in codes or "ubuntu" in str((price.get("item") or {}).get("description", "")).lower()
