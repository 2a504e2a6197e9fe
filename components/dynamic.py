"""What all dynamic providers need, with or without a cloud."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pulumi.dynamic import DiffResult, ResourceProvider
from pulumi.output import Unknown
from pulumi.runtime import rpc


class ExactDiff(ResourceProvider):
    """A provider whose subclasses declare what a changed property means.

    Attributes:
        REPLACE: the thing must be made anew.
        UPDATE: changed in place.
        IGNORE: of no consequence (identity, things that matter only at creation).
    """

    REPLACE: frozenset[str] = frozenset()
    UPDATE: frozenset[str] = frozenset()
    IGNORE: frozenset[str] = frozenset()
    DELETE_BEFORE_REPLACE = False

    def same(self, key: str, old: Any, new: Any) -> bool:
        """Whether two values of a property mean the same; None, "" and [] all mean "not given"."""
        absent: tuple[Any, ...] = (None, "", [], {})
        return bool(old == new) or (old in absent and new in absent)

    def diff(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> DiffResult:
        """Exactly the declared properties that differ; an unknown counts as different."""
        changed = [
            key
            for key in sorted(self.REPLACE | self.UPDATE)
            if is_unknown(news.get(key)) or not self.same(key, olds.get(key), news.get(key))
        ]
        return DiffResult(
            changes=bool(changed),
            replaces=[key for key in changed if key in self.REPLACE],
            delete_before_replace=self.DELETE_BEFORE_REPLACE,
        )


def is_unknown(value: Any) -> bool:
    """Whether a value, or anything within it, is not known yet (during a preview)."""
    if isinstance(value, Mapping):
        return any(is_unknown(item) for item in value.values())
    if isinstance(value, (list, tuple)):
        return any(is_unknown(item) for item in value)
    # What Pulumi sends is a text; the SDK hands it on as an object.
    return isinstance(value, Unknown) or (isinstance(value, str) and value == rpc.UNKNOWN)
