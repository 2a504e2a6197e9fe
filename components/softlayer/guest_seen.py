"""A virtual server as the API reports it.

Owns: what is asked for, and reading the answer. Leaves to others: asking (guests.py).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from components.softlayer.guest_spec import ROWS, SIDES, GuestSpec, default_notes, parse
from components.softlayer.identity import PROGRAM_TAG, marker_in, stack_tag, unmark_user_data
from settings.server import read


def _in_mask(path: str) -> str:
    whole, _, part = path.partition(".")
    return f"{whole}[{part}]" if part else whole


_TOLD = {name: row.api for name, row in ROWS.items() if row.told and row.api}
"""Properties that the API tells as they are, and where."""
MASK = (
    f"mask[{','.join(_in_mask(path) for path in _TOLD.values())},"
    "id,globalIdentifier,notes,createDate,provisionDate,primaryIpAddress,primaryBackendIpAddress,"
    "status[keyName],powerState[keyName],userData[value],tagReferences[tag[name]],"
    "activeTransaction[id,elapsedSeconds,transactionStatus[name,friendlyName]],"
    "lastOperatingSystemReload[id],blockDeviceTemplateGroup[id,globalIdentifier],"
    "blockDevices[device,mountType,diskImage[capacity,units,metadataFlag,type[keyName]]],"
    "primaryNetworkComponent[id,maxSpeed,networkVlan[id],primarySubnet[id],"
    "securityGroupBindings[securityGroup[id]]],"
    "primaryBackendNetworkComponent[id,maxSpeed,networkVlan[id],primarySubnet[id],"
    "securityGroupBindings[securityGroup[id]]]]"
)
"""All that is ever asked about a guest: never the operating system's passwords, which the SDK's own default
mask includes."""
_SWAP_DEVICE = "1"


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
    def provisioned(self) -> bool:
        """Whether it has been made; before, neither its sizes nor its addresses are all told."""
        return bool(self.raw.get("provisionDate"))

    @property
    def last_reload(self) -> int | None:
        """Id of the last operating system reload."""
        reload = self.raw.get("lastOperatingSystemReload") or {}
        return int(reload["id"]) if reload.get("id") is not None else None

    @property
    def disks(self) -> tuple[int, ...]:
        """Sizes in GB by device, without those that nobody ordered; empty when the API does not tell."""
        sizes = {
            int(device["device"]): int(device["diskImage"]["capacity"])
            for device in self.raw.get("blockDevices") or ()
            if _was_ordered(device)
        }
        return tuple(size for _, size in sorted(sizes.items()))

    @property
    def image_id(self) -> int | None:
        """Number of the image template that it was made from."""
        number = (self.raw.get("blockDeviceTemplateGroup") or {}).get("id")
        return int(number) if number else None

    def interface(self, side: str) -> Mapping[str, Any]:
        """The primary network component of a side, `public` or `private`; empty when there is none."""
        key = "primaryNetworkComponent" if side == "public" else "primaryBackendNetworkComponent"
        component: Mapping[str, Any] = self.raw.get(key) or {}
        return component

    def placed(self, side: str) -> dict[str, int]:
        """Ids of the VLAN and the subnet of a side; without those that the API does not tell (yet)."""
        component = self.interface(side)
        found = {"vlan": component.get("networkVlan"), "subnet": component.get("primarySubnet")}
        return {key: int(part["id"]) for key, part in found.items() if part and part.get("id")}

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
            **self._told(declared, spec),
            "tags": list(spec.tags) if set(self.tags) == set(spec.all_tags) else _own_last(self.tags, spec),
            "notes": _without_default(str(self.raw.get("notes") or ""), spec),
            "user_data": unmark_user_data(self.user_data),
        }
        if self.disks:
            seen["disks"] = list(self.disks)
        if speed := self.interface("private").get("maxSpeed"):
            seen["nic_speed"] = int(speed)
        for side in SIDES:
            for key, actual in self.placed(side).items():
                if declared.get(f"{side}_{key}") is not None:
                    seen[f"{side}_{key}"] = actual
            declared_groups = declared.get(f"{side}_security_groups") or []
            actual_groups = self.groups(side)
            if {int(float(group)) for group in declared_groups} != set(actual_groups):
                seen[f"{side}_security_groups"] = [str(group) for group in actual_groups]
        return {**declared, **seen}

    def _told(self, declared: Mapping[str, Any], spec: GuestSpec) -> dict[str, Any]:
        """What the API tells as it is declared; of what is not declared, only what differs (None is off)."""
        told: dict[str, Any] = {}
        for name, path in _TOLD.items():
            value: Any = self.raw
            for part in path.split("."):
                value = (value or {}).get(part)
            if not value and value is not False:
                continue
            actual = read(GuestSpec.model_fields[name], value)
            if name in declared or (actual or None) != (getattr(spec, name) or None):
                told[name] = actual
        return told


def _was_ordered(device: Mapping[str, Any]) -> bool:
    """Whether a block device is a disk of the order: not swap, not the small disk that shows the guest its
    user data (64 MB, device 7), not a CD.
    """
    image, number = device.get("diskImage") or {}, str(device.get("device"))
    return (
        number.isdigit()
        and number != _SWAP_DEVICE
        and image.get("capacity") not in (None, "")
        and image.get("units") in (None, "", "GB")
        and not image.get("metadataFlag")
        and (image.get("type") or {}).get("keyName") != "SWAP"
        and device.get("mountType") != "CD"
    )


def _own_last(tags: tuple[str, ...], spec: GuestSpec) -> list[str]:
    own = {PROGRAM_TAG, stack_tag(spec.owner)}
    return [tag for tag in tags if tag not in own]


def _without_default(notes: str, spec: GuestSpec) -> str:
    return "" if notes == default_notes(spec.marker) else notes
