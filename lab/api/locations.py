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
