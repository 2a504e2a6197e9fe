"""Creation templates (SoftLayer_Virtual_Guest): checked and priced, and turned into an order container."""

from __future__ import annotations

from typing import Any

from lab.api import catalog, errors, locations, price_list, shapes
from lab.api.context import Lab
from lab.api.ordering import parts, prices
from lab.api.ordering.request import GUEST_ORDER, GuestRequest
from lab.api.records import PricePick
from lab.api.views_product import flavor_prices

_ALWAYS = (
    "1_IP_ADDRESS",
    "REBOOT_REMOTE_CONSOLE",
    "UNLIMITED_SSL_VPN_USERS_1_PPTP_VPN_USER_PER_ACCOUNT",
    "MONITORING_HOST_PING",
    "NOTIFICATION_EMAIL_AND_TICKET",
    "AUTOMATED_NOTIFICATION",
)


def from_template(lab: Lab, template: Any) -> GuestRequest:
    """Check a SoftLayer_Virtual_Guest template. Raises Fault for whatever is wrong with it."""
    shapes.check(template, shapes.GUEST)
    hostname, domain = parts.names(template)
    options = template.get("supplementalCreateObjectOptions") or {}
    flavor = parts.flavor_of(options.get("flavorKeyName"))
    place = parts.datacenter(template)
    hourly = parts.required_flag(template, "hourlyBillingFlag")
    local = flavor.local if flavor else parts.required_flag(template, "localDiskFlag")
    _refuse_dedicated_host(template)
    transient = _transient(template, hourly)
    system, image = _software(template)
    disks = parts.disks_of(template.get("blockDevices"), local, flavor)
    speed = parts.speed_of(template)
    private_only = bool(template.get("privateNetworkOnlyFlag"))
    private_vlan, public_vlan, private_groups, public_groups = parts.network_of(
        lab, template, place, private_only
    )
    cores, memory = _cores_and_memory(template, flavor)
    package = price_list.package(price_list.PUBLIC_CLOUD_SERVER if flavor else price_list.CLOUD_SERVER)
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
        picks=[],
        package=package,
        system=system,
        image=image,
        flavor=flavor,
        dedicated=bool(template.get("dedicatedAccountHostOnlyFlag")),
        transient=transient,
        boot_mode=options.get("bootMode"),
        private_groups=private_groups,
        public_groups=public_groups,
        user_data=parts.user_data_of(template),
        post_install_uri=template.get("postInstallScriptUri") or None,
        placement_group=parts.placement_of(lab, template),
    )
    request.picks = _picks(request)
    request.ssh_keys = parts.ssh_keys_of(lab, template.get("sshKeys"))
    parts.check_image(lab, request.host_image)
    return request


def _refuse_dedicated_host(template: dict[str, Any]) -> None:
    if template.get("dedicatedHost"):
        raise errors.not_found(template["dedicatedHost"].get("id"))


def _transient(template: dict[str, Any], hourly: bool) -> bool:
    transient = bool(template.get("transientGuestFlag"))
    if transient and not hourly:
        raise errors.invalid_value("transientGuestFlag", "Transient servers are billed hourly.")
    return transient


def _software(
    template: dict[str, Any],
) -> tuple[catalog.OperatingSystem | None, catalog.ImageTemplate | None]:
    system, image = parts.software(template)
    if image and template.get("blockDevices"):
        raise errors.invalid_value(
            "blockDevices", "Block devices may not be provided when using an image template."
        )
    return system, image


def _cores_and_memory(template: dict[str, Any], flavor: catalog.Flavor | None) -> tuple[int, int]:
    """Memory in MB."""
    if flavor:
        return flavor.cores, flavor.memory * 1024
    return parts.number(template, "startCpus"), parts.number(template, "maxMemory")


def _picks(request: GuestRequest) -> list[PricePick]:
    """The prices of all that a template asks for, and of what every server has. Raises Fault."""
    picks = _size_picks(request)
    if request.system:
        picks.append(prices.pick(price_list.os_price(request.system), "os"))
    picks += _disk_picks(request)
    port = price_list.port_price(request.speed, private_only=request.private_only)
    if port is None:
        raise errors.no_price("network speed", request.speed)
    picks.append(prices.pick(port, "port_speed"))
    bandwidth = price_list.price_of("BANDWIDTH_0_GB_2" if request.hourly else "BANDWIDTH_250_GB")
    picks.append(prices.pick(bandwidth, "bandwidth"))
    for key in _ALWAYS:
        price = price_list.price_of(key)
        picks.append(prices.pick(price, price.item.categories[0]))
    return picks


def _size_picks(request: GuestRequest) -> list[PricePick]:
    """Cores and memory; of a flavor also its disk."""
    if request.flavor:
        return [
            PricePick(price_id=price.id, category=category)
            for price, category in flavor_prices(request.flavor)
        ]
    cores, memory = request.cores, request.memory
    core_price = price_list.core_price(cores, dedicated=request.dedicated)
    if core_price is None:
        raise errors.no_price("core capacity", cores)
    memory_price = price_list.memory_price(memory // 1024) if memory % 1024 == 0 else None
    if memory_price is None:
        raise errors.no_price("memory capacity", memory)
    return [prices.pick(core_price, "guest_core"), prices.pick(memory_price, "ram")]


def _disk_picks(request: GuestRequest) -> list[PricePick]:
    """The disks; without a flavor's own."""
    picks, local = [], request.local_disk
    for position, device in enumerate(sorted(request.disks)):
        slot, capacity = f"guest_disk{position}", request.disks[device]
        if request.flavor and position == 0:
            continue
        price = price_list.disk_price(capacity, slot, local=local)
        if price is None:
            raise errors.no_price(f"{'local' if local else 'SAN'} disk {device} capacity", capacity)
        picks.append(prices.pick(price, slot))
    return picks


def container_of(request: GuestRequest) -> dict[str, Any]:
    """What generateOrderTemplate answers: a container that placeOrder takes.

    As the real one it forgets user data, subnets and the speed asked for (the price of the port still tells
    it).
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
        "prices": [prices.price_struct(pick) for pick in request.picks if pick.category not in in_flavor],
        "virtualGuests": [guest],
        "sshKeys": [{"sshKeyIds": request.ssh_keys}] if request.ssh_keys else [],
        "provisionScripts": [request.post_install_uri] if request.post_install_uri else [],
    }
    if request.flavor:
        container["presetId"] = request.flavor.id
    if request.image:
        container["imageTemplateGlobalIdentifier"] = request.image.guid
    return container


def _component(vlan: locations.Vlan, groups: list[int]) -> dict[str, Any]:
    component: dict[str, Any] = {"networkVlan": {"id": vlan.id}}
    if groups:
        component["securityGroupBindings"] = [{"securityGroup": {"id": group}} for group in groups]
    return component
