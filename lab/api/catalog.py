"""What the lab's SoftLayer sells and where: datacenters, VLANs, subnets, packages, items, prices, flavors.

One catalog for templates, verification, orders and upgrades, so that they agree. Fees resemble SoftLayer's
and are invented. Ids are fixed: the same in every lab. Fees are kept as text, as the API sends them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from ipaddress import IPv4Network

CURRENCY = "USD"

CLOUD_SERVER = 46
PUBLIC_CLOUD_SERVER = 835
SUSPEND_CLOUD_SERVER = 1035


@dataclass(frozen=True)
class Datacenter:
    """A place to order in. `region` is the key name that orders may use instead."""

    id: int
    name: str
    long_name: str
    region: str

    @property
    def router_ids(self) -> tuple[int, int]:
        """Ids of its private (back-end) and public (front-end) router."""
        return self.id * 10 + 1, self.id * 10 + 2

    @property
    def routers(self) -> tuple[str, str]:
        """Host names of its private and public router."""
        return f"bcr01a.{self.name}", f"fcr01a.{self.name}"


DATACENTERS = (
    Datacenter(448994, "tor01", "Toronto 1", "TORONTO"),
    Datacenter(1854895, "dal13", "Dallas 13", "DALLAS13"),
    Datacenter(2017603, "wdc07", "Washington 7", "WASHINGTON07"),
    Datacenter(449506, "fra02", "Frankfurt 2", "FRANKFURT02"),
    Datacenter(449600, "ams03", "Amsterdam 3", "AMSTERDAM03"),
    Datacenter(449604, "mon01", "Montreal 1", "MONTREAL"),
)


@dataclass(frozen=True)
class Networks:
    """The two networks under all VLANs of a lab: one bridge each, whatever the datacenter."""

    private: IPv4Network = field(default_factory=lambda: IPv4Network("10.144.12.0/24"))
    public: IPv4Network = field(default_factory=lambda: IPv4Network("203.0.113.0/24"))
    first_host: int = 10
    """Number, within the network, of the first address that guests get; .1 is the gateway."""


@dataclass(frozen=True)
class Vlan:
    """A VLAN and its one primary subnet. `number` is what switches know; `id` is what the API takes."""

    id: int
    number: int
    datacenter: Datacenter
    public: bool
    subnet_id: int
    name: str

    @property
    def space(self) -> str:
        """SoftLayer's word for the network it is in."""
        return "PUBLIC" if self.public else "PRIVATE"


def _vlans() -> tuple[Vlan, ...]:
    vlans = []
    for position, datacenter in enumerate(DATACENTERS):
        for pair in (0, 1):
            for public in (False, True):
                offset = position * 10 + pair * 2 + int(public)
                vlans.append(
                    Vlan(
                        id=2263100 + offset,
                        number=1200 + offset * 7,
                        datacenter=datacenter,
                        public=public,
                        subnet_id=1934200 + offset,
                        name="" if pair == 0 else f"second-{'public' if public else 'private'}",
                    )
                )
    return tuple(vlans)


VLANS = _vlans()


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
SERVER_PACKAGES = (CLOUD_SERVER, PUBLIC_CLOUD_SERVER)


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
)
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
class Item:
    """Something that can be bought. `capacity` is text on the wire; its meaning depends on the category
    (cores, GB, Mbit/s). `units` PRIVATE_CORE marks a dedicated core."""

    id: int
    key: str
    description: str
    capacity: str
    units: str
    categories: tuple[str, ...]
    system: OperatingSystem | None = None
    local_disk: bool | None = None


@dataclass(frozen=True)
class Price:
    """What an item costs. Fees are text; None means that it cannot be bought that way."""

    id: int
    item: Item
    hourly: str | None
    monthly: str | None
    packages: tuple[int, ...] = SERVER_PACKAGES


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

CORES = (1, 2, 4, 8, 12, 16, 32, 48, 56)
MEMORY_GB = (1, 2, 4, 6, 8, 12, 16, 32, 48, 64, 128, 242)
PORT_SPEEDS = (10, 100, 1000)
LOCAL_FIRST, LOCAL_MORE = (25, 100), (25, 100, 150, 200, 300)
SAN_FIRST = (25, 100)
SAN_MORE = (
    10,
    20,
    25,
    30,
    40,
    50,
    75,
    100,
    125,
    150,
    175,
    200,
    250,
    300,
    350,
    400,
    500,
    750,
    1000,
    1500,
    2000,
)
MAX_LOCAL_DISKS, MAX_SAN_DISKS = 2, 5


