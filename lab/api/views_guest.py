"""How a virtual server looks over the wire, in full: its cards with their networks, disks, software, billing.

What other things show of a server is in `views_reference.py`; this adds the rest.
"""

from __future__ import annotations

import time

from lab.api import catalog, locations, price_list, views_network
from lab.api.context import ACCOUNT_ID, Lab
from lab.api.masks import Entity, Relation
from lab.api.records import Disk, Guest, Nic, PlacementGroup, Transaction, iso
from lab.api.views_billing import billing_view
from lab.api.views_product import image_view, price_view, system_view
from lab.api.views_reference import guest_reference, nic_reference
from lab.api.views_transaction import active_transaction, transaction_view

_NEVER = frozenset(
    {
        "dedicatedHost",
        "monitoringServiceComponent",
        "reservedCapacityGroupInstance",
        "monitoringRobot",
        "primaryIpv6Address",
        "pendingMigrationFlag",
        "allowedHost",
    }
)


def nic_view(lab: Lab, guest: Guest, nic: Nic) -> Entity:
    """SoftLayer_Virtual_Guest_Network_Component."""
    vlan = locations.vlan(nic.vlan_id)
    short = nic_reference(lab, guest, nic)
    return Entity(
        short.kind,
        short.local,
        {
            **short.relations,
            "primarySubnet": lambda: views_network.subnet_view(lab, vlan) if vlan else None,
            "networkVlan": lambda: views_network.vlan_view(lab, vlan) if vlan else None,
            "guest": lambda: guest_view(lab, guest),
            "securityGroupBindings": lambda: [
                views_network.binding_view(lab, guest, nic, group) for group in nic.security_groups
            ],
            "router": lambda: views_network.router_view(vlan.pod, public=vlan.public) if vlan else None,
        },
        frozenset({"primaryVersion6IpAddressRecord", "primaryIpAddressRecord"}),
    )


METADATA_DEVICE = 7
"""Where a server that has user data finds it: a disk of 64 MB."""


def _block_device(guest: Guest, number: int, device: int, capacity: int, kind: str) -> Entity:
    metadata = device == METADATA_DEVICE
    return Entity(
        "Virtual_Guest_Block_Device",
        {
            "id": number,
            "guestId": guest.id,
            "device": str(device),
            "mountType": "Disk",
            "mountMode": "RW",
            "bootableFlag": int(device == 0),
            "hotPlugFlag": 0,
            "statusId": 1,
            "createDate": iso(guest.created),
        },
        {
            "diskImage": lambda: Entity(
                "Virtual_Disk_Image",
                {
                    "id": number + 1,
                    "capacity": capacity,
                    "units": "MB" if metadata else "GB",
                    "name": f"{guest.name}-{device}",
                    "description": f"{guest.name}-{kind if kind == 'SWAP' or metadata else device}",
                    "localDiskFlag": guest.local_disk,
                    "typeId": 246 if kind == "SWAP" else 241,
                },
                {
                    "type": lambda: {"keyName": kind, "name": kind.title()},
                    "metadataFlag": lambda: metadata,
                },
            ),
        },
    )


def block_devices(guest: Guest) -> list[Entity]:
    """All its disks in device order; device 1 is the swap disk that every server has, device 7 shows it its
    user data, if it has any.
    """

    def view(disk: Disk) -> Entity:
        return _block_device(
            guest, disk.id, disk.device, disk.capacity, "SYSTEM" if disk.device == 0 else "DATA"
        )

    disks = sorted(guest.disks, key=lambda disk: disk.device)
    # The ids of these two are ones that the first disk reserved: see ordering/placing.py.
    swap = _block_device(guest, disks[0].id + 2, 1, 2, "SWAP")
    metadata = _block_device(guest, disks[0].id + 4, METADATA_DEVICE, 64, "METADATA")
    shown = [view(disks[0]), swap, *(view(disk) for disk in disks[1:])]
    return [*shown, metadata] if guest.user_data is not None else shown


def _operating_system(guest: Guest) -> Entity | None:
    system = catalog.operating_system(guest.os_code) if guest.os_code else None
    if system is None:
        return None
    password = Entity(
        "Software_Component_Password",
        {
            "id": guest.billing_item + 5,
            "username": "root",
            # Recognizable, so that a test can show that no client of ours ever asks for it.
            "password": f"LAB-OS-PASSWORD-{guest.id}",
            "notes": "",
            "port": "",
        },
    )
    return Entity(
        "Software_Component_OperatingSystem",
        {"id": guest.billing_item + 4, "manufacturerLicenseInstance": ""},
        {
            "passwords": lambda: [password],
            "softwareLicense": lambda: Entity(
                "Software_License", {"id": 1}, {"softwareDescription": lambda: system_view(system)}
            ),
            "softwareDescription": lambda: system_view(system),
        },
    )


def tracking_view(guest: Guest) -> Entity:
    """SoftLayer_Metric_Tracking_Object."""
    return Entity(
        "Metric_Tracking_Object",
        {
            "id": guest.tracking_id,
            "label": "",
            "resourceTableId": guest.id,
            "startDate": iso(guest.created),
        },
        {"type": lambda: {"keyname": "VIRTUAL_GUEST"}},
    )


