"""What differs between two sets of inputs, path by path, and which of it replaces the resource.

Pure: knows nothing of any provider or of gRPC. Secretness is no difference: a value that became secret is
stored as such by the engine without an update of the real thing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

import pulumi

from lab.plugins.values import Unknown, Value, to_struct

_ASSETS = (pulumi.Asset, pulumi.Archive)

Names = tuple[str, ...]  # the names on the way to a property; any place in a list is ITEM
ITEM = "[]"


class Change(Enum):
    """How one property differs."""

    ADD = "add"
    DELETE = "delete"
    UPDATE = "update"


@dataclass(frozen=True)
class PropertyChange:
    """One property that differs. `path` is Pulumi's (`taskSpec.networks[0]`), `names` the way there."""

    path: str
    names: Names
    kind: Change
    replaces: bool = False

    @property
    def key(self) -> str:
        """The top-level property."""
        return self.names[0]


@dataclass(frozen=True)
class Diff:
    """All that differs; none means: nothing to do."""

    changes: tuple[PropertyChange, ...] = ()
    delete_before_replace: bool = False


Same = Callable[[Names, Value | None, Value | None], bool]


def compare(
    olds: Mapping[str, Value],
    news: Mapping[str, Value],
    replaces: Callable[[Names], bool] = lambda names: False,
    same: Same = lambda names, old, new: False,
) -> tuple[PropertyChange, ...]:
    """List what differs between two maps. `replaces` says of a property whether its change replaces.

    `same` may say that two values mean the same though they are written differently; else they are compared.
    """
    changes = _compare_maps(olds, news, "", (), same)
    return tuple(PropertyChange(path, names, kind, replaces(names)) for path, names, kind in changes)


_Found = Iterator[tuple[str, Names, Change]]


def _compare_maps(
    olds: Mapping[str, Value], news: Mapping[str, Value], path: str, names: Names, same: Same
) -> _Found:
    for key in sorted({*olds, *news}):
        yield from _compare(olds.get(key), news.get(key), _join(path, key), (*names, key), same)


def _compare(old: Value | None, new: Value | None, path: str, names: Names, same: Same) -> _Found:
    # An absent property and a null one say the same.
    before = None if old is None else old.value
    after = None if new is None else new.value
    if (before is None and after is None) or same(names, old, new):
        return
    if before is None:
        yield path, names, Change.ADD
    elif after is None:
        yield path, names, Change.DELETE
    elif isinstance(after, Unknown):
        yield path, names, Change.UPDATE
    elif isinstance(before, Mapping) and isinstance(after, Mapping):
        yield from _compare_maps(before, after, path, names, same)
    elif isinstance(before, list) and isinstance(after, list):
        for index in range(max(len(before), len(after))):
            was = before[index] if index < len(before) else None
            will = after[index] if index < len(after) else None
            yield from _compare(was, will, f"{path}[{index}]", (*names, ITEM), same)
    elif not _same_leaf(before, after):
        yield path, names, Change.UPDATE


def _same_leaf(before: Any, after: Any) -> bool:
    # In Python True == 1; to Pulumi they differ.
    if isinstance(before, bool) or isinstance(after, bool):
        return before is after
    if isinstance(before, _ASSETS) and isinstance(after, _ASSETS):
        # They have no equality of their own; what would be sent decides.
        return bool(to_struct({"": Value(before)}) == to_struct({"": Value(after)}))
    return bool(before == after)


def _join(path: str, key: str) -> str:
    if any(c in key for c in '."[]'):
        escaped = key.replace('"', '\\"')
        return f'{path}["{escaped}"]'
    return f"{path}.{key}" if path else key