def _fee(amount: Decimal) -> str:
    """A fee as text, without needless zeros."""
    text = f"{amount:.4f}".rstrip("0").rstrip(".")
    return text or "0"


def _hourly_of(monthly: Decimal) -> str:
    # SoftLayer's hourly fee is about 1/660 of the monthly one.
    return _fee((monthly / 660).quantize(Decimal("0.001")))


def _prices() -> tuple[Price, ...]:
    prices: list[Price] = []

    def sell(
        key: str,
        description: str,
        capacity: int | str,
        units: str,
        categories: tuple[str, ...],
        monthly: str,
        *,
        hourly: str | None = "derived",
        monthly_sold: bool = True,
        packages: tuple[int, ...] = SERVER_PACKAGES,
        system: OperatingSystem | None = None,
        local_disk: bool | None = None,
    ) -> None:
        number = len(prices)
        item = Item(2100 + number, key, description, str(capacity), units, categories, system, local_disk)
        fee = _hourly_of(Decimal(monthly)) if hourly == "derived" else hourly
        prices.append(Price(21600 + number, item, fee, monthly if monthly_sold else None, packages))

    for cores in CORES:
        plural = "Core" if cores == 1 else "Cores"
        sell(
            f"GUEST_CORES_{cores}",
            f"{cores} x 2.0 GHz or higher {plural}",
            cores,
            "CORE",
            ("guest_core",),
            _fee(Decimal("13.20") * cores),
        )
    for cores in CORES[:6]:
        plural = "Core" if cores == 1 else "Cores"
        sell(
            f"GUEST_CORE_{cores}_DEDICATED",
            f"{cores} x 2.0 GHz or higher {plural} (Dedicated)",
            cores,
            "PRIVATE_CORE",
            ("guest_core",),
            _fee(Decimal("26.40") * cores),
        )
    for memory in MEMORY_GB:
        sell(f"RAM_{memory}_GB", f"{memory} GB", memory, "GB", ("ram",), _fee(Decimal("6.60") * memory))
    for system in OPERATING_SYSTEMS:
        key = f"OS_{system.code.removesuffix('_64')}_MINIMAL_64_BIT"
        description = f"{system.name} {system.version} (64 bit)"
        sell(key, description, 0, "N/A", ("os",), "0", system=system)
    first_local, more_local = DISK_CATEGORIES[:1], DISK_CATEGORIES[1:MAX_LOCAL_DISKS]
    for size in LOCAL_MORE:
        slots = (*(first_local if size in LOCAL_FIRST else ()), *more_local)
        fee = _fee(Decimal("0.132") * size)
        sell(f"GUEST_DISK_{size}_GB_LOCAL", f"{size} GB (LOCAL)", size, "GB", slots, fee, local_disk=True)
    for size in SAN_MORE:
        slots = (*(DISK_CATEGORIES[:1] if size in SAN_FIRST else ()), *DISK_CATEGORIES[1:])
        fee = _fee(Decimal("0.165") * size)
        sell(f"GUEST_DISK_{size}_GB_SAN", f"{size} GB (SAN)", size, "GB", slots, fee, local_disk=False)
    for speed in PORT_SPEEDS:
        label, fee = ("1 Gbps", "22") if speed == 1000 else (f"{speed} Mbps", "0")
        unit = "1_GBPS" if speed == 1000 else f"{speed}_MBPS"
        sell(
            f"{unit}_PUBLIC_PRIVATE_NETWORK_UPLINKS",
            f"{label} Public & Private Network Uplinks",
            speed,
            "Mbps",
            ("port_speed",),
            fee,
        )
        sell(
            f"{unit}_PRIVATE_NETWORK_UPLINK",
            f"{label} Private Network Uplink",
            speed,
            "Mbps",
            ("port_speed",),
            fee,
        )
    sell(
        "BANDWIDTH_0_GB_2",
        "0 GB Bandwidth Allotment",
        0,
        "GB",
        ("bandwidth",),
        "0",
        hourly="0",
        monthly_sold=False,
    )
    sell("BANDWIDTH_250_GB", "250 GB Bandwidth Allotment", 250, "GB", ("bandwidth",), "0", hourly=None)
    sell("1_IP_ADDRESS", "1 IP Address", 1, "N/A", ("pri_ip_addresses",), "0")
    sell("1_IPV6_ADDRESS", "1 IPv6 Address", 1, "N/A", ("pri_ipv6_addresses",), "0")
    sell("REBOOT_REMOTE_CONSOLE", "Reboot / Remote Console", 0, "N/A", ("remote_management",), "0")
    sell(
        "UNLIMITED_SSL_VPN_USERS_1_PPTP_VPN_USER_PER_ACCOUNT",
        "Unlimited SSL VPN Users & 1 PPTP VPN User per account",
        0,
        "N/A",
        ("vpn_management",),
        "0",
    )
    sell("MONITORING_HOST_PING", "Host Ping", 0, "N/A", ("monitoring",), "0")
    sell("NOTIFICATION_EMAIL_AND_TICKET", "Email and Ticket", 0, "N/A", ("notification",), "0")
    sell("AUTOMATED_NOTIFICATION", "Automated Notification", 0, "N/A", ("response",), "0")
    sell("SUSPEND_RAM_4_GB", "4 GB", 4, "GB", ("ram",), "26.4", packages=(SUSPEND_CLOUD_SERVER,))
    return tuple(prices)


