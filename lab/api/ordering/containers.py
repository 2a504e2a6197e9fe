"""Order containers of virtual guests: checked, priced, and answered as verifyOrder does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lab.api import catalog, errors, locations, price_list, shapes
from lab.api.context import Lab
from lab.api.ordering import parts, prices
from lab.api.ordering.request import GUEST_ORDER, GuestRequest
from lab.api.records import PricePick
from lab.api.views_product import flavor_prices


@dataclass(frozen=True)
class _Shared:
    """What all guests of one container have in common."""

    place: locations.Datacenter
    package: price_list.Package
    flavor: catalog.Flavor | None
    image: catalog.ImageTemplate | None
    hourly: bool
    picks: list[PricePick]

    @property
    def items(self) -> dict[str, price_list.Item]:
        """What is bought, by category."""
        return {pick.category: prices.item_of(pick) for pick in self.picks}


def from_container(lab: Lab, container: Any) -> list[GuestRequest]:
    """Check one order container of virtual guests; one request for each of its guests. Raises Fault."""
    if not isinstance(container, dict):
        raise errors.order_data("orderContainers", "The order is empty.")
    shapes.check(container, shapes.ORDER)
    shared = _shared(container)
    guests = container.get("virtualGuests")
    if not isinstance(guests, list) or not guests:
        raise errors.order_data("virtualGuests", "At least one virtual guest must be given.")
    if int(container.get("quantity") or len(guests)) != len(guests):
        raise errors.order_data("quantity", "It differs from the number of virtual guests given.")
    keys = container.get("sshKeys") or []
    scripts = container.get("provisionScripts") or []
    requests = []
    for position, guest in enumerate(guests):
        key_ids = keys[position].get("sshKeyIds") if position < len(keys) else None
        script = scripts[position] if position < len(scripts) else None
        requests.append(_guest_of_container(lab, guest, shared, key_ids or [], script))
    return requests


def _shared(container: dict[str, Any]) -> _Shared:
    place = locations.datacenter_of_order(container.get("location") or "")
    if place is None:
        raise errors.order_location()
    package = _package(container)
    flavor = _preset(container, package)
    hourly = bool(container.get("useHourlyPricing", False))
    picks = prices.pick_prices(container.get("prices"), package, hourly)
    if flavor:
        taken = {pick.category for pick in picks}
        included = [
            prices.pick(price, category) for price, category in flavor_prices(flavor) if category not in taken
        ]
        picks = included + picks
    image_guid = container.get("imageTemplateGlobalIdentifier")
    image = catalog.image_template(str(image_guid)) if image_guid else None
    if image_guid and image is None:
        raise errors.not_found(image_guid)
    _complete(picks, image is not None)
    return _Shared(place, package, flavor, image, hourly, picks)


def _guest_of_container(
    lab: Lab, guest: Any, shared: _Shared, key_ids: list[Any], script: str | None
) -> GuestRequest:
    if not isinstance(guest, dict) or not guest.get("hostname") or not guest.get("domain"):
        raise errors.order_data("hardware", "Hostname and domain are not set properly.")
    hostname, domain = parts.names(guest)
    items = shared.items
    private_only = "Public" not in items["port_speed"].description
    if bool(guest.get("privateNetworkOnlyFlag")) and not private_only:
        raise errors.order_data(
            "privateNetworkOnlyFlag", "The port speed ordered is for public and private networks."
        )
    disks, local = _disks(items)
    private_vlan, public_vlan, private_groups, public_groups = parts.network_of(
        lab, guest, shared.place, private_only
    )
    template_keys = [key.get("id") for key in guest.get("sshKeys") or []]
    request = GuestRequest(
        hostname=hostname,
        domain=domain,
        datacenter=shared.place,
        cores=int(items["guest_core"].capacity),
        memory=int(items["ram"].capacity) * 1024,
        disks=disks,
        speed=int(items["port_speed"].capacity),
        local_disk=local,
        hourly=shared.hourly,
        private_only=private_only,
        private_vlan=private_vlan,
        public_vlan=public_vlan,
        picks=shared.picks,
        package=shared.package,
        system=items["os"].system if "os" in items else None,
        image=shared.image,
        flavor=shared.flavor,
        dedicated=items["guest_core"].units == "PRIVATE_CORE",
        transient=bool(guest.get("transientGuestFlag")),
        boot_mode=(guest.get("supplementalCreateObjectOptions") or {}).get("bootMode"),
        private_groups=private_groups,
        public_groups=public_groups,
        ssh_keys=parts.ssh_keys_of(lab, [{"id": number} for number in [*key_ids, *template_keys]]),
        user_data=parts.user_data_of(guest),
        post_install_uri=script or guest.get("postInstallScriptUri") or None,
        placement_group=parts.placement_of(lab, guest),
    )
    parts.check_image(lab, request.host_image)
    return request


def _disks(items: dict[str, price_list.Item]) -> tuple[dict[int, int], bool]:
    """Device to GB, and whether they are local. Device 1 is the swap disk, which nobody orders."""
    ordered = [(place, items[slot]) for place, slot in enumerate(catalog.DISK_CATEGORIES) if slot in items]
    disks = {(0 if place == 0 else place + 1): int(item.capacity) for place, item in ordered}
    kinds = {item.local_disk for _, item in ordered}
    if len(kinds) != 1:
        raise errors.order_data("prices", "Local and SAN disks cannot be mixed.")
    return disks, bool(kinds.pop())


def verified(requests: list[GuestRequest], container: dict[str, Any]) -> dict[str, Any]:
    """What verifyOrder answers: the container with all prices in full, and the totals as text."""
    first = requests[0]
    hourly, monthly = prices.totals(first.picks)
    count = len(requests)
    total = (hourly if first.hourly else monthly) * count
    answer = {name: value for name, value in container.items() if name != "prices"}
    answer.update(
        {
            "complexType": GUEST_ORDER,
            "packageId": first.package.id,
            "location": str(first.datacenter.id),
            "locationObject": {
                "id": first.datacenter.id,
                "name": first.datacenter.name,
                "longName": first.datacenter.long_name,
            },
            "quantity": count,
            "useHourlyPricing": first.hourly,
            "prices": [prices.price_struct(pick) for pick in first.picks],
            "currencyShortName": price_list.CURRENCY,
            "preTaxRecurring": str(total),
            "preTaxRecurringHourly": str(hourly * count),
            "preTaxRecurringMonthly": str(monthly * count),
            "preTaxSetup": "0",
            "postTaxRecurring": str(total),
            "postTaxRecurringHourly": str(hourly * count),
            "postTaxRecurringMonthly": str(monthly * count),
            "postTaxSetup": "0",
            "totalRecurringTax": "0",
            "totalSetupTax": "0",
        }
    )
    return answer


def _package(container: dict[str, Any]) -> price_list.Package:
    number = container.get("packageId")
    package = price_list.package(int(str(number))) if str(number or "").isdigit() else None
    if package is None:
        raise errors.order_data("packageId", f"There is no package {number}.")
    return package


def _preset(container: dict[str, Any], package: price_list.Package) -> catalog.Flavor | None:
    number = container.get("presetId")
    if not number:
        return None
    flavor = catalog.flavor_by_id(int(number))
    if flavor is None or flavor not in package.flavors:
        raise errors.order_data("presetId", f"There is no preset {number} in package {package.id}.")
    return flavor


def _complete(picks: list[PricePick], has_image: bool) -> None:
    taken = {pick.category for pick in picks}
    for category in catalog.CATEGORIES.values():
        if category.required and category.code not in taken and not (has_image and category.code == "os"):
            raise errors.order_data(
                "prices", f"A price for category {category.code} ({category.name}) is required."
            )
