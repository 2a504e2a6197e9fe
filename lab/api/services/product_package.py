"""SoftLayer_Product_Package and its presets: the order form, by the generic getters."""

from __future__ import annotations

from typing import Any

from lab.api import catalog, errors, price_list
from lab.api.context import Call
from lab.api.masks import Entity
from lab.api.service import Service, exposed
from lab.api.views_product import flavor_view, package_view


class ProductPackage(Service):
    """What can be ordered together."""

    name = "Product_Package"

    def entity(self, call: Call) -> Entity:
        package = price_list.package(call.number())
        if package is None:
            raise errors.not_found(call.identifier)
        return package_view(package)

    def invoke(self, call: Call) -> tuple[Any, str | None]:
        """As any service. Items bring their prices along where nothing is asked for in particular."""
        value, root = super().invoke(call)
        if call.method == "getItems" and call.mask is None:
            for item in value:
                item.local["prices"] = item.get("prices")
        return value, root

    @exposed("getObject")
    def get_object(self, call: Call) -> Entity:
        return self.entity(call)

    @exposed("getAllObjects")
    def get_all_objects(self, call: Call) -> list[Entity]:
        return [package_view(package) for package in price_list.PACKAGES]


class ProductPackagePreset(Service):
    """Flavors."""

    name = "Product_Package_Preset"

    def entity(self, call: Call) -> Entity:
        flavor = catalog.flavor_by_id(call.number())
        if flavor is None:
            raise errors.not_found(call.identifier)
        return flavor_view(flavor)

    @exposed("getObject")
    def get_object(self, call: Call) -> Entity:
        return self.entity(call)
