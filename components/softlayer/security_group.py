"""The resource for a security group with its rules.

Owns: what may be declared. Leaves to others: the API (security_group_provider.py) and which ports a swarm
needs (firewall.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import pulumi
from pulumi.dynamic import Resource

from components.softlayer.firewall import Rule
from components.softlayer.security_group_provider import SecurityGroupProvider


@dataclass(frozen=True)
class SecurityGroupArgs:
    """A security group. All of it changes in place.

    Attributes:
        owner: `StackIdentity.owner`.
        name: shown in the console; by default made of the stack and the resource.
        description: free text.
        rules: what is allowed; all else is not. An empty list blocks everything, egress too.
    """

    owner: pulumi.Input[str]
    rules: Sequence[Rule]
    name: pulumi.Input[str] | None = None
    description: pulumi.Input[str] = ""


class SecurityGroup(Resource, module="softlayer", name="SecurityGroup"):
    """A security group; its resource id is the group's id."""

    rules: pulumi.Output[Sequence[dict[str, Any]]]

    def __init__(
        self, name: str, args: SecurityGroupArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        props = {field.name: getattr(args, field.name) for field in fields(args)}
        props["rules"] = [rule.as_props() for rule in args.rules]
        super().__init__(SecurityGroupProvider(), name, {"resource": name, **props}, opts)
