"""SoftLayer_Network_SecurityGroup: groups, their rules, and the network cards bound to them.

Owned here: keeping and checking them. Left to others: what they let through (`lab/api/card_filters.py`). The
limits are those of IBM's documentation ("Performance limitations for security groups"); the words in which
SoftLayer refuses what is above them are inferred.
"""

from __future__ import annotations

import ipaddress
import time
import uuid
from typing import Any

from lab.api import errors, shapes
from lab.api.context import Call
from lab.api.masks import Entity
from lab.api.ordering.parts import MAX_SECURITY_GROUPS
from lab.api.records import Guest, Nic, Rule, SecurityGroup
from lab.api.service import Service, exposed
from lab.api.views_network import group_view, rule_view

_FIELDS = {
    "direction": "direction",
    "ethertype": "ethertype",
    "protocol": "protocol",
    "portRangeMin": "port_min",
    "portRangeMax": "port_max",
    "remoteIp": "remote_ip",
    "remoteGroupId": "remote_group",
}
MAX_GROUPS = 500
MAX_RULES = 50
MAX_REMOTE_RULES = 5
"""Rules of a group that name a group, itself included."""
MAX_INTERFACES = 100
_PROTOCOLS = ("tcp", "udp", "icmp", "vrrp")
_GROUP: shapes.Shape = {"name": str, "description": str}
_RULE = "SoftLayer_Network_SecurityGroup_Rule"


class SecurityGroupService(Service):
    """Security groups."""

    name = "Network_SecurityGroup"

    def _group(self, call: Call) -> SecurityGroup:
        group = self.lab.store.get(SecurityGroup, call.number())
        if group is None:
            raise errors.not_found(call.identifier)
        return group

    def entity(self, call: Call) -> Entity:
        return group_view(self.lab, self._group(call))

    @exposed("getObject")
    def get_object(self, call: Call) -> Entity:
        return self.entity(call)

    @exposed("getAllObjects")
    def get_all_objects(self, call: Call) -> list[Entity]:
        return [group_view(self.lab, group) for group in self.lab.store.all(SecurityGroup)]

    @exposed("createObject")
    def create_object(self, call: Call, template: dict[str, Any]) -> Entity:
        shapes.check(template, _GROUP)
        if len(self.lab.store.all(SecurityGroup)) >= MAX_GROUPS:
            raise errors.limit_exceeded("security groups per account", MAX_GROUPS)
        now = time.time()
        group = SecurityGroup(
            id=self.lab.store.next_id(),
            name=template.get("name"),
            description=template.get("description"),
            created=now,
            modified=now,
        )
        self.lab.store.put(group)
        return group_view(self.lab, group)

    @exposed("createObjects")
    def create_objects(self, call: Call, templates: list[dict[str, Any]]) -> list[Entity]:
        return [self.create_object(call, template) for template in templates]

    @exposed("editObject")
    def edit_object(self, call: Call, template: dict[str, Any]) -> bool:
        shapes.check(template, _GROUP)
        group = self._group(call)
        group.name = template.get("name", group.name)
        group.description = template.get("description", group.description)
        self._save(group)
        return True

    @exposed("deleteObject")
    def delete_object(self, call: Call) -> bool:
        group = self._group(call)
        if any(group.id in nic.security_groups for _, nic in self._nics()):
            raise errors.Fault(
                errors.PUBLIC, "The security group is in use by one or more network components."
            )
        for other in self.lab.store.all(SecurityGroup):
            if any(rule.remote_group == group.id for rule in other.rules):
                raise errors.Fault(
                    errors.PUBLIC, f"The security group is referenced by a rule of group {other.id}."
                )
        self.lab.store.delete(group)
        return True

    @exposed("addRules")
    def add_rules(self, call: Call, templates: list[dict[str, Any]]) -> dict[str, Any]:
        group = self._group(call)
        now = time.time()
        added = []
        for template in templates:
            rule = Rule(
                id=self.lab.store.next_id(),
                direction=str(template.get("direction") or ""),
                ethertype=str(template.get("ethertype") or _ethertype_of(template)),
                created=now,
                modified=now,
            )
            self._change(group, rule, template)
            group.rules.append(rule)
            added.append(rule)
        _check_limits(group)
        self._save(group)
        return {"requestId": uuid.uuid4().hex, "rules": [rule_view(rule, group.id) for rule in added]}

    @exposed("editRules")
    def edit_rules(self, call: Call, templates: list[dict[str, Any]]) -> dict[str, Any]:
        group = self._group(call)
        for template in templates:
            rule = _rule(group, template.get("id"))
            self._change(group, rule, template)
            rule.modified = time.time()
        _check_limits(group)
        self._save(group)
        return {"requestId": uuid.uuid4().hex}

    @exposed("removeRules")
    def remove_rules(self, call: Call, numbers: list[Any]) -> dict[str, Any]:
        group = self._group(call)
        for number in numbers:
            group.rules.remove(_rule(group, number))
        self._save(group)
        return {"requestId": uuid.uuid4().hex}

    @exposed("attachNetworkComponents")
    def attach(self, call: Call, numbers: list[Any]) -> dict[str, Any]:
        group = self._group(call)
        bound = sum(group.id in nic.security_groups for _, nic in self._nics())
        for number in numbers:
            guest, nic = self._nic(number)
            if group.id in nic.security_groups:
                continue
            bound += 1
            if bound > MAX_INTERFACES:
                raise errors.limit_exceeded("network interfaces per security group", MAX_INTERFACES)
            if len(nic.security_groups) >= MAX_SECURITY_GROUPS:
                raise errors.invalid_value(
                    "networkComponentIds",
                    f"An interface takes at most {MAX_SECURITY_GROUPS} security groups.",
                )
            nic.security_groups.append(group.id)
            self.lab.store.put(guest)
        return {"requestId": uuid.uuid4().hex}

    @exposed("detachNetworkComponents")
    def detach(self, call: Call, numbers: list[Any]) -> dict[str, Any]:
        group = self._group(call)
        for number in numbers:
            guest, nic = self._nic(number)
            if group.id not in nic.security_groups:
                raise errors.not_found(number)
            nic.security_groups.remove(group.id)
            self.lab.store.put(guest)
        return {"requestId": uuid.uuid4().hex}

    def _save(self, group: SecurityGroup) -> None:
        group.modified = time.time()
        self.lab.store.put(group)

    def _nics(self) -> list[tuple[Guest, Nic]]:
        return [(guest, nic) for guest in self.lab.store.all(Guest) for nic in guest.nics]

    def _nic(self, number: Any) -> tuple[Guest, Nic]:
        for guest, nic in self._nics():
            if str(nic.id) == str(number):
                return guest, nic
        raise errors.not_found(number)

    def _change(self, group: SecurityGroup, rule: Rule, template: dict[str, Any]) -> None:
        """Take over what the template says and check the whole rule. Raises Fault."""
        shapes.check(template, shapes.RULE)
        for name, attribute in _FIELDS.items():
            if name in template:
                value = template[name]
                setattr(rule, attribute, None if value in ("", None) else value)
        if rule.direction not in {"ingress", "egress"}:
            raise errors.invalid_value("direction", "It must be ingress or egress.")
        if rule.ethertype is None or rule.ethertype.lower() not in {"ipv4", "ipv6"}:
            raise errors.invalid_value("ethertype", "It must be IPv4 or IPv6.")
        if rule.protocol is not None and rule.protocol not in _PROTOCOLS:
            raise errors.invalid_value(
                "protocol", f"It must be one of {', '.join(_PROTOCOLS)}, or nothing for every protocol."
            )
        _check_ports(rule)
        _check_remote(rule)
        if rule.remote_group is not None and rule.remote_group != group.id:
            if not str(rule.remote_group).isdigit() or not self.lab.store.get(
                SecurityGroup, int(rule.remote_group)
            ):
                raise errors.not_found(rule.remote_group)
            rule.remote_group = int(rule.remote_group)
        key = _key(rule)
        if any(other.id != rule.id and _key(other) == key for other in group.rules):
            raise errors.invalid_value("rules", "The group has the same rule already.")


