"""What the API remembers: one pydantic model a kind of thing. Times are seconds since the epoch (UTC).

Static things (datacenters, VLANs, prices) are not here but in `locations.py`, `catalog.py`, `price_list.py`.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, ClassVar

from pydantic import BaseModel, Field

from lab.hosts.backend import Traffic


class Record(BaseModel):
    """Something with an id of its own that survives a restart of the API."""

    table: ClassVar[str]
    id: int


class Disk(BaseModel):
    """A guest's disk: device 0 is the system's (xvda), 2 and up are data (xvdc …). `capacity` in GB."""

    id: int
    device: int
    capacity: int


class Nic(BaseModel):
    """A guest's network card: port 0 is private (eth0), 1 public (eth1). Speeds in Mbit/s.

    The address is reserved with the order and shown from the transaction step that assigns it. A fault may
    hold it back: while the rule `held_by` stands, or for `held_seconds` after provisioning
    (`hidden_until`).

    `filtered`: its security groups are in force. The first group of an interface comes into force when the
    server is started next; from then on every change does at once.
    """

    id: int
    port: int
    vlan_id: int
    subnet_id: int
    address: str
    mac: str
    speed: int
    max_speed: int
    security_groups: list[int] = Field(default_factory=list)
    filtered: bool = False
    shown: bool = False
    held_by: int | None = None
    held_seconds: float = 0.0
    hidden_until: float = 0.0


class PricePick(BaseModel):
    """A price and the category it was ordered for: the same disk price serves the first and the second
    disk.
    """

    price_id: int
    category: str


class Guest(Record):
    """A virtual server. `memory` in MB."""

    table: ClassVar[str] = "guests"

    guid: str
    hostname: str
    domain: str
    cores: int
    memory: int
    local_disk: bool
    hourly: bool
    private_only: bool
    dedicated: bool = False
    transient: bool = False
    datacenter: str
    os_code: str | None
    image_guid: str | None = None
    host_image: str
    boot_mode: str | None = None
    disks: list[Disk]
    private: Nic
    public: Nic | None
    user_data: str | None = None
    post_install_uri: str | None = None
    ssh_key_ids: list[int] = Field(default_factory=list)
    ssh_keys: list[str] = Field(default_factory=list)
    tags: list[str] = Field(default_factory=list)
    notes: str | None = None
    placement_group: int | None = None
    flavor: str | None = None
    prices: list[PricePick]
    order_id: int
    billing_item: int
    created: float
    modified: float
    provisioned: float | None = None
    last_reload: int | None = None
    transaction: int | None = None
    last_transaction: int | None = None

    @property
    def name(self) -> str:
        """The fully qualified domain name."""
        return f"{self.hostname}.{self.domain}"

    @property
    def tracking_id(self) -> int:
        """The id under which its metrics are kept."""
        return self.billing_item + 6

    @property
    def nics(self) -> list[Nic]:
        """Its cards, private first."""
        return [self.private] + ([self.public] if self.public else [])


class Transaction(Record):
    """A chain of steps on one guest: the guest's active transaction while it runs.

    Nothing is shown of it before `not_before`. `step` counts steps done; the current one has done its work
    when `acted` is set and is left at `linger_until`. `held_by` is the injected fault that holds it.
    `changes` holds what the steps apply (an upgrade's new sizes). `error` is the backend's last message
    when a step failed.
    """

    table: ClassVar[str] = "transactions"

    guest_id: int
    kind: str
    hidden: bool = False
    step: int = 0
    acted: bool = False
    linger_until: float = 0.0
    held_by: int | None = None
    not_before: float
    created: float
    modified: float
    finished: bool = False
    error: str | None = None
    changes: dict[str, Any] = Field(default_factory=dict)


class SshKey(Record):
    """A public key of the account."""

    table: ClassVar[str] = "ssh_keys"

    label: str
    key: str
    fingerprint: str
    notes: str | None = None
    created: float
    modified: float


class Rule(BaseModel):
    """One thing that a security group lets through."""

    id: int
    direction: str
    ethertype: str
    protocol: str | None = None
    port_min: int | None = None
    port_max: int | None = None
    remote_ip: str | None = None
    remote_group: int | None = None
    created: float
    modified: float


class SecurityGroup(Record):
    """A named set of rules that network cards are bound to."""

    table: ClassVar[str] = "security_groups"

    name: str | None
    description: str | None
    rules: list[Rule] = Field(default_factory=list)
    created: float
    modified: float


class PlacementGroup(Record):
    """Guests of one group are spread over different hosts."""

    table: ClassVar[str] = "placement_groups"

    name: str
    rule_id: int
    router_id: int
    created: float


class Order(Record):
    """An order as it was placed: never changed, never deleted, so that tests can count them."""

    table: ClassVar[str] = "orders"

    kind: str
    guests: list[int]
    hourly: bool
    monthly_total: str
    hourly_total: str
    descriptions: list[str]
    created: float


class Quote(Record):
    """An order that was priced and kept, not placed: its container as it came, and the ids of all its prices,
    those of a flavor too.
    """

    table: ClassVar[str] = "quotes"

    name: str
    status: str = "PENDING"
    container: dict[str, Any]
    package: int
    prices: list[int]
    created: float
    modified: float
    expires: float


class InjectedFault(Record):
    """A fault to inject; see `faults.py` for the kinds. `remaining` None means for ever."""

    table: ClassVar[str] = "faults"

    kind: str
    service: str = "*"
    method: str = "*"
    hostname: str = "*"
    step: str = "*"
    skip: int = 0
    remaining: int | None = None
    seconds: float = 0.0
    interface: str = "public"
    code: str | None = None
    message: str | None = None
    after: bool = False


class TrafficSlot(Record):
    """What a guest has received and sent in five minutes from `begin` (seconds since the epoch).

    `counter` is the last reading that went into it.
    """

    table: ClassVar[str] = "traffic"

    guest_id: int
    begin: int
    passed: Traffic
    counter: Traffic


class Notification(Record):
    """A user who is told when a guest is down."""

    table: ClassVar[str] = "notifications"

    guest_id: int
    user_id: int


class VlanNotes(Record):
    """What a user may change on a VLAN of `locations.py`; the id is the VLAN's."""

    table: ClassVar[str] = "vlans"

    name: str | None = None
    note: str | None = None
    tags: list[str] = Field(default_factory=list)


class Settings(Record):
    """What admin calls may change; one row. `durations` in seconds, see `transactions.py`; `rate_limit` calls
    a second, 0 for none.
    """

    table: ClassVar[str] = "settings"

    durations: dict[str, float] = Field(default_factory=dict)
    rate_limit: int = 0


def iso(moment: float | None) -> str | None:
    """A time as SoftLayer sends it: ISO 8601 with an offset, whole seconds."""
    if moment is None:
        return None
    return datetime.fromtimestamp(int(moment), UTC).isoformat()
