"""Orders: from a creation template or an order container to a checked request, to prices, to a guest.

createObject, generateOrderTemplate, verifyOrder and placeOrder all go through here, so they check the same things
and come to the same prices. Nothing is written before everything has been checked.
"""

from __future__ import annotations

import re
import time
import uuid
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from lab.api import addresses, catalog, errors
from lab.api.context import Lab
from lab.api.masks import Entity
from lab.api.records import Disk, Guest, Nic, Order, PlacementGroup, PricePick, SecurityGroup, SshKey
from lab.api.views_product import category_view, flavor_prices, item_view, price_view

GUEST_ORDER = "SoftLayer_Container_Product_Order_Virtual_Guest"
MAX_SECURITY_GROUPS = 5
_HOSTNAME = re.compile(r"^[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?$")
_DOMAIN = re.compile(r"^([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z]{2,63}$")
_ALWAYS = (
    "1_IP_ADDRESS",
    "REBOOT_REMOTE_CONSOLE",
    "UNLIMITED_SSL_VPN_USERS_1_PPTP_VPN_USER_PER_ACCOUNT",
    "MONITORING_HOST_PING",
    "NOTIFICATION_EMAIL_AND_TICKET",
    "AUTOMATED_NOTIFICATION",
)


@dataclass
class GuestRequest:
    """One guest as ordered, checked. `memory` in MB, `disks` device to GB, `speed` in Mbit/s.

    `picks` are all prices, those of a flavor too.
    """

    hostname: str
    domain: str
    datacenter: catalog.Datacenter
    cores: int
    memory: int
    disks: dict[int, int]
    speed: int
    local_disk: bool
    hourly: bool
    private_only: bool
    private_vlan: catalog.Vlan
    public_vlan: catalog.Vlan | None
    picks: list[PricePick]
    package: catalog.Package
    system: catalog.OperatingSystem | None = None
    image: catalog.ImageTemplate | None = None
    flavor: catalog.Flavor | None = None
    dedicated: bool = False
    transient: bool = False
    boot_mode: str | None = None
    private_groups: list[int] = field(default_factory=list)
    public_groups: list[int] = field(default_factory=list)
    ssh_keys: list[int] = field(default_factory=list)
    user_data: str | None = None
    post_install_uri: str | None = None
    placement_group: int | None = None

    @property
    def host_image(self) -> str:
        """What the backend calls the image."""
        system = self.image.system if self.image else self.system
        assert system is not None
        return system.image


# --- from a creation template -------------------------------------------------------------------------------------


