"""SoftLayer_Virtual_PlacementGroup and its rules."""

from __future__ import annotations

import time
from typing import Any

from lab.api import errors, locations, shapes
from lab.api.context import Call
from lab.api.masks import Entity
from lab.api.records import Guest, PlacementGroup
from lab.api.service import Service, exposed
from lab.api.views_network import PLACEMENT_RULES, placement_view, router_view


class PlacementGroupService(Service):
    """Groups whose guests run on different hosts."""

    name = "Virtual_PlacementGroup"

    def _group(self, call: Call) -> PlacementGroup:
        group = self.lab.store.get(PlacementGroup, call.number())
        if group is None:
            raise errors.not_found(call.identifier)
        return group

    def entity(self, call: Call) -> Entity:
        return placement_view(self.lab, self._group(call))

    @exposed("getObject")
    def get_object(self, call: Call) -> Entity:
        return self.entity(call)

    @exposed("createObject")
    def create_object(self, call: Call, template: dict[str, Any]) -> Entity:
        shapes.check(template, {"name": str, "ruleId": int, "backendRouterId": int})
        for name in ("name", "ruleId", "backendRouterId"):
            if not template.get(name):
                raise errors.missing_property(name, "SoftLayer_Virtual_PlacementGroup")
        if template["ruleId"] not in {rule["id"] for rule in PLACEMENT_RULES}:
            raise errors.not_found(template["ruleId"])
        if template["backendRouterId"] not in {pod.router_ids[0] for pod in locations.PODS}:
            raise errors.not_found(template["backendRouterId"])
        group = PlacementGroup(
            id=self.lab.store.next_id(),
            name=template["name"],
            rule_id=template["ruleId"],
            router_id=template["backendRouterId"],
            created=time.time(),
        )
        self.lab.store.put(group)
        return placement_view(self.lab, group)

    @exposed("editObject")
    def edit_object(self, call: Call, template: dict[str, Any]) -> bool:
        shapes.check(template, {"name": str})
        group = self._group(call)
        group.name = template.get("name") or group.name
        self.lab.store.put(group)
        return True

    @exposed("deleteObject")
    def delete_object(self, call: Call) -> bool:
        group = self._group(call)
        if any(guest.placement_group == group.id for guest in self.lab.store.all(Guest)):
            raise errors.Fault(errors.PUBLIC, "Placement group must be empty before it can be deleted.")
        self.lab.store.delete(group)
        return True

    @exposed("getAvailableRouters")
    def get_available_routers(self, call: Call, datacenter: int | None = None) -> list[Entity]:
        pods = [pod for pod in locations.PODS if datacenter in (None, pod.datacenter.id)]
        return [router_view(pod, public=False) for pod in pods]


class PlacementGroupRule(Service):
    """The rules there are: SPREAD."""

    name = "Virtual_PlacementGroup_Rule"

    @exposed("getAllObjects")
    def get_all_objects(self, call: Call) -> list[dict[str, Any]]:
        return [dict(rule) for rule in PLACEMENT_RULES]
