"""Where the lab's SoftLayer has room: datacenters, their routers, VLANs and subnets.

Ids are fixed: the same in every lab. What a user writes on a VLAN is in `records.py`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import IPv4Network


@dataclass(frozen=True)
class Datacenter:
    """A place to order in. `region` is the key name that orders may use instead."""

    id: int
    name: str
    long_name: str
    region: str


DATACENTERS = (
    Datacenter(448994, "tor01", "Toronto 1", "TORONTO"),
    Datacenter(1854895, "dal13", "Dallas 13", "DALLAS13"),
    Datacenter(2017603, "wdc07", "Washington 7", "WASHINGTON07"),
    Datacenter(449506, "fra02", "Frankfurt 2", "FRANKFURT02"),
    Datacenter(449600, "ams03", "Amsterdam 3", "AMSTERDAM03"),
    Datacenter(449604, "mon01", "Montreal 1", "MONTREAL"),
)


@dataclass(frozen=True)
class Pod:
    """A part of a datacenter with a private (back-end) and a public (front-end) router of its own.

    A server's two VLANs are behind routers of one pod.
    """

    datacenter: Datacenter
    number: int

    @property
    def name(self) -> str:
        """Such as `tor01.pod01`."""
        return f"{self.datacenter.name}.pod{self.number:02d}"

    @property
    def router_ids(self) -> tuple[int, int]:
        """Ids of its private and public router."""
        first = self.datacenter.id * 10 + self.number * 2 - 1
        return first, first + 1

    @property
    def routers(self) -> tuple[str, str]:
        """Host names of its private and public router."""
        place = f"{self.number:02d}a.{self.datacenter.name}"
        return f"bcr{place}", f"fcr{place}"


PODS = tuple(Pod(datacenter, number) for datacenter in DATACENTERS for number in (1, 2))


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
    pod: Pod
    public: bool
    subnet_id: int
    name: str

    @property
    def datacenter(self) -> Datacenter:
        """Where it is."""
        return self.pod.datacenter

    @property
    def qualified_name(self) -> str:
        """Datacenter, router and number, such as `tor01.bcr01a.1200`."""
        return f"{self.datacenter.name}.{self.pod.routers[int(self.public)].split('.')[0]}.{self.number}"

    @property
    def space(self) -> str:
        """SoftLayer's word for the network it is in."""
        return "PUBLIC" if self.public else "PRIVATE"


def _vlans() -> tuple[Vlan, ...]:
    """One private and one public VLAN in every pod."""
    vlans = []
    for position, pod in enumerate(PODS):
        for public in (False, True):
            offset = position // 2 * 10 + position % 2 * 2 + int(public)
            vlans.append(
                Vlan(
                    id=2263100 + offset,
                    number=1200 + offset * 7,
                    pod=pod,
                    public=public,
                    subnet_id=1934200 + offset,
                    name="" if pod.number == 1 else f"second-{'public' if public else 'private'}",
                )
            )
    return tuple(vlans)


VLANS = _vlans()


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


def pods(place: Datacenter) -> tuple[Pod, ...]:
    """The pods of a datacenter."""
    return tuple(entry for entry in PODS if entry.datacenter is place)


def vlan_in(pod: Pod, *, public: bool) -> Vlan:
    """Where a guest goes that asks for no VLAN."""
    return next(entry for entry in VLANS if entry.pod == pod and entry.public is public)
