"""What all dynamic providers need, with or without a cloud."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pulumi.output import Unknown
from pulumi.runtime import rpc


def is_unknown(value: Any) -> bool:
    """Whether a value, or anything within it, is not known yet (during a preview)."""
    if isinstance(value, Mapping):
        return any(is_unknown(item) for item in value.values())
    if isinstance(value, (list, tuple)):
        return any(is_unknown(item) for item in value)
    # What Pulumi sends is a text; the SDK hands it on as an object.
    return isinstance(value, Unknown) or (isinstance(value, str) and value == rpc.UNKNOWN)
