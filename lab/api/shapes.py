"""Whether what a client sent has the shape that a call reads: structures, lists, numbers and texts.

Owned here: shapes only; which values are allowed is each call's own matter. Without it a text in place of a
structure would look like a bug of the lab's, instead of a fault that names the property.
"""

from __future__ import annotations

from typing import Any

from lab.api import errors

Shape = dict[str, Any]
"""Property name to what belongs there: a Shape for a structure, `[Shape]` for a list of structures, `[]` for
a list of plain values, `int` for a number, `str` for a text. What is not named may be anything."""

COMPONENT: Shape = {
    "networkVlan": {"primarySubnet": {}},
    "securityGroupBindings": [{"securityGroup": {}}],
    "router": {"id": int},
}
GUEST: Shape = {
    "datacenter": {},
    "networkComponents": [{}],
    "blockDevices": [{"diskImage": {}}],
    "blockDeviceTemplateGroup": {},
    "primaryNetworkComponent": COMPONENT,
    "primaryBackendNetworkComponent": COMPONENT,
    "sshKeys": [{}],
    "userData": [{}],
    "supplementalCreateObjectOptions": {},
    "dedicatedHost": {},
    "placementGroup": {},
    "postInstallScriptUri": str,
}
ORDER: Shape = {
    "prices": [{"categories": [{}]}],
    "virtualGuests": [GUEST],
    "sshKeys": [{"sshKeyIds": []}],
    "provisionScripts": [],
    "hardware": [{}],
    "properties": [{}],
    "presetId": int,
    "quantity": int,
}
RULE: Shape = {
    "direction": str,
    "ethertype": str,
    "protocol": str,
    "portRangeMin": int,
    "portRangeMax": int,
    "remoteIp": str,
    "remoteGroupId": int,
}


def check(value: Any, shape: Shape, where: str = "") -> None:
    """Compare a structure with its shape; what is absent, nil or an empty text fits. Raises Fault."""
    if not isinstance(value, dict):
        raise errors.invalid_value(where or "templateObject", "It must be a structure.")
    for name, wanted in shape.items():
        if value.get(name) is not None and value[name] != "":
            _check_one(value[name], wanted, f"{where}.{name}" if where else name)


def _check_one(value: Any, wanted: Any, where: str) -> None:
    if wanted is int:
        if not str(value).lstrip("-").isdigit():
            raise errors.invalid_value(where, "It must be a whole number.")
    elif wanted is str:
        if not isinstance(value, str):
            raise errors.invalid_value(where, "It must be a text.")
    elif isinstance(wanted, list):
        if not isinstance(value, list) and value != {}:
            raise errors.invalid_value(where, "It must be a list.")
        for item in value if wanted else []:
            check(item, wanted[0], where)
    elif value != []:  # what some clients send for an empty structure
        check(value, wanted, where)
