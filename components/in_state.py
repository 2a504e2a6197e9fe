"""What the state has of a resource, in place of what a preview cannot tell.

Owns: reading it, and putting it in. Leaves to others: which values stay what they are (swarm.py,
virtual_server.py, own_server.py).

In a preview, what a resource says of itself is unknown as soon as anything of it changes, and whatever rests
on that counts as changed, too. A new tag of a server would then have its host taken up again and the database
waited for; a further worker would have every host join anew. None of it is so when it is done, and a host
that is down would be said to be needed for it (operations/around_run/left_out.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import pulumi

from components.first_bootstrap import last_resources

T = TypeVar("T")


@dataclass(frozen=True)
class InState:
    """Outputs of resources, by their names; empty when nothing is previewed."""

    outputs: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @classmethod
    def read(cls, last: Mapping[str, Any]) -> InState:
        """Of the stack that is previewed.

        Args:
            last: outputs of its last complete run. Without any there may be no state, and pulumi dies when
                it is asked for that.
        """
        if not last or not pulumi.runtime.is_dry_run():
            return cls()
        state = last_resources().items()
        return cls({urn.rpartition("::")[2]: told.get("outputs") or {} for urn, told in state})

    def of(self, resource: str, key: str) -> Any:
        """An output; None if there is none."""
        return self.outputs.get(resource, {}).get(key)


def unless_told(
    value: pulumi.Output[T], before: T | None, beside: Sequence[pulumi.Output[Any]] = ()
) -> pulumi.Output[T]:
    """`value`, and where a preview does not know it, `before`, if there is one.

    For what no change of its resource makes another one.

    Args:
        beside: if any are given, one of these must be known.
    """
    if before is None or not pulumi.runtime.is_dry_run():
        return value

    async def found() -> T:
        told: T | None = await value.future() if await value.is_known() else None
        return before if told is None else told

    async def known() -> bool:
        return not beside or any([await each.is_known() for each in (value, *beside)])

    return pulumi.Output(value.resources(), found(), known(), value.is_secret())
