"""A stack's settings as operations read them: by full key, without the program's rules.

Owns: reading them through Pulumi, or from the stack's file where the stack itself is gone.
Leaves to others: what a setting may be (settings/).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from operations.errors import OperationsError
from operations.pulumi_cli import Pulumi, read_yaml, stack_file


@dataclass(frozen=True)
class StackSettings:
    """The stack's settings by full key. Held in memory only: the API key may be among them."""

    values: Mapping[str, Mapping[str, Any]]

    @classmethod
    def of(cls, pulumi: Pulumi) -> StackSettings:
        """Of pulumi's stack. Raises OperationsError."""
        values = pulumi.config()
        return cls(_from_file(pulumi.stack) if values is None else values)

    def get(self, key: str) -> Any:
        """The value of a key like `swarm-galera:endpoint`; None if it is not set."""
        return self.values.get(key, {}).get("value")

    def section(self, key: str) -> Mapping[str, Any]:
        """The value of a key like `swarm-galera:servers`; empty if it is not set. Raises OperationsError."""
        held = self.values.get(key, {})
        value = held.get("objectValue", held.get("value"))
        if isinstance(value, str):
            try:
                value = json.loads(value)
            except json.JSONDecodeError as error:
                raise OperationsError(f"The setting {key} is not valid JSON ({error}): correct it.") from None
        return value if isinstance(value, Mapping) else {}


def said(stack: str, section: str) -> Mapping[str, Any]:
    """A section as it stands in the stack's file, unchecked; empty for none. Asks Pulumi nothing."""
    found = (read_yaml(stack_file(stack)).get("config") or {}).get(f"swarm-galera:{section}")
    return found if isinstance(found, Mapping) else {}


def _from_file(stack: str) -> dict[str, dict[str, Any]]:
    """Settings of a stack whose state is gone: what it ordered may still be there."""
    file = stack_file(stack)
    if not file.exists():
        raise OperationsError(f"There is no stack {stack}, and no {file.name}: --stack names another one.")
    config = read_yaml(file).get("config") or {}
    return {key: {"value": value} for key, value in config.items() if not isinstance(value, dict)}
