"""What the lab's SoftLayer sells and for how much: items, prices, and the packages that have them.

Fees resemble SoftLayer's and are invented; they are kept as text, as the API sends them. Ids are fixed: the
same in every lab. Leaves which prices an order takes to `ordering/`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal

from lab.api.catalog import (
    DISK_CATEGORIES,
    FIRST_SYSTEMS,
    FLAVORS,
    OPERATING_SYSTEMS,
    Flavor,
    OperatingSystem,
)

CURRENCY = "USD"
CLOUD_SERVER = 46
PUBLIC_CLOUD_SERVER = 835
SUSPEND_CLOUD_SERVER = 1035
SERVER_PACKAGES = (CLOUD_SERVER, PUBLIC_CLOUD_SERVER)


@dataclass(frozen=True)
class Item:
    """Something that can be bought. `capacity` is text on the wire; its meaning depends on the category
    (cores, GB, Mbit/s). `units` PRIVATE_CORE marks a dedicated core.
    """

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


@dataclass(frozen=True)
class _Offer:
    """An item with its fees, before both have their ids. `hourly` is derived from `monthly` unless given."""

    key: str
    description: str
    capacity: int
    units: str
    category: str | tuple[str, ...]
    monthly: str
    hourly: str | None = "derived"
    monthly_sold: bool = True
    packages: tuple[int, ...] = SERVER_PACKAGES
    system: OperatingSystem | None = None
    local_disk: bool | None = None

    def price(self, number: int) -> Price:
        """The price with its item; ids count the offers."""
        categories = (self.category,) if isinstance(self.category, str) else self.category
        item = Item(
            *(2100 + number, self.key, self.description, str(self.capacity), self.units, categories),
            *(self.system, self.local_disk),
        )
        hourly = _hourly_of(Decimal(self.monthly)) if self.hourly == "derived" else self.hourly
        return Price(21600 + number, item, hourly, self.monthly if self.monthly_sold else None, self.packages)


def _cores() -> Iterator[_Offer]:
    for cores in CORES:
        text = f"{cores} x 2.0 GHz or higher {'Core' if cores == 1 else 'Cores'}"
        fee = _fee(Decimal("13.20") * cores)
        yield _Offer(f"GUEST_CORES_{cores}", text, cores, "CORE", "guest_core", fee)
    for cores in CORES[:6]:
        text = f"{cores} x 2.0 GHz or higher {'Core' if cores == 1 else 'Cores'} (Dedicated)"
        fee = _fee(Decimal("26.40") * cores)
        yield _Offer(f"GUEST_CORE_{cores}_DEDICATED", text, cores, "PRIVATE_CORE", "guest_core", fee)


def _memory() -> Iterator[_Offer]:
    for size in MEMORY_GB:
        yield _Offer(f"RAM_{size}_GB", f"{size} GB", size, "GB", "ram", _fee(Decimal("6.60") * size))


def _operating_systems(systems: Sequence[OperatingSystem]) -> Iterator[_Offer]:
    for system in systems:
        key = f"OS_{system.code.removesuffix('_64')}_MINIMAL_64_BIT"
        yield _Offer(key, f"{system.name} {system.version} (64 bit)", 0, "N/A", "os", "0", system=system)


def _disks() -> Iterator[_Offer]:
    first = DISK_CATEGORIES[:1]
    for size in LOCAL_MORE:
        slots = (*(first if size in LOCAL_FIRST else ()), *DISK_CATEGORIES[1:MAX_LOCAL_DISKS])
        fee = _fee(Decimal("0.132") * size)
        yield _Offer(
            f"GUEST_DISK_{size}_GB_LOCAL", f"{size} GB (LOCAL)", size, "GB", slots, fee, local_disk=True
        )
    for size in SAN_MORE:
        slots = (*(first if size in SAN_FIRST else ()), *DISK_CATEGORIES[1:])
        fee = _fee(Decimal("0.165") * size)
        yield _Offer(
            f"GUEST_DISK_{size}_GB_SAN", f"{size} GB (SAN)", size, "GB", slots, fee, local_disk=False
        )


def _uplinks() -> Iterator[_Offer]:
    for speed in PORT_SPEEDS:
        number, scale, fee = (1, "Gbps", "22") if speed == 1000 else (speed, "Mbps", "0")
        unit, label = f"{number}_{scale.upper()}", f"{number} {scale}"
        for key, text in (
            (f"{unit}_PUBLIC_PRIVATE_NETWORK_UPLINKS", f"{label} Public & Private Network Uplinks"),
            (f"{unit}_PRIVATE_NETWORK_UPLINK", f"{label} Private Network Uplink"),
        ):
            yield _Offer(key, text, speed, "Mbps", "port_speed", fee)


_THE_REST = (
    _Offer(
        *("BANDWIDTH_0_GB_2", "0 GB Bandwidth Allotment", 0, "GB", "bandwidth", "0"),
        hourly="0",
        monthly_sold=False,
    ),
    _Offer("BANDWIDTH_250_GB", "250 GB Bandwidth Allotment", 250, "GB", "bandwidth", "0", hourly=None),
    _Offer("1_IP_ADDRESS", "1 IP Address", 1, "N/A", "pri_ip_addresses", "0"),
    _Offer("1_IPV6_ADDRESS", "1 IPv6 Address", 1, "N/A", "pri_ipv6_addresses", "0"),
    _Offer("REBOOT_REMOTE_CONSOLE", "Reboot / Remote Console", 0, "N/A", "remote_management", "0"),
    _Offer(
        "UNLIMITED_SSL_VPN_USERS_1_PPTP_VPN_USER_PER_ACCOUNT",
        "Unlimited SSL VPN Users & 1 PPTP VPN User per account",
        *(0, "N/A", "vpn_management", "0"),
    ),
    _Offer("MONITORING_HOST_PING", "Host Ping", 0, "N/A", "monitoring", "0"),
    _Offer("NOTIFICATION_EMAIL_AND_TICKET", "Email and Ticket", 0, "N/A", "notification", "0"),
    _Offer("AUTOMATED_NOTIFICATION", "Automated Notification", 0, "N/A", "response", "0"),
    _Offer("SUSPEND_RAM_4_GB", "4 GB", 4, "GB", "ram", "26.4", packages=(SUSPEND_CLOUD_SERVER,)),
)


def _prices() -> tuple[Price, ...]:
    # Ids follow from the order: what is new comes last.
    first, later = OPERATING_SYSTEMS[:FIRST_SYSTEMS], OPERATING_SYSTEMS[FIRST_SYSTEMS:]
    offers = (*_cores(), *_memory(), *_operating_systems(first), *_disks(), *_uplinks(), *_THE_REST)
    offers += tuple(_operating_systems(later))
    return tuple(offer.price(number) for number, offer in enumerate(offers))


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
    """The price of the item with this key name. Raises KeyError: keys are the list's own."""
    return _PRICE_BY_KEY[key]


def package(number: int) -> Package | None:
    """A package by id."""
    return next((entry for entry in PACKAGES if entry.id == number), None)


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
