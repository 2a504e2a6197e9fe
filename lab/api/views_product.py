"""How the catalog looks over the wire: packages, items, prices, flavors, datacenters, operating systems."""

from __future__ import annotations

from typing import Any

from lab.api import catalog, locations, price_list
from lab.api.masks import Entity


def category_view(category: catalog.Category) -> Entity:
    """SoftLayer_Product_Item_Category."""
    return Entity(
        "Product_Item_Category", {"id": category.id, "categoryCode": category.code, "name": category.name}
    )


def system_view(system: catalog.OperatingSystem) -> Entity:
    """SoftLayer_Software_Description."""
    return Entity(
        "Software_Description",
        {
            "id": 1000 + catalog.OPERATING_SYSTEMS.index(system),
            "name": system.name,
            "version": system.version,
            "manufacturer": system.manufacturer,
            "referenceCode": system.code,
            "longDescription": f"{system.manufacturer} {system.name} {system.version}",
            "operatingSystem": 1,
        },
    )


def item_view(item: price_list.Item) -> Entity:
    """SoftLayer_Product_Item. `capacity` is text, as SoftLayer sends it."""
    return Entity(
        "Product_Item",
        {
            "id": item.id,
            "keyName": item.key,
            "description": item.description,
            "capacity": item.capacity,
            "units": item.units,
            "itemTaxCategoryId": 166,
            "itemCategory": category_view(catalog.CATEGORIES[item.categories[0]]),
        },
        {
            "prices": lambda: [price_view(entry) for entry in price_list.PRICES if entry.item is item],
            "categories": lambda: [category_view(catalog.CATEGORIES[code]) for code in item.categories],
            "softwareDescription": lambda: system_view(item.system) if item.system else None,
            "attributes": list,
        },
        frozenset({"requirements", "conflicts", "bundle", "upgradeItem", "downgradeItem", "capacityMaximum"}),
    )


def price_view(price: price_list.Price, category: str | None = None) -> Entity:
    """SoftLayer_Product_Item_Price; with `category` bound to the one it was ordered for."""
    local: dict[str, Any] = {
        "id": price.id,
        "itemId": price.item.id,
        "locationGroupId": "",
        "setupFee": "0",
        "oneTimeFee": "0",
        "laborFee": "0",
        "sort": 0,
        "onSaleFlag": "",
        "quantity": "",
    }
    if price.hourly is not None:
        local["hourlyRecurringFee"] = price.hourly
    if price.monthly is not None:
        local["recurringFee"] = price.monthly
    codes = (category,) if category else price.item.categories
    return Entity(
        "Product_Item_Price",
        local,
        {
            "item": lambda: item_view(price.item),
            "categories": lambda: [category_view(catalog.CATEGORIES[code]) for code in codes],
            "packageReferences": lambda: [
                {"package": {"id": entry.id, "keyName": entry.key}}
                for entry in price_list.PACKAGES
                if entry.id in price.packages
            ],
        },
        frozenset(
            {
                "pricingLocationGroup",
                "capacityRestrictionMaximum",
                "capacityRestrictionMinimum",
                "capacityRestrictionType",
                "termLength",
                "hourlyRecurringFee",
                "recurringFee",
                "attributes",
            }
        ),
    )


def flavor_prices(flavor: catalog.Flavor) -> list[tuple[price_list.Price, str]]:
    """What a flavor contains: prices and the categories they fill."""
    parts = (
        (price_list.core_price(flavor.cores, dedicated=False), "guest_core"),
        (price_list.memory_price(flavor.memory), "ram"),
        (price_list.disk_price(flavor.disk, "guest_disk0", local=flavor.local), "guest_disk0"),
    )
    return [(price, category) for price, category in parts if price is not None]


def flavor_view(flavor: catalog.Flavor) -> Entity:
    """SoftLayer_Product_Package_Preset."""
    disk = "LOCAL" if flavor.local else "SAN"
    return Entity(
        "Product_Package_Preset",
        {
            "id": flavor.id,
            "keyName": flavor.key,
            "name": flavor.key.replace("_", ".", 1),
            "description": f"{flavor.cores} x 2.0 GHz, {flavor.memory} GB RAM, {flavor.disk} GB {disk}",
            "isActive": "1",
            "packageId": price_list.PUBLIC_CLOUD_SERVER,
        },
        {
            "prices": lambda: [price_view(price, category) for price, category in flavor_prices(flavor)],
            "locations": list,
            "categories": lambda: [
                category_view(catalog.CATEGORIES[category]) for _, category in flavor_prices(flavor)
            ],
        },
        frozenset({"computeGroup", "totalMinimumHourlyFee", "totalMinimumRecurringFee"}),
    )


