"""From a call to its answer: finds the service, carries the call out in one transaction, filters, pages and
masks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lab.api import errors, filters, masks
from lab.api.context import Call, Lab
from lab.api.masks import Entity
from lab.api.service import Service
from lab.api.services import ALL


@dataclass(frozen=True)
class Answer:
    """What goes over the wire; `total` is the number of objects before paging, None for what is no list."""

    value: Any
    total: int | None = None


class Dispatcher:
    """All services of a lab."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._services: dict[str, Service] = {kind.name: kind(lab) for kind in ALL}

    def __call__(self, call: Call) -> Answer:
        """Carry out a call. Raises Fault; then nothing has been written."""
        service = self._services.get(call.service)
        if service is None:
            raise errors.unknown_service(f"SoftLayer_{call.service}")
        with self._lab.store.transaction():
            value, root = service.invoke(call)
            total = None
            if isinstance(value, list):
                value = _filtered(value, call.filter, root)
                total = len(value)
                if call.limit is not None:
                    value = value[call.offset : call.offset + call.limit]
            return Answer(masks.render(value, call.mask), total)


def _filtered(items: list[Any], tree: Any, root: str | None) -> list[Any]:
    """Apply the part of a filter that is about these items.

    Lists of an object's property have filters rooted at that property; whatever else the tree holds (the
    SDK adds an `id` on top when it pages) is about the object and changes nothing here. Results of a search
    are no objects with properties to filter by.
    """
    if not isinstance(tree, dict) or not all(isinstance(item, Entity) for item in items):
        return items
    if any(item.kind.startswith("Container_") for item in items):
        return items
    if root is None:
        return filters.apply(items, tree)
    for name in (root, *_ALIASES.get(root, ())):
        if name in tree:
            items = filters.apply(items, tree[name])
    return items


# The SDK filters these lists by the name of the list that they are a part of.
_ALIASES = {"hourlyVirtualGuests": ("virtualGuests",), "monthlyVirtualGuests": ("virtualGuests",)}
