"""SoftLayer_Account: the lists of everything on the account, by its generic getters. And the little of
SoftLayer_Search that slcli uses to find a VLAN by name or number.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lab.api import catalog, locations
from lab.api.context import ACCOUNT_ID, Call, Lab
from lab.api.masks import Entity
from lab.api.records import Guest, Order, PlacementGroup, Quote, SecurityGroup, SshKey
from lab.api.service import Service, exposed
from lab.api.services.ssh_key import key_view
from lab.api.views_billing import billing_view, order_view, quote_view, user_view
from lab.api.views_guest import guest_view
from lab.api.views_network import group_view, placement_view, subnet_view, vlan_view
from lab.api.views_product import image_view

_TICKET_COUNTS = (
    "openTicketCount",
    "closedTicketCount",
    *(f"open{kind}TicketCount" for kind in ("Accounting", "Billing", "Other", "Sales", "Support")),
)


def account_view(lab: Lab) -> Entity:
    """SoftLayer_Account."""
    store = lab.store

    def guests(wanted: Callable[[Guest], bool] = lambda guest: True) -> list[Entity]:
        return [guest_view(lab, guest) for guest in store.all(Guest) if wanted(guest)]

    return Entity(
        "Account",
        {
            "id": ACCOUNT_ID,
            "companyName": "Swarm Galera Lab",
            "firstName": "Lab",
            "lastName": "User",
            "email": f"{lab.username}@example.com",
            "accountStatusId": 1001,
            "isReseller": 0,
        },
        {
            "virtualGuests": guests,
            "hourlyVirtualGuests": lambda: guests(lambda guest: guest.hourly),
            "monthlyVirtualGuests": lambda: guests(lambda guest: not guest.hourly),
            "virtualGuestCount": lambda: len(store.all(Guest)),
            "sshKeys": lambda: [key_view(key) for key in store.all(SshKey)],
            "sshKeyCount": lambda: len(store.all(SshKey)),
            "securityGroups": lambda: [group_view(lab, group) for group in store.all(SecurityGroup)],
            "placementGroups": lambda: [placement_view(lab, group) for group in store.all(PlacementGroup)],
            "networkVlans": lambda: [vlan_view(lab, vlan) for vlan in locations.VLANS],
            "networkVlanCount": lambda: len(locations.VLANS),
            "subnets": lambda: [subnet_view(lab, vlan) for vlan in locations.VLANS],
            "subnetCount": lambda: len(locations.VLANS),
            "orders": lambda: [order_view(lab, order) for order in store.all(Order)],
            "allTopLevelBillingItems": lambda: [billing_view(lab, guest) for guest in store.all(Guest)],
            "allBillingItems": lambda: [billing_view(lab, guest) for guest in store.all(Guest)],
            "users": lambda: [user_view(lab)],
            "currentUser": lambda: user_view(lab),
            "userCount": lambda: 1,
            "privateBlockDeviceTemplateGroups": list,
            "blockDeviceTemplateGroups": lambda: [image_view(image) for image in catalog.IMAGE_TEMPLATES],
            "blockDeviceTemplateGroupCount": lambda: len(catalog.IMAGE_TEMPLATES),
            "hardware": list,
            "hardwareCount": lambda: 0,
            "dedicatedHosts": list,
            "dedicatedHostCount": lambda: 0,
            "domains": list,
            "domainCount": lambda: 0,
            "networkStorageCount": lambda: 0,
            "tickets": list,
            "openTickets": list,
            "closedTickets": list,
            **{name: lambda: 0 for name in _TICKET_COUNTS},
            "globalIpRecords": list,
            "portableStorageVolumes": list,
            "activeQuotes": lambda: [quote_view(quote) for quote in store.all(Quote)],
        },
        frozenset({"nextInvoiceTotalAmount", "pendingInvoice", "networkStorage"}),
    )


class Account(Service):
    """The one account of the lab."""

    name = "Account"

    def entity(self, call: Call) -> Entity:
        return account_view(self.lab)

    @exposed("getObject")
    def get_object(self, call: Call) -> Entity:
        return self.entity(call)


class Search(Service):
    """Full-text search, for VLANs and guests only."""

    name = "Search"

    @exposed("advancedSearch")
    def advanced_search(self, call: Call, query: str) -> list[Any]:
        wanted = [word for word in query.split() if not word.startswith("_objectType:")]
        found = []
        if "SoftLayer_Network_Vlan" in query:
            views = [vlan_view(self.lab, vlan) for vlan in locations.VLANS]
            keys = ("name", "vlanNumber", "id", "fullyQualifiedName")
            found = [("SoftLayer_Network_Vlan", view) for view in views if _hit(view, keys, wanted)]
        elif "SoftLayer_Virtual_Guest" in query:
            views = [guest_view(self.lab, guest) for guest in self.lab.store.all(Guest)]
            keys = ("hostname", "domain", "fullyQualifiedDomainName", "id")
            found = [("SoftLayer_Virtual_Guest", view) for view in views if _hit(view, keys, wanted)]
        return [_result(kind, view) for kind, view in found]


def _result(kind: str, view: Entity) -> Entity:
    return Entity("Container_Search_Result", {"resourceType": kind, "resource": view})


def _hit(view: Entity, keys: tuple[str, ...], words: list[str]) -> bool:
    values = [str(view.local[key]).lower() for key in keys]
    return all(any(word.strip("*").lower() in value for value in values) for word in words)
