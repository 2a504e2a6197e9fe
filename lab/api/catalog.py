"""What there is to choose for a server: an order's categories, operating systems, images, flavors.

One catalog for templates, verification, orders and upgrades, so that they agree. Ids are fixed: the same in
every lab. Leaves what is sold at what price to `price_list.py`, and where to `locations.py`.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Category:
    """A slot of an order: a server takes at most one price of each."""

    id: int
    code: str
    name: str
    required: bool = False


CATEGORIES = {
    category.code: category
    for category in (
        Category(80, "guest_core", "Computing Instance", required=True),
        Category(3, "ram", "RAM", required=True),
        Category(12, "os", "Operating System", required=True),
        Category(81, "guest_disk0", "First Disk", required=True),
        Category(82, "guest_disk1", "Second Disk"),
        Category(92, "guest_disk2", "Third Disk"),
        Category(93, "guest_disk3", "Fourth Disk"),
        Category(116, "guest_disk4", "Fifth Disk"),
        Category(26, "port_speed", "Uplink Port Speeds", required=True),
        Category(10, "bandwidth", "Public Bandwidth", required=True),
        Category(13, "pri_ip_addresses", "Primary IP Addresses", required=True),
        Category(27, "pri_ipv6_addresses", "Primary IPv6 Addresses"),
        Category(46, "remote_management", "Remote Management", required=True),
        Category(31, "vpn_management", "VPN Management - Private Network", required=True),
        Category(20, "monitoring", "Monitoring"),
        Category(21, "notification", "Notification"),
        Category(22, "response", "Response"),
    )
}
DISK_CATEGORIES = tuple(f"guest_disk{number}" for number in range(5))


@dataclass(frozen=True)
class OperatingSystem:
    """What an operating system code stands for. `image` is what the lab's host backends call it."""

    code: str
    name: str
    version: str
    manufacturer: str
    image: str
    latest: tuple[str, ...] = ()


OPERATING_SYSTEMS = (
    OperatingSystem(
        "DEBIAN_12_64",
        "Debian",
        "12.0-64 Minimal for VSI",
        "Debian",
        "debian-12",
        ("DEBIAN_LATEST", "DEBIAN_LATEST_64"),
    ),
    OperatingSystem("DEBIAN_11_64", "Debian", "11.0-64 Minimal for VSI", "Debian", "debian-11"),
    OperatingSystem(
        "UBUNTU_24_64",
        "Ubuntu",
        "24.04-64 Minimal for VSI",
        "Canonical",
        "ubuntu-24.04",
        ("UBUNTU_LATEST", "UBUNTU_LATEST_64"),
    ),
    OperatingSystem("UBUNTU_22_64", "Ubuntu", "22.04-64 Minimal for VSI", "Canonical", "ubuntu-22.04"),
    OperatingSystem(
        "CENTOS_9_64",
        "CentOS",
        "9.0-64 Minimal for VSI",
        "CentOS",
        "centos-9",
        ("CENTOS_LATEST", "CENTOS_LATEST_64"),
    ),
    OperatingSystem(
        "ROCKYLINUX_9_64",
        "Rocky Linux",
        "9.0-64 Minimal for VSI",
        "Rocky Linux",
        "rocky-9",
        ("ROCKYLINUX_LATEST", "ROCKYLINUX_LATEST_64"),
    ),
    # What is new comes last: ids follow from the order.
    OperatingSystem(
        "DEBIAN_13_64", "Debian", "13.0-64 Minimal for VSI", "Debian", "debian-13", ("DEBIAN_13",)
    ),
)
FIRST_SYSTEMS = 6
"""So many came first; the prices of those behind them come after all others."""
_OS_BY_CODE = {code: system for system in OPERATING_SYSTEMS for code in (system.code, *system.latest)}


@dataclass(frozen=True)
class ImageTemplate:
    """A ready-made disk image that may be ordered by its global identifier."""

    id: int
    guid: str
    name: str
    system: OperatingSystem


IMAGE_TEMPLATES = (
    ImageTemplate(3001001, "5f0c8a52-3f6b-4c5e-9d6a-7a1c2f1b0d12", "lab-debian-12", OPERATING_SYSTEMS[0]),
)


@dataclass(frozen=True)
class Flavor:
    """A fixed size of the public package. `memory` in GB, `disk` in GB."""

    id: int
    key: str
    cores: int
    memory: int
    disk: int
    local: bool


FLAVORS = (
    Flavor(215, "C1_1X1X25", 1, 1, 25, False),
    Flavor(217, "B1_1X2X25", 1, 2, 25, False),
    Flavor(219, "B1_2X4X25", 2, 4, 25, False),
    Flavor(221, "B1_2X8X25", 2, 8, 25, False),
    Flavor(223, "B1_4X8X100", 4, 8, 100, False),
    Flavor(225, "BL1_1X2X100", 1, 2, 100, True),
    Flavor(227, "BL1_2X4X100", 2, 4, 100, True),
    Flavor(229, "M1_1X8X25", 1, 8, 25, False),
)


def operating_system(code: str) -> OperatingSystem | None:
    """An operating system by code or by one of its `…_LATEST` names."""
    return _OS_BY_CODE.get(code.upper())


def image_template(guid: str) -> ImageTemplate | None:
    """An image template by global identifier."""
    return next((entry for entry in IMAGE_TEMPLATES if entry.guid == guid.lower()), None)


def flavor(key: str) -> Flavor | None:
    """A flavor by key name."""
    return next((entry for entry in FLAVORS if entry.key == key), None)


def flavor_by_id(number: int) -> Flavor | None:
    """A flavor by id."""
    return next((entry for entry in FLAVORS if entry.id == number), None)
