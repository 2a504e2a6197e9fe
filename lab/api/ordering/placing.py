"""Placing checked orders: guests with their addresses, disks and cards, and the transaction that provisions
them.
"""

from __future__ import annotations

import time
import uuid

from lab.api import addresses, locations
from lab.api.context import Lab
from lab.api.ordering import parts, prices
from lab.api.ordering.request import GuestRequest
from lab.api.records import Disk, Guest, Nic, Order


def place(lab: Lab, requests: list[GuestRequest], kind: str) -> tuple[Order, list[Guest]]:
    """Create the guests and their order, and begin to provision. Raises Fault when addresses run out."""
    now = time.time()
    hourly, monthly = prices.totals(requests[0].picks)
    order = Order(
        id=lab.store.next_id(),
        kind=kind,
        guests=[],
        hourly=requests[0].hourly,
        hourly_total=str(hourly * len(requests)),
        monthly_total=str(monthly * len(requests)),
        descriptions=[prices.item_of(pick).description for pick in requests[0].picks],
        created=now,
    )
    lab.store.next_id()  # the order's invoice
    guests = []
    for request in requests:
        guest = _new_guest(lab, request, order.id, now)
        lab.store.put(guest)
        lab.engine.begin(guest, "provision")
        order.guests.append(guest.id)
        guests.append(guest)
    lab.store.put(order)
    return order, guests


def _new_guest(lab: Lab, request: GuestRequest, order: int, now: float) -> Guest:
    number = lab.store.next_id()
    disks = []
    for device, capacity in sorted(request.disks.items()):
        disks.append(Disk(id=new_disk_id(lab, device), device=device, capacity=capacity))
    billing = lab.store.next_id()
    for _ in range(40):  # its children, order item, operating system and password: see views_guest.py
        lab.store.next_id()
    private_address, public_address = addresses.reserve(lab, public=request.public_vlan is not None)
    public = None
    if request.public_vlan is not None and public_address is not None:
        public = _nic(
            lab, number, 1, request.public_vlan, public_address, request.speed, request.public_groups
        )
    return Guest(
        id=number,
        guid=str(uuid.uuid4()),
        hostname=request.hostname,
        domain=request.domain,
        cores=request.cores,
        memory=request.memory,
        local_disk=request.local_disk,
        hourly=request.hourly,
        private_only=request.private_only,
        dedicated=request.dedicated,
        transient=request.transient,
        datacenter=request.datacenter.name,
        os_code=request.system.code if request.system else None,
        image_guid=request.image.guid if request.image else None,
        host_image=request.host_image,
        boot_mode=request.boot_mode,
        disks=disks,
        private=_nic(
            lab, number, 0, request.private_vlan, private_address, request.speed, request.private_groups
        ),
        public=public,
        user_data=request.user_data,
        post_install_uri=request.post_install_uri,
        ssh_key_ids=request.ssh_keys,
        ssh_keys=parts.key_texts(lab, request.ssh_keys),
        placement_group=request.placement_group,
        flavor=request.flavor.key if request.flavor else None,
        prices=request.picks,
        order_id=order,
        billing_item=billing,
        created=now,
        modified=now,
    )


def new_disk_id(lab: Lab, device: int) -> int:
    """An id for a disk; the next one is its image's. Device 0 also reserves two each for the swap disk and
    for the one with the user data.
    """
    number = lab.store.next_id()
    for _ in range(5 if device == 0 else 1):
        lab.store.next_id()
    return number


def _nic(
    lab: Lab, guest: int, port: int, vlan: locations.Vlan, address: str, speed: int, groups: list[int]
) -> Nic:
    return Nic(
        id=lab.store.next_id(),
        port=port,
        vlan_id=vlan.id,
        subnet_id=vlan.subnet_id,
        address=address,
        mac=addresses.mac(guest, port),
        speed=speed,
        max_speed=speed,
        security_groups=groups,
        filtered=bool(groups),
    )
