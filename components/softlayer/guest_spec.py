"""A virtual server as declared: typed, and turned into an order. No network, no Pulumi resources.

Owns: the types of the properties and the order's template. Leaves to others: whether they can work
(guest_check.py), what the API reports (guest_seen.py), sending any of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from components.softlayer.identity import PROGRAM_TAG, mark_user_data, marker_of, stack_tag


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
