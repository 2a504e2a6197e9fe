"""How networks look over the wire: VLANs, subnets, routers, pods, security groups, placement groups."""

from __future__ import annotations

from typing import Any

from lab.api import locations
from lab.api.context import ACCOUNT_ID, Lab
from lab.api.masks import Entity
from lab.api.records import Guest, Nic, PlacementGroup, Rule, SecurityGroup, VlanNotes, iso
from lab.api.views_product import datacenter_view
from lab.api.views_reference import guest_reference, nic_reference, tag_id, tag_references

_NEVER = frozenset({"billingItem", "networkVlanFirewall", "attachedNetworkGateway", "primarySubnetId"})


def router_view(pod: locations.Pod, *, public: bool) -> Entity:
    """SoftLayer_Hardware_Router."""
    position = int(public)
    name, place = pod.routers[position], pod.datacenter
    return Entity(
        "Hardware_Router",
        {
            "id": pod.router_ids[position],
            "hostname": name,
            "domain": "softlayer.com",
            "fullyQualifiedDomainName": f"{name}.softlayer.com",
            "topLevelLocation": datacenter_view(place),
        },
        {"datacenter": lambda: datacenter_view(place)},
    )


def pod_view(pod: locations.Pod) -> Entity:
    """SoftLayer_Network_Pod."""
    place = pod.datacenter
    private, public = pod.routers
    private_id, public_id = pod.router_ids
    return Entity(
        "Network_Pod",
        {
            "name": pod.name,
            "datacenterId": place.id,
            "datacenterName": place.name,
            "datacenterLongName": place.long_name,
            "backendRouterId": private_id,
            "backendRouterName": private,
            "frontendRouterId": public_id,
            "frontendRouterName": public,
        },
        {"capabilities": lambda: ["SUPPORTS_SECURITY_GROUP"]},
    )


def _guests_in(lab: Lab, vlan: locations.Vlan) -> list[Guest]:
    return [guest for guest in lab.store.all(Guest) if any(nic.vlan_id == vlan.id for nic in guest.nics)]


def vlan_view(lab: Lab, vlan: locations.Vlan) -> Entity:
    """SoftLayer_Network_Vlan."""
    notes = lab.store.get(VlanNotes, vlan.id) or VlanNotes(id=vlan.id)
    network = lab.networks.public if vlan.public else lab.networks.private
    return Entity(
        "Network_Vlan",
        {
            "id": vlan.id,
            "accountId": ACCOUNT_ID,
            "name": notes.name if notes.name is not None else vlan.name,
            "note": notes.note or "",
            "vlanNumber": vlan.number,
            "primarySubnetId": vlan.subnet_id,
            "fullyQualifiedName": vlan.qualified_name,
            "modifyDate": "",
        },
        {
            "networkSpace": lambda: vlan.space,
            "datacenter": lambda: datacenter_view(vlan.datacenter),
            "podName": lambda: vlan.pod.name,
            "primaryRouter": lambda: router_view(vlan.pod, public=vlan.public),
            "primarySubnet": lambda: subnet_view(lab, vlan),
            "primarySubnets": lambda: [subnet_view(lab, vlan)],
            "subnets": lambda: [subnet_view(lab, vlan)],
            "subnetCount": lambda: 1,
            "hardware": list,
            "hardwareCount": lambda: 0,
            "firewallInterfaces": list,
            "networkComponentTrunks": list,
            "totalPrimaryIpAddressCount": lambda: network.num_addresses,
            "virtualGuests": lambda: [guest_reference(lab, guest) for guest in _guests_in(lab, vlan)],
            "virtualGuestCount": lambda: len(_guests_in(lab, vlan)),
            "tagReferences": lambda: tag_references(notes.tags, vlan.id, "NETWORK_VLAN"),
        },
        _NEVER,
    )


def subnet_view(lab: Lab, vlan: locations.Vlan) -> Entity:
    """SoftLayer_Network_Subnet: the primary subnet of a VLAN."""
    network = lab.networks.public if vlan.public else lab.networks.private
    return Entity(
        "Network_Subnet",
        {
            "id": vlan.subnet_id,
            "networkVlanId": vlan.id,
            "networkIdentifier": str(network.network_address),
            "cidr": network.prefixlen,
            "netmask": str(network.netmask),
            "gateway": str(network[1]),
            "broadcastAddress": str(network.broadcast_address),
            "subnetType": "PRIMARY",
            "addressSpace": vlan.space,
            "totalIpAddresses": str(network.num_addresses),
            "usableIpAddressCount": str(network.num_addresses - 2 - lab.networks.first_host + 1),
            "version": 4,
            "note": "",
            "isCustomerOwned": False,
            "isCustomerRoutable": False,
            "sortOrder": "4",
        },
        {
            "ipAddressCount": lambda: network.num_addresses,
            "datacenter": lambda: datacenter_view(vlan.datacenter),
            "networkVlan": lambda: vlan_view(lab, vlan),
            "hardware": list,
            "virtualGuests": lambda: [guest_reference(lab, guest) for guest in _guests_in(lab, vlan)],
            "tagReferences": list,
            "ipAddresses": lambda: _addresses(lab, vlan),
        },
        frozenset({"billingItem", "endPointIpAddress"}),
    )


