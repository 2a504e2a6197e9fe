"""Guests, cards and tags as other things refer to them: short views, without anything that refers back.

A VLAN lists its guests and a guest its VLANs, a billing item its guest and a guest its billing item: what
networks and billing tell of a guest is here, below both; `views_guest.py` adds them for the guest itself.
"""

from __future__ import annotations

import time
import zlib

from lab.api.context import ACCOUNT_ID, Lab
from lab.api.masks import Entity
from lab.api.records import Guest, Nic, iso
from lab.api.views_product import place_view
from lab.api.views_transaction import active_transaction, transaction_view
from lab.hosts.backend import PowerState


def tag_id(name: str) -> int:
    """A tag's id: the same text always gets the same number, within int32."""
    return zlib.crc32(name.encode()) & 0x3FFFFFFF


def tag_references(names: list[str], owner: int, kind: str) -> list[Entity]:
    """SoftLayer_Tag_Reference for each of an object's tags."""

    def reference(name: str) -> Entity:
        return Entity(
            "Tag_Reference",
            {"id": tag_id(f"{owner}/{name}"), "tagId": tag_id(name), "resourceTableId": owner},
            {
                "tag": lambda: Entity("Tag", {"id": tag_id(name), "name": name, "internal": 0}),
                "tagType": lambda: {"keyName": kind, "description": kind.title()},
            },
        )

    return [reference(name) for name in names]


def is_shown(lab: Lab, nic: Nic) -> bool:
    """Whether the API tells a card's address yet."""
    if not nic.shown or time.time() < nic.hidden_until:
        return False
    return nic.held_by is None or not lab.faults.present(nic.held_by)


def _power(lab: Lab, guest: Guest) -> Entity:
    running = lab.power(guest.id) is PowerState.RUNNING
    key, name = ("RUNNING", "Running") if running else ("HALTED", "Halted")
    return Entity("Virtual_Guest_Power_State", {"keyName": key, "name": name, "description": ""})


def guest_reference(lab: Lab, guest: Guest) -> Entity:
    """SoftLayer_Virtual_Guest, as far as it goes without networks, billing, disks and software."""

    def transaction() -> Entity | None:
        entry = active_transaction(lab, guest)
        return transaction_view(lab, entry) if entry else None

    def address(nic: Nic | None) -> str | None:
        return nic.address if nic is not None and is_shown(lab, nic) else None

    return Entity(
        "Virtual_Guest",
        {
            "id": guest.id,
            "accountId": ACCOUNT_ID,
            "globalIdentifier": guest.guid,
            "uuid": guest.guid,
            "hostname": guest.hostname,
            "domain": guest.domain,
            "fullyQualifiedDomainName": guest.name,
            "createDate": iso(guest.created),
            "modifyDate": iso(guest.modified),
            "provisionDate": iso(guest.provisioned),
            "startCpus": guest.cores,
            "maxCpu": guest.cores,
            "maxCpuUnits": "CORE",
            "maxMemory": guest.memory,
            "statusId": 1001,
            "localDiskFlag": guest.local_disk,
            "dedicatedAccountHostOnlyFlag": guest.dedicated,
            "placementGroupId": guest.placement_group,
            "notes": guest.notes,
            "postInstallScriptUri": guest.post_install_uri,
            "lastVerifiedDate": None,
            "metricPollDate": None,
        },
        {
            "status": lambda: Entity("Virtual_Guest_Status", {"keyName": "ACTIVE", "name": "Active"}),
            "powerState": lambda: _power(lab, guest),
            "datacenter": lambda: place_view(guest.datacenter),
            "location": lambda: place_view(guest.datacenter),
            "hourlyBillingFlag": lambda: guest.hourly,
            "privateNetworkOnlyFlag": lambda: guest.private_only,
            "primaryIpAddress": lambda: address(guest.public),
            "primaryBackendIpAddress": lambda: address(guest.private),
            "activeTransaction": transaction,
            "tagReferences": lambda: tag_references(guest.tags, guest.id, "GUEST"),
        },
    )


def nic_reference(lab: Lab, guest: Guest, nic: Nic) -> Entity:
    """SoftLayer_Virtual_Guest_Network_Component, without its networks and security groups."""
    return Entity(
        "Virtual_Guest_Network_Component",
        {
            "id": nic.id,
            "guestId": guest.id,
            "networkId": nic.port,
            "name": "eth",
            "port": nic.port,
            "macAddress": nic.mac,
            "speed": nic.speed,
            "maxSpeed": nic.max_speed,
            "status": "ACTIVE" if nic.speed else "DISABLED",
            "createDate": iso(guest.created),
            "modifyDate": iso(guest.modified),
            "uuid": f"{guest.guid[:-1]}{nic.port}",
        },
        {
            "primaryIpAddress": lambda: nic.address if is_shown(lab, nic) else None,
            "guest": lambda: guest_reference(lab, guest),
        },
    )
