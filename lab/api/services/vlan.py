"""SoftLayer_Network_Vlan and SoftLayer_Network_Subnet: the lab's networks, with a user's name, note and
tags.
"""

from __future__ import annotations

from typing import Any

from lab.api import errors, locations, shapes
from lab.api.context import Call
from lab.api.masks import Entity
from lab.api.records import VlanNotes
from lab.api.service import Service, exposed
from lab.api.services.tag import parse_tags
from lab.api.views_network import subnet_view, vlan_view


class NetworkVlan(Service):
    """VLANs: two public and two private ones in every datacenter."""

    name = "Network_Vlan"

    def _vlan(self, call: Call) -> locations.Vlan:
        vlan = locations.vlan(call.number())
        if vlan is None:
            raise errors.not_found(call.identifier)
        return vlan

    def _notes(self, call: Call) -> VlanNotes:
        number = self._vlan(call).id
        return self.lab.store.get(VlanNotes, number) or VlanNotes(id=number)

    def entity(self, call: Call) -> Entity:
        return vlan_view(self.lab, self._vlan(call))

    @exposed("getObject")
    def get_object(self, call: Call) -> Entity:
        return self.entity(call)

    @exposed("editObject")
    def edit_object(self, call: Call, template: dict[str, Any]) -> bool:
        shapes.check(template, {"name": str, "note": str})
        notes = self._notes(call)
        notes.name = template.get("name", notes.name)
        notes.note = template.get("note", notes.note)
        self.lab.store.put(notes)
        return True

    @exposed("setTags")
    def set_tags(self, call: Call, tags: str) -> bool:
        notes = self._notes(call)
        notes.tags = parse_tags(tags)
        self.lab.store.put(notes)
        return True


class NetworkSubnet(Service):
    """The primary subnet of each VLAN."""

    name = "Network_Subnet"

    def entity(self, call: Call) -> Entity:
        vlan = locations.vlan_of_subnet(call.number())
        if vlan is None:
            raise errors.not_found(call.identifier)
        return subnet_view(self.lab, vlan)

    @exposed("getObject")
    def get_object(self, call: Call) -> Entity:
        return self.entity(call)
