"""A virtual server as declared: parsed, checked and turned into an order. No network, no Pulumi resources.

Owns: types and limits of the properties, the order's template, what is read back from the API.
Leaves to others: sending any of it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from components.softlayer.identity import (
    PROGRAM_TAG,
    mark_user_data,
    marker_in,
    marker_of,
    stack_tag,
    unmark_user_data,
)
from components.softlayer.provider import is_unknown

MASK = (
    "mask[id,globalIdentifier,hostname,domain,startCpus,maxMemory,notes,createDate,provisionDate,"
    "hourlyBillingFlag,localDiskFlag,privateNetworkOnlyFlag,primaryIpAddress,primaryBackendIpAddress,"
    "status[keyName],powerState[keyName],datacenter[name],userData[value],tagReferences[tag[name]],"
    "activeTransaction[id,elapsedSeconds,transactionStatus[name,friendlyName]],"
    "lastOperatingSystemReload[id],blockDevices[device,diskImage[capacity]],"
    "primaryNetworkComponent[id,maxSpeed,networkVlan[id],primarySubnet[id],"
    "securityGroupBindings[securityGroup[id]]],"
    "primaryBackendNetworkComponent[id,maxSpeed,networkVlan[id],primarySubnet[id],"
    "securityGroupBindings[securityGroup[id]]]]"
)
"""All that is ever asked about a guest: never the operating system's passwords, which the SDK's own default
mask includes."""

MOST_DISKS = 5
MOST_GROUPS = 5
SPEEDS = (10, 100, 1000)
_HOSTNAME = re.compile(r"(?!-)[A-Za-z0-9-]{1,63}(?<!-)")
_DOMAIN = re.compile(r"(?:(?!-)[A-Za-z0-9-]{1,63}(?<!-)\.)+(?!-)[A-Za-z0-9-]{2,63}(?<!-)")
_TAG = re.compile(r"[A-Za-z0-9 ._:-]+")
_SWAP_DEVICE = "1"


@dataclass(frozen=True)
class GuestSpec:
    """One virtual server, typed. Fields as in `VirtualGuestArgs`; `resource` is its name in the stack."""

    owner: str
    resource: str
    hostname: str
    domain: str
    datacenter: str
    cores: int
    memory: int
    disks: tuple[int, ...]
    os: str | None
    image: str | None
    hourly: bool
    local_disk: bool
    nic_speed: int
    private_only: bool
    public_vlan: int | None
    private_vlan: int | None
    public_subnet: int | None
    private_subnet: int | None
    ssh_key_ids: tuple[int, ...]
    public_security_groups: tuple[int, ...]
    private_security_groups: tuple[int, ...]
    tags: tuple[str, ...]
    notes: str
    user_data: str
    post_install_url: str | None
    placement_group: int | None
    reload_token: str
    adopt: int | None

    @property
    def name(self) -> str:
        """Fully qualified."""
        return f"{self.hostname}.{self.domain}"

    @property
    def marker(self) -> str:
        """Its identity, which the order carries."""
        return marker_of(self.owner, self.resource)

    @property
    def all_tags(self) -> tuple[str, ...]:
        """The user's tags after the program's own."""
        return tuple(dict.fromkeys((PROGRAM_TAG, stack_tag(self.owner), *self.tags)))

    @property
    def sent_notes(self) -> str:
        """The user's notes, else a word on where the server comes from."""
        return self.notes or default_notes(self.marker)

    @property
    def sent_user_data(self) -> str:
        """The user's data with the marker."""
        return mark_user_data(self.user_data, self.marker)

    def template(self) -> dict[str, Any]:
        """For `Virtual_Guest::createObject`: what the SDK's own manager would send, and the marker."""
        public: dict[str, Any] = {}
        private: dict[str, Any] = {}
        for side, vlan, subnet, groups in (
            (public, self.public_vlan, self.public_subnet, self.public_security_groups),
            (private, self.private_vlan, self.private_subnet, self.private_security_groups),
        ):
            if vlan is not None:
                side["networkVlan"] = {"id": vlan} | (
                    {"primarySubnet": {"id": subnet}} if subnet is not None else {}
                )
            if groups:
                side["securityGroupBindings"] = [{"securityGroup": {"id": group}} for group in groups]
        optional: dict[str, Any] = {
            "operatingSystemReferenceCode": self.os,
            "blockDeviceTemplateGroup": {"globalIdentifier": self.image} if self.image else None,
            "privateNetworkOnlyFlag": True if self.private_only else None,
            "primaryNetworkComponent": public or None,
            "primaryBackendNetworkComponent": private or None,
            "postInstallScriptUri": self.post_install_url,
            "sshKeys": [{"id": key} for key in self.ssh_key_ids] or None,
        }
        # Device 1 is always swap; the second disk is device 2.
        devices = [0, *range(2, len(self.disks) + 1)]
        return {
            "hostname": self.hostname,
            "domain": self.domain,
            "datacenter": {"name": self.datacenter},
            "startCpus": self.cores,
            "maxMemory": self.memory,
            "hourlyBillingFlag": self.hourly,
            "localDiskFlag": self.local_disk,
            "supplementalCreateObjectOptions": {"bootMode": None},
            "networkComponents": [{"maxSpeed": self.nic_speed}],
            "blockDevices": [
                {"device": str(device), "diskImage": {"capacity": size}}
                for device, size in zip(devices, self.disks, strict=True)
            ],
            "userData": [{"value": self.sent_user_data}],
        } | {key: value for key, value in optional.items() if value is not None}