def from_template(lab: Lab, template: Any) -> GuestRequest:
    """Check a SoftLayer_Virtual_Guest template. Raises Fault for whatever is wrong with it."""
    if not isinstance(template, dict):
        raise errors.bad_parameters("createObject")
    hostname, domain = _names(template)
    options = template.get("supplementalCreateObjectOptions") or {}
    flavor = _flavor(options.get("flavorKeyName"))
    place = _datacenter(template)
    hourly = _required_flag(template, "hourlyBillingFlag")
    dedicated = bool(template.get("dedicatedAccountHostOnlyFlag"))
    local = flavor.local if flavor else _required_flag(template, "localDiskFlag")
    private_only = bool(template.get("privateNetworkOnlyFlag"))
    if template.get("dedicatedHost"):
        raise errors.not_found(template["dedicatedHost"].get("id"))
    transient = bool(template.get("transientGuestFlag"))
    if transient and not hourly:
        raise errors.invalid_value("transientGuestFlag", "Transient servers are billed hourly.")
    system, image = _software(template)
    disks = _disks(template.get("blockDevices"), local, flavor)
    speed = _speed(template)
    private_vlan, public_vlan, private_groups, public_groups = _network(lab, template, place, private_only)

    picks: list[PricePick] = []
    if flavor:
        picks += [
            PricePick(price_id=price.id, category=category) for price, category in flavor_prices(flavor)
        ]
        cores, memory = flavor.cores, flavor.memory * 1024
    else:
        cores, memory = _number(template, "startCpus"), _number(template, "maxMemory")
        core_price = catalog.core_price(cores, dedicated=dedicated)
        if core_price is None:
            raise errors.no_price("core capacity", cores)
        memory_price = catalog.memory_price(memory // 1024) if memory % 1024 == 0 else None
        if memory_price is None:
            raise errors.no_price("memory capacity", memory)
        picks += [_pick(core_price, "guest_core"), _pick(memory_price, "ram")]
    if system:
        picks.append(_pick(catalog.os_price(system), "os"))
    for position, device in enumerate(sorted(disks)):
        slot = f"guest_disk{position}"
        if flavor and position == 0:
            continue
        price = catalog.disk_price(disks[device], slot, local=local)
        if price is None:
            raise errors.no_price(f"{'local' if local else 'SAN'} disk {device} capacity", disks[device])
        picks.append(_pick(price, slot))
    port = catalog.port_price(speed, private_only=private_only)
    if port is None:
        raise errors.no_price("network speed", speed)
    picks.append(_pick(port, "port_speed"))
    bandwidth = catalog.price_of("BANDWIDTH_0_GB_2" if hourly or private_only else "BANDWIDTH_250_GB")
    if not hourly and private_only:
        bandwidth = catalog.price_of("BANDWIDTH_250_GB")
    picks.append(_pick(bandwidth, "bandwidth"))
    for key in _ALWAYS:
        price = catalog.price_of(key)
        picks.append(_pick(price, price.item.categories[0]))

    package = catalog.package(catalog.PUBLIC_CLOUD_SERVER if flavor else catalog.CLOUD_SERVER)
    assert package is not None
    request = GuestRequest(
        hostname=hostname,
        domain=domain,
        datacenter=place,
        cores=cores,
        memory=memory,
        disks=disks,
        speed=speed,
        local_disk=local,
        hourly=hourly,
        private_only=private_only,
        private_vlan=private_vlan,
        public_vlan=public_vlan,
        picks=picks,
        package=package,
        system=system,
        image=image,
        flavor=flavor,
        dedicated=dedicated,
        transient=transient,
        boot_mode=options.get("bootMode"),
        private_groups=private_groups,
        public_groups=public_groups,
        ssh_keys=_ssh_keys(lab, template.get("sshKeys")),
        user_data=_user_data(template),
        post_install_uri=template.get("postInstallScriptUri") or None,
        placement_group=_placement(lab, template),
    )
    _image_available(lab, request)
    return request


def container_of(request: GuestRequest) -> dict[str, Any]:
    """What generateOrderTemplate answers: a container that placeOrder takes.

    As the real one it forgets user data, subnets and the speed asked for (the price of the port still tells it).
    """
    guest: dict[str, Any] = {
        "hostname": request.hostname,
        "domain": request.domain,
        "startCpus": request.cores,
        "maxMemory": request.memory,
        "localDiskFlag": request.local_disk,
        "privateNetworkOnlyFlag": request.private_only,
        "dedicatedAccountHostOnlyFlag": request.dedicated,
        "transientGuestFlag": request.transient,
        "supplementalCreateObjectOptions": {"bootMode": request.boot_mode},
        "primaryBackendNetworkComponent": _component(request.private_vlan, request.private_groups),
    }
    if request.public_vlan:
        guest["primaryNetworkComponent"] = _component(request.public_vlan, request.public_groups)
    if request.post_install_uri:
        guest["postInstallScriptUri"] = request.post_install_uri
    if request.placement_group:
        guest["placementGroupId"] = request.placement_group
    in_flavor = {"guest_core", "ram", "guest_disk0"} if request.flavor else set()
    container: dict[str, Any] = {
        "complexType": GUEST_ORDER,
        "packageId": request.package.id,
        "location": str(request.datacenter.id),
        "quantity": 1,
        "useHourlyPricing": request.hourly,
        "prices": [price_struct(pick) for pick in request.picks if pick.category not in in_flavor],
        "virtualGuests": [guest],
        "sshKeys": [{"sshKeyIds": request.ssh_keys}] if request.ssh_keys else [],
        "provisionScripts": [request.post_install_uri] if request.post_install_uri else [],
    }
    if request.flavor:
        container["presetId"] = request.flavor.id
    if request.image:
        container["imageTemplateGlobalIdentifier"] = request.image.guid
    return container


# --- from an order container --------------------------------------------------------------------------------------


def from_container(lab: Lab, container: Any) -> list[GuestRequest]:
    """Check one order container of virtual guests; one request for each of its guests. Raises Fault."""
    if not isinstance(container, dict):
        raise errors.order_data("orderContainers", "The order is empty.")
    place = catalog.datacenter_of_order(container.get("location") or "")
    if place is None:
        raise errors.order_location()
    package = _package(container)
    flavor = _preset(container, package)
    hourly = bool(container.get("useHourlyPricing", False))
    picks = pick_prices(container.get("prices"), package, hourly)
    if flavor:
        taken = {pick.category for pick in picks}
        included = [
            _pick(price, category) for price, category in flavor_prices(flavor) if category not in taken
        ]
        picks = included + picks
    image_guid = container.get("imageTemplateGlobalIdentifier")
    image = catalog.image_template(str(image_guid)) if image_guid else None
    if image_guid and image is None:
        raise errors.not_found(image_guid)
    _complete(picks, image is not None)
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
        requests.append(
            _guest_of_container(
                lab, guest, place, package, flavor, hourly, picks, image, key_ids or [], script
            )
        )
    return requests


def _guest_of_container(
    lab: Lab,
    guest: Any,
    place: catalog.Datacenter,
    package: catalog.Package,
    flavor: catalog.Flavor | None,
    hourly: bool,
    picks: list[PricePick],
    image: catalog.ImageTemplate | None,
    key_ids: list[Any],
    script: str | None,
) -> GuestRequest:
    if not isinstance(guest, dict) or not guest.get("hostname") or not guest.get("domain"):
        raise errors.order_data("hardware", "Hostname and domain are not set properly.")
    hostname, domain = _names(guest)
    items = {pick.category: _item(pick) for pick in picks}
    private_only = "Public" not in items["port_speed"].description
    if bool(guest.get("privateNetworkOnlyFlag")) and not private_only:
        raise errors.order_data(
            "privateNetworkOnlyFlag", "The port speed ordered is for public and private networks."
        )
    disks = {
        (0 if position == 0 else position + 1): int(items[slot].capacity)
        for position, slot in enumerate(catalog.DISK_CATEGORIES)
        if slot in items
    }
    kinds = {items[slot].local_disk for slot in catalog.DISK_CATEGORIES if slot in items}
    if len(kinds) != 1:
        raise errors.order_data("prices", "Local and SAN disks cannot be mixed.")
    private_vlan, public_vlan, private_groups, public_groups = _network(lab, guest, place, private_only)
    template_keys = [key.get("id") for key in guest.get("sshKeys") or []]
    request = GuestRequest(
        hostname=hostname,
        domain=domain,
        datacenter=place,
        cores=int(items["guest_core"].capacity),
        memory=int(items["ram"].capacity) * 1024,
        disks=disks,
        speed=int(items["port_speed"].capacity),
        local_disk=bool(kinds.pop()),
        hourly=hourly,
        private_only=private_only,
        private_vlan=private_vlan,
        public_vlan=public_vlan,
        picks=picks,
        package=package,
        system=items["os"].system if "os" in items else None,
        image=image,
        flavor=flavor,
        dedicated=items["guest_core"].units == "PRIVATE_CORE",
        transient=bool(guest.get("transientGuestFlag")),
        boot_mode=(guest.get("supplementalCreateObjectOptions") or {}).get("bootMode"),
        private_groups=private_groups,
        public_groups=public_groups,
        ssh_keys=_ssh_keys(lab, [{"id": number} for number in [*key_ids, *template_keys]]),
        user_data=_user_data(guest),
        post_install_uri=script or guest.get("postInstallScriptUri") or None,
        placement_group=_placement(lab, guest),
    )
    _image_available(lab, request)
    return request


def pick_prices(prices: Any, package: catalog.Package, hourly: bool) -> list[PricePick]:
    """Find the prices of an order and the category each is for. Raises Fault.

    A price may say its category (by code or id); otherwise it takes the first of its categories that is free.
    """
    if not isinstance(prices, list) or not prices:
        raise errors.order_data("prices", "At least one price must be given.")
    picks: list[PricePick] = []
    taken: set[str] = set()
    for entry in prices:
        number = entry.get("id") if isinstance(entry, dict) else None
        price = catalog.price(int(str(number))) if str(number or "").isdigit() else None
        if price is None or package.id not in price.packages:
            raise errors.order_price(price.item.description if price else "", number, package.id)
        if (price.hourly if hourly else price.monthly) is None:
            raise errors.order_data(
                "prices",
                f"{price.item.description} ({price.id}) cannot be billed {'hourly' if hourly else 'monthly'}.",
            )
        category = _category(entry, price, taken)
        if category in taken:
            raise errors.order_data("prices", f"There is more than one price for category {category}.")
        taken.add(category)
        picks.append(PricePick(price_id=price.id, category=category))
    return picks


def _category(entry: dict[str, Any], price: catalog.Price, taken: set[str]) -> str:
    for named in entry.get("categories") or []:
        for code in price.item.categories:
            if len(entry["categories"]) > 1:
                break  # the client echoes all categories of the price, which says nothing
            category = catalog.CATEGORIES[code]
            if named.get("categoryCode") == code or str(named.get("id")) == str(category.id):
                # The SDK names the item's first category whatever the slot: take it only while it is free.
                if code in taken and "id" not in named:
                    break
                return code
    return next((code for code in price.item.categories if code not in taken), price.item.categories[0])


def verified(requests: list[GuestRequest], container: dict[str, Any]) -> dict[str, Any]:
    """What verifyOrder answers: the container with all prices in full, and the totals as text."""
    first = requests[0]
    hourly, monthly = totals(first.picks)
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
            "prices": [price_struct(pick) for pick in first.picks],
            "currencyShortName": catalog.CURRENCY,
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


def totals(picks: list[PricePick]) -> tuple[Decimal, Decimal]:
    """Hourly and monthly sum of the prices."""
    prices = [price for price in (catalog.price(pick.price_id) for pick in picks) if price]
    hourly = sum((Decimal(price.hourly or "0") for price in prices), Decimal(0))
    monthly = sum((Decimal(price.monthly or "0") for price in prices), Decimal(0))
    return hourly, monthly


# --- placing ------------------------------------------------------------------------------------------------------


def place(lab: Lab, requests: list[GuestRequest], kind: str) -> tuple[Order, list[Guest]]:
    """Create the guests and their order, and begin to provision. Raises Fault when addresses run out."""
    now = time.time()
    hourly, monthly = totals(requests[0].picks)
    order = Order(
        id=lab.store.next_id(),
        kind=kind,
        guests=[],
        hourly=requests[0].hourly,
        hourly_total=str(hourly * len(requests)),
        monthly_total=str(monthly * len(requests)),
        descriptions=[_item(pick).description for pick in requests[0].picks],
        created=now,
    )
    lab.store.next_id()  # the order's invoice
    guests = []
    for request in requests:
        guest = _new_guest(lab, request, order.id, now)
        lab.store.put(guest)
        lab.engine.begin(guest, "provision")
        order.guests.append(guest.id)
        guests.append(guest)
    lab.store.put(order)
    return order, guests


def _new_guest(lab: Lab, request: GuestRequest, order: int, now: float) -> Guest:
    number = lab.store.next_id()
    disks = []
    for device, capacity in sorted(request.disks.items()):
        disks.append(Disk(id=new_disk_id(lab, device), device=device, capacity=capacity))
    billing = lab.store.next_id()
    for _ in range(40):  # its children, order item, operating system and password: see views_guest.py
        lab.store.next_id()
    private_address, public_address = addresses.reserve(lab, public=request.public_vlan is not None)
    public = None
    if request.public_vlan is not None and public_address is not None:
        public = _nic(
            lab, number, 1, request.public_vlan, public_address, request.speed, request.public_groups
        )
    return Guest(
        id=number,
        guid=str(uuid.uuid4()),
        hostname=request.hostname,
        domain=request.domain,
        cores=request.cores,
        memory=request.memory,
        local_disk=request.local_disk,
        hourly=request.hourly,
        private_only=request.private_only,
        dedicated=request.dedicated,
        transient=request.transient,
        datacenter=request.datacenter.name,
        os_code=request.system.code if request.system else None,
        image_guid=request.image.guid if request.image else None,
        host_image=request.host_image,
        boot_mode=request.boot_mode,
        disks=disks,
        private=_nic(
            lab, number, 0, request.private_vlan, private_address, request.speed, request.private_groups
        ),
        public=public,
        user_data=request.user_data,
        post_install_uri=request.post_install_uri,
        ssh_key_ids=request.ssh_keys,
        ssh_keys=key_texts(lab, request.ssh_keys),
        placement_group=request.placement_group,
        flavor=request.flavor.key if request.flavor else None,
        prices=request.picks,
        order_id=order,
        billing_item=billing,
        created=now,
        modified=now,
    )


def new_disk_id(lab: Lab, device: int) -> int:
    """An id for a disk; the next one is its image's, and device 0 also reserves two for the swap disk."""
    number = lab.store.next_id()
    for _ in range(3 if device == 0 else 1):
        lab.store.next_id()
    return number


def _nic(
    lab: Lab, guest: int, port: int, vlan: catalog.Vlan, address: str, speed: int, groups: list[int]
) -> Nic:
    return Nic(
        id=lab.store.next_id(),
        port=port,
        vlan_id=vlan.id,
        subnet_id=vlan.subnet_id,
        address=address,
        mac=addresses.mac(guest, port),
        speed=speed,
        max_speed=speed,
        security_groups=groups,
    )


# --- the parts of a template --------------------------------------------------------------------------------------


def check_hostname(hostname: Any) -> str:
    """A host name as SoftLayer takes it. Raises Fault."""
    if len(str(hostname)) > 63:
        raise errors.Fault(
            errors.INVALID_LENGTH, "The value for 'hostname' is too long: at most 63 characters."
        )
    if not _HOSTNAME.match(str(hostname)):
        raise errors.invalid_value("hostname", "Hostnames consist of letters, digits and hyphens.")
    return str(hostname)


def check_domain(domain: Any) -> str:
    """A domain as SoftLayer takes it. Raises Fault."""
    if len(str(domain)) > 190:
        raise errors.Fault(
            errors.INVALID_LENGTH, "The value for 'domain' is too long: at most 190 characters."
        )
    if not _DOMAIN.match(str(domain)):
        raise errors.invalid_value(
            "domain", "Domains consist of labels with dots and end in a top-level domain."
        )
    return str(domain)


def _names(template: dict[str, Any]) -> tuple[str, str]:
    for name in ("hostname", "domain"):
        if not template.get(name):
            raise errors.missing_property(name)
    return check_hostname(template["hostname"]), check_domain(template["domain"])


def _required_flag(template: dict[str, Any], name: str) -> bool:
    if template.get(name) is None:
        raise errors.missing_property(name)
    return bool(template[name])


def _number(template: dict[str, Any], name: str) -> int:
    if template.get(name) is None:
        raise errors.missing_property(name)
    try:
        return int(template[name])
    except (TypeError, ValueError):
        raise errors.invalid_value(name, "It must be a whole number.") from None


def _datacenter(template: dict[str, Any]) -> catalog.Datacenter:
    name = (template.get("datacenter") or {}).get("name")
    if not name:
        raise errors.missing_property("datacenter.name")
    place = catalog.datacenter(str(name))
    if place is None:
        raise errors.invalid_value("datacenter.name", f"There is no datacenter '{name}'.")
    return place


def _flavor(key: Any) -> catalog.Flavor | None:
    if not key:
        return None
    flavor = catalog.flavor(str(key))
    if flavor is None:
        raise errors.invalid_value(
            "supplementalCreateObjectOptions.flavorKeyName", f"There is no flavor '{key}'."
        )
    return flavor


def _software(
    template: dict[str, Any],
) -> tuple[catalog.OperatingSystem | None, catalog.ImageTemplate | None]:
    group = template.get("blockDeviceTemplateGroup")
    code = template.get("operatingSystemReferenceCode")
    if group and code:
        raise errors.invalid_value(
            "blockDeviceTemplateGroup", "Give an image or an operating system, not both."
        )
    if group:
        image = catalog.image_template(str(group.get("globalIdentifier")))
        if image is None:
            raise errors.not_found(group.get("globalIdentifier"))
        return None, image
    if not code:
        raise errors.missing_property("operatingSystemReferenceCode")
    system = catalog.operating_system(str(code))
    if system is None:
        raise errors.invalid_value("operatingSystemReferenceCode", f"There is no operating system '{code}'.")
    return system, None


def _disks(devices: Any, local: bool, flavor: catalog.Flavor | None) -> dict[int, int]:
    disks: dict[int, int] = {}
    for entry in devices or []:
        try:
            device, capacity = int(entry["device"]), int(entry["diskImage"]["capacity"])
        except (KeyError, TypeError, ValueError):
            raise errors.invalid_value(
                "blockDevices", "Each needs a device number and a capacity in GB."
            ) from None
        if device == 1:
            raise errors.invalid_value("blockDevices", "Device 1 is reserved for the swap disk.")
        if device in disks:
            raise errors.invalid_value("blockDevices", f"Device {device} is given twice.")
        disks[device] = capacity
    if flavor:
        disks[0] = flavor.disk
    disks.setdefault(0, 25)
    expected = [0, *range(2, len(disks) + 1)]
    if sorted(disks) != expected:
        raise errors.invalid_value("blockDevices", "Devices must be numbered 0, 2, 3, … without gaps.")
    limit = catalog.MAX_LOCAL_DISKS if local else catalog.MAX_SAN_DISKS
    if len(disks) > limit:
        raise errors.invalid_value(
            "blockDevices", f"A server has at most {limit} {'local' if local else 'SAN'} disks."
        )
    return disks


def _speed(template: dict[str, Any]) -> int:
    components = template.get("networkComponents") or []
    speed = (components[0] or {}).get("maxSpeed") if components else None
    try:
        return int(speed) if speed is not None else 100
    except (TypeError, ValueError):
        raise errors.invalid_value("networkComponents.maxSpeed", "It must be a number.") from None


def _network(
    lab: Lab, template: dict[str, Any], place: catalog.Datacenter, private_only: bool
) -> tuple[catalog.Vlan, catalog.Vlan | None, list[int], list[int]]:
    private, private_groups = _side(lab, template, "primaryBackendNetworkComponent", place, public=False)
    if private_only:
        asked = template.get("primaryNetworkComponent") or {}
        if asked.get("networkVlan") or asked.get("securityGroupBindings"):
            raise errors.invalid_value(
                "primaryNetworkComponent", "A private-only server has no public network."
            )
        return private, None, private_groups, []
    public, public_groups = _side(lab, template, "primaryNetworkComponent", place, public=True)
    return private, public, private_groups, public_groups


def _side(
    lab: Lab, template: dict[str, Any], name: str, place: catalog.Datacenter, *, public: bool
) -> tuple[catalog.Vlan, list[int]]:
    component = template.get(name) or {}
    wanted = component.get("networkVlan") or {}
    vlan = catalog.default_vlan(place, public=public)
    router = (component.get("router") or {}).get("id")
    if router is not None and int(router) != place.router_ids[int(public)]:
        raise errors.invalid_value(f"{name}.router.id", f"There is no such router in {place.name}.")
    number = wanted.get("id")
    if number is not None:
        found = catalog.vlan(int(number)) if str(number).isdigit() else None
        if found is None or found.public is not public:
            kind = "public" if public else "private"
            raise errors.invalid_value(f"{name}.networkVlan.id", f"There is no {kind} VLAN with id {number}.")
        if found.datacenter is not place:
            raise errors.invalid_value(
                f"{name}.networkVlan.id", f"VLAN {number} is in {found.datacenter.name}, not in {place.name}."
            )
        vlan = found
    subnet = (wanted.get("primarySubnet") or {}).get("id")
    if subnet is not None and str(subnet) != str(vlan.subnet_id):
        raise errors.invalid_value(
            f"{name}.networkVlan.primarySubnet.id", f"There is no subnet {subnet} on VLAN {vlan.id}."
        )
    groups = []
    for binding in component.get("securityGroupBindings") or []:
        group = (binding.get("securityGroup") or {}).get("id")
        if not str(group).isdigit() or lab.store.get(SecurityGroup, int(str(group))) is None:
            raise errors.not_found(group)
        if int(str(group)) not in groups:
            groups.append(int(str(group)))
    if len(groups) > MAX_SECURITY_GROUPS:
        raise errors.invalid_value(
            f"{name}.securityGroupBindings",
            f"An interface takes at most {MAX_SECURITY_GROUPS} security groups.",
        )
    return vlan, groups


def check_ssh_keys(lab: Lab, numbers: list[Any]) -> list[int]:
    """The ids as numbers. Raises Fault for one that is unknown."""
    found = []
    for number in numbers:
        if not str(number).isdigit() or lab.store.get(SshKey, int(number)) is None:
            raise errors.not_found(number)
        if int(number) not in found:
            found.append(int(number))
    return found


def key_texts(lab: Lab, numbers: list[int]) -> list[str]:
    """The public keys behind checked ids, as an authorized_keys file has them."""
    return [key.key for key in (lab.store.get(SshKey, number) for number in numbers) if key]


def _ssh_keys(lab: Lab, keys: Any) -> list[int]:
    return check_ssh_keys(lab, [(key or {}).get("id") for key in keys or []])


def _user_data(template: dict[str, Any]) -> str | None:
    entries = template.get("userData") or []
    return str(entries[0].get("value")) if entries and entries[0].get("value") is not None else None


def _placement(lab: Lab, template: dict[str, Any]) -> int | None:
    number = template.get("placementGroupId") or (template.get("placementGroup") or {}).get("id")
    if not number:
        return None
    group = lab.store.get(PlacementGroup, int(number)) if str(number).isdigit() else None
    if group is None:
        raise errors.not_found(number)
    return group.id


def _image_available(lab: Lab, request: GuestRequest) -> None:
    if lab.images is not None and request.host_image not in lab.images:
        raise errors.invalid_value(
            "operatingSystemReferenceCode",
            f"The lab's hosts cannot run {request.host_image}; they can run: {', '.join(sorted(lab.images))}.",
        )


def _package(container: dict[str, Any]) -> catalog.Package:
    number = container.get("packageId")
    package = catalog.package(int(str(number))) if str(number or "").isdigit() else None
    if package is None:
        raise errors.order_data("packageId", f"There is no package {number}.")
    return package


def _preset(container: dict[str, Any], package: catalog.Package) -> catalog.Flavor | None:
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


def _pick(price: catalog.Price, category: str) -> PricePick:
    return PricePick(price_id=price.id, category=category)


def _item(pick: PricePick) -> catalog.Item:
    price = catalog.price(pick.price_id)
    assert price is not None
    return price.item


def _component(vlan: catalog.Vlan, groups: list[int]) -> dict[str, Any]:
    component: dict[str, Any] = {"networkVlan": {"id": vlan.id}}
    if groups:
        component["securityGroupBindings"] = [{"securityGroup": {"id": group}} for group in groups]
    return component


def price_struct(pick: PricePick) -> dict[str, Any]:
    """A price as orders show it: in full, with its item and the one category that it is for."""
    price = catalog.price(pick.price_id)
    assert price is not None
    view: Entity = price_view(price, pick.category)
    return {
        **view.local,
        "item": item_view(price.item).local,
        "categories": [category_view(catalog.CATEGORIES[pick.category]).local],
    }