def package_view(package: price_list.Package) -> Entity:
    """SoftLayer_Product_Package."""

    def items() -> list[Entity]:
        return [item_view(price.item) for price in package.prices]

    return Entity(
        "Product_Package",
        {
            "id": package.id,
            "keyName": package.key,
            "name": package.name,
            "description": f"<p>{package.name}</p>",
            "isActive": 1,
            "unitSize": "",
        },
        {
            "type": lambda: Entity(
                "Product_Package_Type",
                {"id": 1000 + package.id, "keyName": package.type_key, "name": package.name},
            ),
            "items": items,
            "itemPrices": lambda: [price_view(price) for price in package.prices],
            "activePresets": lambda: [flavor_view(flavor) for flavor in package.flavors],
            "accountRestrictedActivePresets": list,
            "activePresetCount": lambda: len(package.flavors),
            "regions": lambda: [_region_view(place) for place in locations.DATACENTERS],
            "locations": lambda: [datacenter_view(place) for place in locations.DATACENTERS],
            "configuration": lambda: [_configuration_view(package, code) for code in catalog.CATEGORIES],
            "categories": lambda: [category_view(category) for category in catalog.CATEGORIES.values()],
        },
    )


def _configuration_view(package: price_list.Package, code: str) -> Entity:
    category = catalog.CATEGORIES[code]
    return Entity(
        "Product_Package_Order_Configuration",
        {
            "id": package.id * 1000 + category.id,
            "packageId": package.id,
            "itemCategoryId": category.id,
            "isRequired": int(category.required),
        },
        {"itemCategory": lambda: category_view(category)},
    )


def datacenter_view(place: locations.Datacenter) -> Entity:
    """SoftLayer_Location_Datacenter."""
    return Entity(
        "Location",
        {"id": place.id, "name": place.name, "longName": place.long_name, "statusId": 2},
        {
            "regions": lambda: [_region_view(place)],
            "priceGroups": list,
            "groups": list,
            "locationAddress": lambda: {"country": "CA" if place.name in {"tor01", "mon01"} else "US"},
        },
        frozenset({"timezone", "brandCountryRestrictions"}),
    )


def place_view(name: str) -> Entity | None:
    """The datacenter of that short name."""
    place = locations.datacenter(name)
    return datacenter_view(place) if place else None


def _region_view(place: locations.Datacenter) -> Entity:
    return Entity(
        "Location_Region",
        {
            "keyname": place.region,
            "description": f"{place.name.upper()} - {place.long_name}",
            "sortOrder": 0,
        },
        {
            # A region's `location` wraps the location once more; its `locations` is a list of such wraps.
            "location": lambda: Entity("Location_Region_Location", {"location": datacenter_view(place)}),
            "locations": lambda: [
                Entity(
                    "Product_Package_Locations",
                    {"locationId": place.id, "location": datacenter_view(place)},
                )
            ],
        },
    )


def image_view(image: catalog.ImageTemplate) -> Entity:
    """SoftLayer_Virtual_Guest_Block_Device_Template_Group."""
    return Entity(
        "Virtual_Guest_Block_Device_Template_Group",
        {
            "id": image.id,
            "globalIdentifier": image.guid,
            "name": image.name,
            "note": "",
            "summary": image.name,
            "statusId": 1,
            "accountId": 0,
            "parentId": "",
            "publicFlag": 1,
            "createDate": "2026-01-01T00:00:00+00:00",
        },
        {"status": lambda: {"keyName": "ACTIVE", "name": "Active"}, "children": list},
        frozenset(
            {
                "accountReferences",
                "imageType",
                "imageTypeKeyName",
                "firstChild",
                "blockDevices",
                "datacenters",
                "datacenter",
                "tagReferences",
                "flexImageFlag",
                "account",
                "transaction",
            }
        ),
    )