def parse(props: Mapping[str, Any]) -> GuestSpec:
    """Typed properties: Pulumi hands integers over as floats, and leaves out what is not given."""
    return GuestSpec(
        owner=str(props["owner"]),
        resource=str(props["resource"]),
        hostname=str(props["hostname"]),
        domain=str(props["domain"]),
        datacenter=str(props["datacenter"]),
        cores=int(props["cores"]),
        memory=int(props["memory"]),
        disks=_integers(props.get("disks")),
        os=_text(props.get("os")),
        image=_text(props.get("image")),
        hourly=bool(props.get("hourly", True)),
        local_disk=bool(props.get("local_disk", True)),
        nic_speed=int(props.get("nic_speed") or 100),
        private_only=bool(props.get("private_only", False)),
        public_vlan=_integer(props.get("public_vlan")),
        private_vlan=_integer(props.get("private_vlan")),
        public_subnet=_integer(props.get("public_subnet")),
        private_subnet=_integer(props.get("private_subnet")),
        ssh_key_ids=_integers(props.get("ssh_key_ids")),
        public_security_groups=_integers(props.get("public_security_groups")),
        private_security_groups=_integers(props.get("private_security_groups")),
        tags=tuple(str(tag) for tag in props.get("tags") or ()),
        notes=str(props.get("notes") or ""),
        user_data=str(props.get("user_data") or ""),
        post_install_url=_text(props.get("post_install_url")),
        placement_group=_integer(props.get("placement_group")),
        reload_token=str(props.get("reload_token") or ""),
        adopt=_integer(props.get("adopt")),
    )


def _text(value: Any) -> str | None:
    return str(value) if value else None


def _integer(value: Any) -> int | None:
    return None if value is None or value == "" else int(float(value))


def _integers(values: Any) -> tuple[int, ...]:
    return tuple(int(float(value)) for value in values or ())


def default_notes(marker: str) -> str:
    """Notes of a guest whose user gave none."""
    return f"ordered by swarm-galera as {marker}"