def _ethertype_of(template: dict[str, Any]) -> str:
    """That of the address, where there is one."""
    return "IPv6" if ":" in str(template.get("remoteIp") or "") else "IPv4"


def _check_limits(group: SecurityGroup) -> None:
    if len(group.rules) > MAX_RULES:
        raise errors.limit_exceeded("rules per security group", MAX_RULES)
    if sum(rule.remote_group is not None for rule in group.rules) > MAX_REMOTE_RULES:
        raise errors.limit_exceeded("remote rules per security group", MAX_REMOTE_RULES)


def _check_ports(rule: Rule) -> None:
    if rule.protocol == "vrrp" and (rule.port_min is not None or rule.port_max is not None):
        raise errors.invalid_value("portRangeMin", "The protocol vrrp has no ports.")
    if rule.protocol == "icmp" and rule.port_max is None and rule.port_min is not None:
        rule.port_min = _in_range(rule.port_min, 0, 255)
        return  # a type with every code
    if (rule.port_min is None) != (rule.port_max is None):
        raise errors.invalid_value("portRangeMin", "Give both ends of the port range or neither.")
    if rule.port_min is None or rule.port_max is None:
        return
    if rule.protocol is None:
        raise errors.missing_property("protocol", _RULE)
    low, high = (0, 255) if rule.protocol == "icmp" else (1, 65535)
    rule.port_min, rule.port_max = _in_range(rule.port_min, low, high), _in_range(rule.port_max, low, high)
    if rule.protocol != "icmp" and rule.port_min > rule.port_max:
        raise errors.invalid_value("portRangeMin", "It is above portRangeMax.")


def _in_range(port: Any, low: int, high: int) -> int:
    if not low <= int(port) <= high:
        raise errors.invalid_value("portRangeMin", f"Ports go from {low} to {high}.")
    return int(port)


def _check_remote(rule: Rule) -> None:
    if rule.remote_ip is not None and rule.remote_group is not None:
        raise errors.invalid_value("remoteIp", "Give remoteIp or remoteGroupId, not both.")
    if rule.remote_ip is not None:
        try:
            network = ipaddress.ip_network(rule.remote_ip, strict=False)
        except ValueError:
            raise errors.invalid_value("remoteIp", "It is neither an address nor a CIDR.") from None
        if f"ipv{network.version}" != rule.ethertype.lower():
            raise errors.invalid_value("remoteIp", f"It is no {rule.ethertype} address.")


def _key(rule: Rule) -> tuple[Any, ...]:
    return tuple(getattr(rule, attribute) for attribute in _FIELDS.values())


def _rule(group: SecurityGroup, number: Any) -> Rule:
    for rule in group.rules:
        if str(rule.id) == str(number):
            return rule
    raise errors.not_found(number)
