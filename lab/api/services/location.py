"""SoftLayer_Location and SoftLayer_Network_Pod: where one can order."""

from __future__ import annotations

from lab.api import errors, locations
from lab.api.context import Call
from lab.api.masks import Entity
from lab.api.service import Service, exposed
from lab.api.views_network import pod_view
from lab.api.views_product import datacenter_view


class Location(Service):
    """The datacenters."""

    name = "Location"

    def entity(self, call: Call) -> Entity:
        place = locations.datacenter_of_order(call.number())
        if place is None:
            raise errors.not_found(call.identifier)
        return datacenter_view(place)

    @exposed("getObject")
    def get_object(self, call: Call) -> Entity:
        return self.entity(call)

    @exposed("getDatacenters")
    def get_datacenters(self, call: Call) -> list[Entity]:
        return [datacenter_view(place) for place in locations.DATACENTERS]


class NetworkPod(Service):
    """The pods; none of them is about to close."""

    name = "Network_Pod"

    @exposed("getAllObjects")
    def get_all_objects(self, call: Call) -> list[Entity]:
        return [pod_view(pod) for pod in locations.PODS]
