"""What may not stand together in one server, whoever declares it: the settings or a resource.

Owns: the table. Leaves to others: what a single field may be (its line in server.py), what concerns several
servers (servers.py), what a change may not do (components/softlayer/guest_check.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

MOST_DISKS = {True: 2, False: 5}
"""Disks of a server, by whether they are local."""


@dataclass(frozen=True)
class Rule:
    """A combination that is refused.

    Attributes:
        field: where it is told.
        of: the fields that it looks at.
        broken: whether their values can't stand together.
        what: what is wrong, with the values by the fields' names.
        remedy: what to do.
    """

    field: str
    of: tuple[str, ...]
    broken: Callable[..., bool]
    what: str
    remedy: str


def _subnet_without_vlan(side: str) -> Rule:
    vlan, subnet = f"{side}_vlan", f"{side}_subnet"
    what = "a subnet is only taken together with its VLAN"
    return Rule(subnet, (subnet, vlan), lambda sub, vlan: bool(sub and not vlan), what, f"set {side}Vlan too")


RULES = (
    Rule(
        "disks",
        ("disks", "local_disk"),
        lambda disks, local: not 1 <= len(disks) <= MOST_DISKS[local],
        "{disks} GB can't be ordered: a guest has one or two local disks, or one to five SAN disks",
        "give so many sizes, or set localDisk: false",
    ),
    Rule(
        "os",
        ("os", "image"),
        lambda os, image: bool(os) == bool(image),
        "exactly one of os and image says what is installed",
        "set the other to null",
    ),
    Rule(
        "private_only",
        ("private_only", "public_vlan", "public_subnet"),
        lambda private_only, vlan, subnet: bool(private_only and (vlan or subnet)),
        "a private-only guest has no public VLAN or subnet",
        "remove publicVlan and publicSubnet, or privateOnly",
    ),
    Rule(
        "public_vlan",
        ("public_vlan", "private_vlan", "private_only"),
        lambda public, private, private_only: bool(public and not private and not private_only),
        "SoftLayer takes it only together with the private one, which must be behind the same router",
        "set privateVlan too (`slcli vlan list`)",
    ),
    Rule(
        "transient",
        ("transient", "hourly"),
        lambda transient, hourly: bool(transient and not hourly),
        "transient servers are billed by the hour",
        "set hourly: true, or remove transient",
    ),
    _subnet_without_vlan("public"),
    _subnet_without_vlan("private"),
)


def contradictions(given: Callable[[str], Any]) -> Iterable[tuple[str, str]]:
    """What can't stand together, as (field, reason with remedy).

    Args:
        given: a field's value; raises LookupError where it is not known yet, and nothing is said of it.
    """
    for rule in RULES:
        try:
            values = [given(field) for field in rule.of]
        except LookupError:
            continue
        if rule.broken(*values):
            what = rule.what.format_map(dict(zip(rule.of, map(_shown, values), strict=True)))
            yield rule.field, f"{what}. Remedy: {rule.remedy}"


def _shown(value: Any) -> str:
    return "+".join(map(str, value)) if isinstance(value, tuple) else str(value)
