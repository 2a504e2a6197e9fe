"""The cluster that a program's components are about: the outputs of its stack, as a StackReference has them.

Owns: whether they mean what is thought. Leaves to others: what is made of them (swarm_galera).
"""

from collections.abc import Mapping
from typing import Any

import pulumi
from swarm_galera.components.accounts.reach import reach
from swarm_galera.components.stack_outputs import CONTRACT_VERSION
from swarm_galera.settings.errors import UserError


def way(outputs: pulumi.Input[Mapping[str, Any]]) -> pulumi.Output[dict[str, Any]]:
    """The way to the database; secret, for it has the key."""
    known: pulumi.Output[Mapping[str, Any]] = pulumi.Output.from_input(outputs)
    return pulumi.Output.secret(known.apply(_agreed))


def _agreed(outputs: Mapping[str, Any]) -> dict[str, Any]:
    """Raises UserError for outputs of another contract, or of a stack without a database."""
    version = outputs.get("contractVersion")
    if version != CONTRACT_VERSION:
        told = "no contractVersion" if version is None else f"contract version {version:g}"
        raise UserError(
            f"The cluster's outputs have {told}, and this plugin knows {CONTRACT_VERSION}: what they mean "
            "may have changed, or they are of another stack. Remedy: hand over all outputs of the cluster's "
            "stack (`outputs` of a StackReference), and take the plugin of that stack's release"
        )
    if "galera" not in outputs or "ssh" not in outputs:
        raise UserError(
            "The cluster's outputs have no database: its last `up` did not come to its end, or it is "
            "deployed up to a lower layer. Remedy: run `up` there"
        )
    return reach(outputs["ssh"], outputs["galera"], outputs.get("application"))


def whole(given: Mapping[str, Any], key: str, default: int) -> int:
    """A whole number, as other languages hand it over: 2.0. Raises UserError."""
    value = given.get(key)
    if value is None:
        return default
    if value != int(value):
        raise UserError(f"{key} is {value}. Remedy: give a whole number")
    return int(value)