PRICES = _prices()
_PRICE_BY_ID = {price.id: price for price in PRICES}
_PRICE_BY_KEY = {price.item.key: price for price in PRICES}


@dataclass(frozen=True)
class Package:
    """A family of products that share an order form."""

    id: int
    key: str
    name: str
    type_key: str

    @property
    def prices(self) -> list[Price]:
        """All it sells."""
        return [price for price in PRICES if self.id in price.packages]

    @property
    def flavors(self) -> tuple[Flavor, ...]:
        """Its fixed sizes."""
        return FLAVORS if self.id == PUBLIC_CLOUD_SERVER else ()


PACKAGES = (
    Package(CLOUD_SERVER, "CLOUD_SERVER", "Cloud Server", "VIRTUAL_SERVER_INSTANCE"),
    Package(
        PUBLIC_CLOUD_SERVER, "PUBLIC_CLOUD_SERVER", "Public Cloud Server", "PUBLIC_VIRTUAL_SERVER_INSTANCE"
    ),
    Package(SUSPEND_CLOUD_SERVER, "SUSPEND_CLOUD_SERVER", "Suspend Cloud Server", "SUSPEND_CLOUD_SERVER"),
)


def price(number: int) -> Price | None:
    """A price by id."""
    return _PRICE_BY_ID.get(number)


def price_of(key: str) -> Price:
    """The price of the item with this key name. Raises KeyError: keys are the catalog's own."""
    return _PRICE_BY_KEY[key]


def package(number: int) -> Package | None:
    """A package by id."""
    return next((entry for entry in PACKAGES if entry.id == number), None)


def datacenter(name: str) -> Datacenter | None:
    """A datacenter by short name."""
    return next((entry for entry in DATACENTERS if entry.name == name), None)


def datacenter_of_order(location: object) -> Datacenter | None:
    """A datacenter as orders name it: by id (number or digits), short name or region."""
    text = str(location)
    return next((entry for entry in DATACENTERS if text in {str(entry.id), entry.name, entry.region}), None)


def vlan(number: int) -> Vlan | None:
    """A VLAN by id (not by VLAN number)."""
    return next((entry for entry in VLANS if entry.id == number), None)


def vlan_of_subnet(number: int) -> Vlan | None:
    """The VLAN whose primary subnet has this id."""
    return next((entry for entry in VLANS if entry.subnet_id == number), None)


def default_vlan(place: Datacenter, *, public: bool) -> Vlan:
    """Where a guest goes that asks for no VLAN."""
    return next(entry for entry in VLANS if entry.datacenter is place and entry.public is public)


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


def core_price(cores: int, *, dedicated: bool) -> Price | None:
    """The price of so many cores."""
    units = "PRIVATE_CORE" if dedicated else "CORE"
    return _find("guest_core", cores, lambda item: item.units == units)


def memory_price(gigabytes: int) -> Price | None:
    """The price of so much memory."""
    return _find("ram", gigabytes, lambda item: item.key.startswith("RAM_"))


def disk_price(capacity: int, slot: str, *, local: bool) -> Price | None:
    """The price of a disk of `capacity` GB for a category such as `guest_disk1`."""
    return _find(slot, capacity, lambda item: item.local_disk is local)


def port_price(speed: int, *, private_only: bool) -> Price | None:
    """The price of an uplink of `speed` Mbit/s."""
    return _find("port_speed", speed, lambda item: ("Public" in item.description) is not private_only)


def os_price(system: OperatingSystem) -> Price:
    """The price of an operating system."""
    return next(entry for entry in PRICES if entry.item.system is system)


def _find(category: str, capacity: int, fits: object) -> Price | None:
    assert callable(fits)
    for entry in PRICES:
        if category in entry.item.categories and entry.item.capacity == str(capacity) and fits(entry.item):
            return entry
    return None
