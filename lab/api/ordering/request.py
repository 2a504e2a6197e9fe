"""One guest as ordered, whichever way the order came."""

from __future__ import annotations

from dataclasses import dataclass, field

from lab.api import catalog, locations, price_list
from lab.api.records import PricePick

GUEST_ORDER = "SoftLayer_Container_Product_Order_Virtual_Guest"


@dataclass
class GuestRequest:
    """One guest as ordered, checked. `memory` in MB, `disks` device to GB, `speed` in Mbit/s.

    `picks` are all prices, those of a flavor too.
    """

    hostname: str
    domain: str
    datacenter: locations.Datacenter
    cores: int
    memory: int
    disks: dict[int, int]
    speed: int
    local_disk: bool
    hourly: bool
    private_only: bool
    private_vlan: locations.Vlan
    public_vlan: locations.Vlan | None
    picks: list[PricePick]
    package: price_list.Package
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
