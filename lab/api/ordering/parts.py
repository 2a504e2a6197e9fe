"""The parts of a creation template that templates and order containers share, each checked. Raises Fault
only.
"""

from __future__ import annotations

import re
from typing import Any

from lab.api import catalog, errors, locations, price_list
from lab.api.context import Lab
from lab.api.records import PlacementGroup, SecurityGroup, SshKey

MAX_SECURITY_GROUPS = 5
_HOSTNAME = re.compile(r"^[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?$")
_DOMAIN = re.compile(r"^([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z]{2,63}$")


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


def names(template: dict[str, Any]) -> tuple[str, str]:
    """Host name and domain, both required."""
    for name in ("hostname", "domain"):
        if not template.get(name):
            raise errors.missing_property(name)
    return check_hostname(template["hostname"]), check_domain(template["domain"])


def required_flag(template: dict[str, Any], name: str) -> bool:
    """What a template must say and nothing stands for, as SoftLayer asks it of hourlyBillingFlag."""
    if template.get(name) is None:
        raise errors.missing_property(name)
    return bool(template[name])


def number(template: dict[str, Any], name: str) -> int:
    """A whole number that a template must give; SoftLayer takes one in quotes, too."""
    if template.get(name) is None:
        raise errors.missing_property(name)
    try:
        return int(template[name])
    except (TypeError, ValueError):
        raise errors.invalid_value(name, "It must be a whole number.") from None


def datacenter(template: dict[str, Any]) -> locations.Datacenter:
    """The datacenter, which a template must name: without one SoftLayer places nothing."""
    name = (template.get("datacenter") or {}).get("name")
    if not name:
        raise errors.missing_property("datacenter.name")
    place = locations.datacenter(str(name))
    if place is None:
        raise errors.invalid_value("datacenter.name", f"There is no datacenter '{name}'.")
    return place


def flavor_of(key: Any) -> catalog.Flavor | None:
    """The flavor of a key name; None without a key: cores and memory are then single items."""
    if not key:
        return None
    flavor = catalog.flavor(str(key))
    if flavor is None:
        raise errors.invalid_value(
            "supplementalCreateObjectOptions.flavorKeyName", f"There is no flavor '{key}'."
        )
    return flavor


def software(
    template: dict[str, Any],
) -> tuple[catalog.OperatingSystem | None, catalog.ImageTemplate | None]:
    """What the first disk gets: an operating system or an image, exactly one of them."""
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


def disks_of(devices: Any, local: bool, flavor: catalog.Flavor | None) -> dict[int, int]:
    """GB by device number: 0 is the system (25 if nothing is said), 1 never there, then from 2 on."""
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
    limit = price_list.MAX_LOCAL_DISKS if local else price_list.MAX_SAN_DISKS
    if len(disks) > limit:
        raise errors.invalid_value(
            "blockDevices", f"A server has at most {limit} {'local' if local else 'SAN'} disks."
        )
    return disks


def speed_of(template: dict[str, Any]) -> int:
    """Mbit/s, 100 if the template says nothing. The first card's counts for both."""
    components = template.get("networkComponents") or []
    speed = (components[0] or {}).get("maxSpeed") if components else None
    try:
        return int(speed) if speed is not None else 100
    except (TypeError, ValueError):
        raise errors.invalid_value("networkComponents.maxSpeed", "It must be a number.") from None


def network_of(
    lab: Lab, template: dict[str, Any], place: locations.Datacenter, private_only: bool
) -> tuple[locations.Vlan, locations.Vlan | None, list[int], list[int]]:
    """The private and public VLAN of a guest, and the security groups of its private and public card."""
    asked = template.get("primaryNetworkComponent") or {}
    if private_only and (asked.get("networkVlan") or asked.get("securityGroupBindings")):
        raise errors.invalid_value("primaryNetworkComponent", "A private-only server has no public network.")
    private = _asked_vlan(template, "primaryBackendNetworkComponent", place, public=False)
    public = _asked_vlan(template, "primaryNetworkComponent", place, public=True)
    if public is not None and private is None:
        raise errors.frontend_vlan_alone()
    pod = _pod(lab, template, place, private, public)
    private = private or locations.vlan_in(pod, public=False)
    private_groups = _groups(lab, template, "primaryBackendNetworkComponent")
    if private_only:
        return private, None, private_groups, []
    public = public or locations.vlan_in(pod, public=True)
    return private, public, private_groups, _groups(lab, template, "primaryNetworkComponent")