def failures(olds: Mapping[str, Any], news: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What cannot work, as (property, reason with remedy). Unknown values pass.

    Args:
        olds: the declaration before, empty for a new server.
        news: the declaration now.
    """
    found: list[tuple[str, str]] = []

    def value(key: str) -> Any:
        """The property's value; None when it is absent or not known yet."""
        return None if is_unknown(news.get(key)) else news.get(key)

    def refuse(key: str, reason: str) -> None:
        found.append((key, reason))

    if (hostname := value("hostname")) is not None and not _HOSTNAME.fullmatch(str(hostname)):
        refuse(
            "hostname",
            f"'{hostname}' is no host name; use 1 to 63 letters, digits and hyphens, no hyphen at an end",
        )
    if (domain := value("domain")) is not None and not _DOMAIN.fullmatch(str(domain)):
        refuse("domain", f"'{domain}' is no domain; use one with a dot, such as example.com")
    for key, unit, least in (("cores", "cores", 1), ("memory", "MB", 1024)):
        number = value(key)
        if number is not None and (not _whole(number) or number < least):
            refuse(
                key, f"{_show(number)} is no possible number of {unit}; give a whole number from {least} up"
            )
    if (memory := value("memory")) is not None and _whole(memory) and memory >= 1024 and memory % 1024:
        refuse("memory", f"{_show(memory)} MB is not sold; memory is a multiple of 1024 MB")
    _check_disks(olds, news, refuse)
    if (speed := value("nic_speed")) is not None and speed not in SPEEDS:
        refuse("nic_speed", f"{_show(speed)} Mbit/s is not sold; give 10, 100 or 1000")
    if value("adopt") is None and not is_unknown(news.get("adopt")):
        both, neither = (
            bool(news.get("os")) and bool(news.get("image")),
            not news.get("os") and not news.get("image"),
        )
        if both or neither:
            refuse("os", f"{'both' if both else 'neither'} `os` and `image` are given; give one of them")
    for side in ("public", "private"):
        if value(f"{side}_subnet") is not None and news.get(f"{side}_vlan") in (None, ""):
            refuse(f"{side}_subnet", f"a subnet without its VLAN; give {side}_vlan as well")
        groups = value(f"{side}_security_groups")
        if groups is not None and len(groups) > MOST_GROUPS:
            refuse(
                f"{side}_security_groups",
                f"{len(groups)} security groups; an interface takes at most {MOST_GROUPS}",
            )
    if value("private_only"):
        for key in ("public_vlan", "public_subnet", "public_security_groups"):
            if value(key):
                refuse(key, "a private-only server has no public interface; leave it out")
    for tag in value("tags") or ():
        if not is_unknown(tag) and not _TAG.fullmatch(str(tag)):
            refuse(
                "tags",
                f"tag '{tag}' holds a character that SoftLayer does not take; use letters, digits, spaces, "
                "dots, colons, hyphens and underscores",
            )
    url = value("post_install_url")
    if url and not str(url).startswith("https://"):
        refuse(
            "post_install_url", f"'{url}' would not be run; SoftLayer runs scripts from https addresses only"
        )
    if "# swarm-galera-identity:" in str(value("user_data") or ""):
        refuse("user_data", "it holds a line that marks the server's identity; leave that line out")
    return found


def _check_disks(olds: Mapping[str, Any], news: Mapping[str, Any], refuse: Any) -> None:
    if is_unknown(news.get("disks")) or news.get("disks") is None:
        return
    disks = list(news["disks"])
    if not 1 <= len(disks) <= MOST_DISKS:
        refuse("disks", f"{len(disks)} disks; give the sizes in GB of one to {MOST_DISKS}")
    if bad := [size for size in disks if not _whole(size) or size < 1]:
        refuse("disks", f"{_show(bad[0])} GB is no possible size; give whole numbers from 1 up")
        return
    before = olds.get("disks")
    if not before or is_unknown(before):
        return
    if len(disks) < len(before):
        refuse("disks", f"a disk cannot be removed ({len(before)} before, {len(disks)} now); {_LOSING}")
    for position, (old, new) in enumerate(zip(before, disks, strict=False)):
        if new < old:
            refuse(
                "disks",
                f"disk {position + 1} cannot shrink ({_show(old)} GB before, {_show(new)} GB now); {_LOSING}",
            )


_LOSING = "to start anew and lose its data, destroy the server first: `pulumi destroy --target URN`"


def _whole(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and float(value).is_integer()


def _show(value: Any) -> str:
    return f"{value:.0f}" if _whole(value) else f"{value!r}"


@dataclass(frozen=True)
class Guest:
    """A guest as the API reports it."""

    raw: Mapping[str, Any]

    @property
    def id(self) -> int:
        """Its id in the account."""
        return int(self.raw["id"])

    @property
    def hostname(self) -> str:
        """Without the domain."""
        return str(self.raw.get("hostname", ""))

    @property
    def domain(self) -> str:
        """Its domain."""
        return str(self.raw.get("domain", ""))

    @property
    def name(self) -> str:
        """Fully qualified."""
        return f"{self.hostname}.{self.domain}"

    @property
    def user_data(self) -> str:
        """Everything, the marker included."""
        return "".join(str(entry.get("value", "")) for entry in self.raw.get("userData") or ())

    @property
    def marker(self) -> str | None:
        """The identity that its order carried; None for a guest that this program did not order."""
        return marker_in(self.user_data)

    @property
    def tags(self) -> tuple[str, ...]:
        """In the API's order."""
        return tuple(str(ref["tag"]["name"]) for ref in self.raw.get("tagReferences") or () if ref.get("tag"))

    @property
    def transaction(self) -> str | None:
        """Name of the outstanding transaction; None when there is none."""
        active = self.raw.get("activeTransaction") or {}
        if not active:
            return None
        return str((active.get("transactionStatus") or {}).get("name") or "unnamed transaction")

    @property
    def reclaiming(self) -> bool:
        """Whether it is cancelled and about to vanish."""
        return bool(re.search(r"RECLAIM|CANCEL|DELETE|DESTROY", self.transaction or "", re.IGNORECASE))

    @property
    def last_reload(self) -> int | None:
        """Id of the last operating system reload."""
        reload = self.raw.get("lastOperatingSystemReload") or {}
        return int(reload["id"]) if reload.get("id") is not None else None

    @property
    def disks(self) -> tuple[int, ...]:
        """Sizes in GB by device, swap left out; empty when the API does not tell."""
        devices = {
            str(device.get("device")): device["diskImage"].get("capacity")
            for device in self.raw.get("blockDevices") or ()
            if device.get("diskImage")
        }
        numbered = sorted((int(d), c) for d, c in devices.items() if d.isdigit() and d != _SWAP_DEVICE)
        return tuple(int(capacity) for _, capacity in numbered if capacity is not None)

    def interface(self, side: str) -> Mapping[str, Any]:
        """The primary network component of a side, `public` or `private`; empty when there is none."""
        key = "primaryNetworkComponent" if side == "public" else "primaryBackendNetworkComponent"
        component: Mapping[str, Any] = self.raw.get(key) or {}
        return component

    def groups(self, side: str) -> tuple[int, ...]:
        """Ids of the security groups bound to a side."""
        bindings = self.interface(side).get("securityGroupBindings") or ()
        return tuple(int(b["securityGroup"]["id"]) for b in bindings if b.get("securityGroup"))

    def observed(self, declared: Mapping[str, Any]) -> dict[str, Any]:
        """The declared properties with what the API says in their place, for drift and found orders.

        What was left to SoftLayer (VLANs, subnets) and what the API does not tell again (operating system
        code, post-install script, keys) stays as declared.
        """
        spec = parse(declared)
        seen: dict[str, Any] = {
            "hostname": self.hostname,
            "domain": self.domain,
            "cores": int(self.raw.get("startCpus") or spec.cores),
            "memory": int(self.raw.get("maxMemory") or spec.memory),
            "hourly": bool(self.raw.get("hourlyBillingFlag", spec.hourly)),
            "local_disk": bool(self.raw.get("localDiskFlag", spec.local_disk)),
            "private_only": bool(self.raw.get("privateNetworkOnlyFlag", spec.private_only)),
            "tags": list(spec.tags) if set(self.tags) == set(spec.all_tags) else _own_last(self.tags, spec),
            "notes": _without_default(str(self.raw.get("notes") or ""), spec),
            "user_data": unmark_user_data(self.user_data),
        }
        if place := (self.raw.get("datacenter") or {}).get("name"):
            seen["datacenter"] = str(place)
        if self.disks:
            seen["disks"] = list(self.disks)
        if speed := self.interface("private").get("maxSpeed"):
            seen["nic_speed"] = int(speed)
        for side in ("public", "private"):
            for key, part in (("vlan", "networkVlan"), ("subnet", "primarySubnet")):
                actual = (self.interface(side).get(part) or {}).get("id")
                if declared.get(f"{side}_{key}") is not None and actual is not None:
                    seen[f"{side}_{key}"] = int(actual)
            declared_groups = declared.get(f"{side}_security_groups") or []
            actual_groups = self.groups(side)
            if {int(float(group)) for group in declared_groups} != set(actual_groups):
                seen[f"{side}_security_groups"] = [str(group) for group in actual_groups]
        return {**declared, **seen}


def _own_last(tags: tuple[str, ...], spec: GuestSpec) -> list[str]:
    own = {PROGRAM_TAG, stack_tag(spec.owner)}
    return [tag for tag in tags if tag not in own]


def _without_default(notes: str, spec: GuestSpec) -> str:
    return "" if notes == default_notes(spec.marker) else notes