def guest_view(lab: Lab, guest: Guest) -> Entity:
    """SoftLayer_Virtual_Guest."""
    short = guest_reference(lab, guest)
    return Entity(
        short.kind,
        short.local,
        {
            **short.relations,
            "lastKnownPowerState": short.relations["powerState"],
            **_CONSTANT,
            **_network_relations(lab, guest),
            **_transaction_relations(lab, guest),
            **_software_relations(guest),
            **_billing_relations(lab, guest),
        },
        _NEVER,
    )


_CONSTANT: dict[str, Relation] = {
    "deviceStatus": lambda: {"id": 1, "name": "Normal"},
    "type": lambda: {"keyName": "PUBLIC", "name": "Public Virtual Server"},
    "account": lambda: {"id": ACCOUNT_ID},
    "internalTagReferences": list,
    "networkMonitors": list,
    "activeTickets": list,
    "scaleAssets": list,
    "allowedNetworkStorage": list,
    "attachedNetworkStorages": list,
    "reverseDomainRecords": list,
    "billingCycleBandwidthUsage": list,
    "bandwidthAllotmentDetail": lambda: None,
}
"""What is the same for every server of the lab."""


def _network_relations(lab: Lab, guest: Guest) -> dict[str, Relation]:
    def placement() -> Entity | None:
        group = lab.store.get(PlacementGroup, guest.placement_group) if guest.placement_group else None
        return views_network.placement_view(lab, group) if group else None

    def vlans() -> list[Entity]:
        found = [locations.vlan(nic.vlan_id) for nic in guest.nics]
        return [views_network.vlan_view(lab, vlan) for vlan in found if vlan]

    def frontend() -> list[Entity]:
        return [nic_view(lab, guest, guest.public)] if guest.public else []

    return {
        "networkComponents": lambda: [nic_view(lab, guest, nic) for nic in guest.nics],
        "networkComponentCount": lambda: len(guest.nics),
        "primaryNetworkComponent": lambda: nic_view(lab, guest, guest.public) if guest.public else None,
        "primaryBackendNetworkComponent": lambda: nic_view(lab, guest, guest.private),
        "frontendNetworkComponents": frontend,
        "backendNetworkComponents": lambda: [nic_view(lab, guest, guest.private)],
        "networkVlans": vlans,
        "placementGroup": placement,
    }


def _transaction_relations(lab: Lab, guest: Guest) -> dict[str, Relation]:
    def active() -> list[Entity]:
        entry = active_transaction(lab, guest)
        return [transaction_view(lab, entry)] if entry else []

    def last() -> Entity | None:
        for number in (guest.transaction, guest.last_transaction):
            entry = lab.store.get(Transaction, number) if number else None
            if entry is not None and not entry.hidden and time.time() >= entry.not_before:
                return transaction_view(lab, entry)
        return None

    def last_reload() -> Entity | None:
        if guest.last_reload is None:
            return None
        return Entity("Provisioning_Version1_Transaction", {"id": guest.last_reload})

    return {
        "activeTransactions": active,
        "activeTransactionCount": lambda: len(active()),
        "lastTransaction": last,
        "lastOperatingSystemReload": last_reload,
    }


def _software_relations(guest: Guest) -> dict[str, Relation]:
    """What is on its disks: the operating system, the image, keys, user data."""

    def image() -> Entity | None:
        found = catalog.image_template(guest.image_guid) if guest.image_guid else None
        return image_view(found) if found else None

    def components() -> list[Entity]:
        system = _operating_system(guest)
        return [system] if system else []

    def user_data() -> list[Entity]:
        if guest.user_data is None:
            return []
        return [
            Entity(
                "Virtual_Guest_Attribute",
                {"value": guest.user_data},
                {"type": lambda: {"keyname": "USER_DATA"}},
            )
        ]

    return {
        "blockDevices": lambda: block_devices(guest),
        "blockDeviceTemplateGroup": image,
        "operatingSystem": lambda: _operating_system(guest),
        "operatingSystemReferenceCode": lambda: guest.os_code,
        "softwareComponents": components,
        "userData": user_data,
        "sshKeys": lambda: [{"id": number} for number in guest.ssh_key_ids],
        "supplementalCreateObjectOptions": lambda: {"bootMode": guest.boot_mode},
    }


def _billing_relations(lab: Lab, guest: Guest) -> dict[str, Relation]:
    def prices() -> list[Entity]:
        found = [(price_list.price(pick.price_id), pick.category) for pick in guest.prices]
        return [price_view(price, category) for price, category in found if price]

    return {
        "billingItem": lambda: billing_view(lab, guest),
        "upgradeableItemPrices": prices,
        "transientGuestFlag": lambda: guest.transient,
        "metricTrackingObjectId": lambda: guest.tracking_id,
        "metricTrackingObject": lambda: tracking_view(guest),
    }