def _addresses(lab: Lab, vlan: locations.Vlan) -> list[Entity]:
    """SoftLayer_Network_Subnet_IpAddress for every address of a subnet."""
    network = lab.networks.public if vlan.public else lab.networks.private
    guests = {nic.address: guest for guest in lab.store.all(Guest) for nic in guest.nics}

    def view(number: int, address: str) -> Entity:
        guest = guests.get(address)
        return Entity(
            "Network_Subnet_IpAddress",
            {
                "id": vlan.subnet_id * 1000 + number,
                "ipAddress": address,
                "subnetId": vlan.subnet_id,
                "note": "",
                "isNetwork": number == 0,
                "isGateway": number == 1,
                "isBroadcast": number == network.num_addresses - 1,
                "isReserved": number < lab.networks.first_host,
            },
            {"virtualGuest": lambda: guest_reference(lab, guest) if guest else None},
            frozenset({"hardware"}),
        )

    return [view(number, str(address)) for number, address in enumerate(network)]


def rule_view(rule: Rule, group: int) -> Entity:
    """SoftLayer_Network_SecurityGroup_Rule."""
    return Entity(
        "Network_SecurityGroup_Rule",
        {
            "id": rule.id,
            "securityGroupId": group,
            "direction": rule.direction,
            "ethertype": rule.ethertype,
            "protocol": rule.protocol,
            "portRangeMin": rule.port_min,
            "portRangeMax": rule.port_max,
            "remoteIp": rule.remote_ip,
            "remoteGroupId": rule.remote_group,
            "createDate": iso(rule.created),
            "modifyDate": iso(rule.modified),
        },
    )


def group_view(lab: Lab, group: SecurityGroup) -> Entity:
    """SoftLayer_Network_SecurityGroup."""

    def bindings() -> list[Entity]:
        return [
            binding_view(lab, guest, nic, group.id)
            for guest in lab.store.all(Guest)
            for nic in guest.nics
            if group.id in nic.security_groups
        ]

    return Entity(
        "Network_SecurityGroup",
        {
            "id": group.id,
            "name": group.name,
            "description": group.description,
            "createDate": iso(group.created),
            "modifyDate": iso(group.modified),
        },
        {
            "rules": lambda: [rule_view(rule, group.id) for rule in group.rules],
            "networkComponentBindings": bindings,
        },
        frozenset({"orderBindings"}),
    )


def binding_view(lab: Lab, guest: Guest, nic: Nic, group: int) -> Entity:
    """SoftLayer_Virtual_Network_SecurityGroup_NetworkComponentBinding."""

    def security_group() -> Any:
        found = lab.store.get(SecurityGroup, group)
        return group_view(lab, found) if found else None

    return Entity(
        "Virtual_Network_SecurityGroup_NetworkComponentBinding",
        {"id": tag_id(f"{nic.id}/{group}"), "networkComponentId": nic.id, "securityGroupId": group},
        {
            "networkComponent": lambda: nic_reference(lab, guest, nic),
            "securityGroup": security_group,
        },
    )


PLACEMENT_RULES = ({"id": 1, "keyName": "SPREAD", "name": "SPREAD"},)


def placement_view(lab: Lab, group: PlacementGroup) -> Entity:
    """SoftLayer_Virtual_PlacementGroup."""

    def members() -> list[Guest]:
        return [guest for guest in lab.store.all(Guest) if guest.placement_group == group.id]

    def router() -> Entity | None:
        for pod in locations.PODS:
            if pod.router_ids[0] == group.router_id:
                return router_view(pod, public=False)
        return None

    return Entity(
        "Virtual_PlacementGroup",
        {
            "id": group.id,
            "accountId": ACCOUNT_ID,
            "name": group.name,
            "ruleId": group.rule_id,
            "backendRouterId": group.router_id,
            "createDate": iso(group.created),
        },
        {
            "rule": lambda: next(rule for rule in PLACEMENT_RULES if rule["id"] == group.rule_id),
            "backendRouter": router,
            "guests": lambda: [guest_reference(lab, guest) for guest in members()],
            "guestCount": lambda: len(members()),
        },
    )