def _pod(
    lab: Lab,
    template: dict[str, Any],
    place: locations.Datacenter,
    private: locations.Vlan | None,
    public: locations.Vlan | None,
) -> locations.Pod:
    """The pod that the order names by its VLANs, routers or placement group; otherwise the first one."""
    if private is not None and public is not None and private.pod != public.pod:
        raise errors.vlans_apart(public.qualified_name, private.qualified_name)
    named = [vlan.pod for vlan in (private, public) if vlan is not None]
    for name, is_public in (("primaryBackendNetworkComponent", False), ("primaryNetworkComponent", True)):
        router = ((template.get(name) or {}).get("router") or {}).get("id")
        if router is not None:
            named += [_pod_of_router(router, place, f"{name}.router.id", public=is_public)]
    group = placement_of(lab, template)
    placement = lab.store.get(PlacementGroup, group) if group is not None else None
    if placement is not None:
        named += [_pod_of_router(placement.router_id, place, "placementGroupId", public=False)]
    if len(set(named)) > 1:
        names = ", ".join(sorted({pod.name for pod in named}))
        raise errors.invalid_value("router", f"VLANs, routers and placement group are in pods {names}.")
    return named[0] if named else locations.pods(place)[0]


def _pod_of_router(router: Any, place: locations.Datacenter, prop: str, *, public: bool) -> locations.Pod:
    for pod in locations.pods(place):
        if pod.router_ids[int(public)] == int(router):
            return pod
    raise errors.invalid_value(prop, f"There is no router {router} in {place.name}.")


def _asked_vlan(
    template: dict[str, Any], name: str, place: locations.Datacenter, *, public: bool
) -> locations.Vlan | None:
    """The VLAN that the order asks for by its id or by that of its subnet. Raises Fault."""
    wanted = (template.get(name) or {}).get("networkVlan") or {}
    number = wanted.get("id")
    subnet = (wanted.get("primarySubnet") or {}).get("id")
    if number is not None:
        vlan = locations.vlan(int(number)) if str(number).isdigit() else None
        if vlan is None:
            raise errors.no_such_vlan(number)
    elif subnet is not None:
        vlan = locations.vlan_of_subnet(int(subnet)) if str(subnet).isdigit() else None
        if vlan is None:
            raise errors.not_found(subnet)
    else:
        return None
    if vlan.public is not public:
        kind = "public" if public else "private"
        raise errors.invalid_value(f"{name}.networkVlan.id", f"There is no {kind} VLAN with id {vlan.id}.")
    if vlan.datacenter is not place:
        raise errors.invalid_value(
            f"{name}.networkVlan.id", f"VLAN {vlan.id} is in {vlan.datacenter.name}, not in {place.name}."
        )
    if subnet is not None and str(subnet) != str(vlan.subnet_id):
        raise errors.invalid_value(
            f"{name}.networkVlan.primarySubnet.id", f"There is no subnet {subnet} on VLAN {vlan.id}."
        )
    return vlan


def _groups(lab: Lab, template: dict[str, Any], name: str) -> list[int]:
    groups: list[int] = []
    for binding in (template.get(name) or {}).get("securityGroupBindings") or []:
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
    return groups


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


def ssh_keys_of(lab: Lab, keys: Any) -> list[int]:
    """Ids of the account's keys, as templates and containers name them; none is no fault."""
    return check_ssh_keys(lab, [(key or {}).get("id") for key in keys or []])


def user_data_of(template: dict[str, Any]) -> str | None:
    """The value of the first entry, what else is there is dropped; None without one."""
    entries = template.get("userData") or []
    return str(entries[0].get("value")) if entries and entries[0].get("value") is not None else None


def placement_of(lab: Lab, template: dict[str, Any]) -> int | None:
    """Id of the placement group; None without one. A template may give it in either of two ways."""
    number = template.get("placementGroupId") or (template.get("placementGroup") or {}).get("id")
    if not number:
        return None
    group = lab.store.get(PlacementGroup, int(number)) if str(number).isdigit() else None
    if group is None:
        raise errors.not_found(number)
    return group.id


def check_image(lab: Lab, image: str) -> None:
    """Refuse what the lab's hosts cannot run, before anything is ordered."""
    if lab.images is not None and image not in lab.images:
        raise errors.invalid_value(
            "operatingSystemReferenceCode",
            f"The lab's hosts cannot run {image}; they can run: {', '.join(sorted(lab.images))}. "
            "Another Debian: docs/how-to/versions.md.",
        )
