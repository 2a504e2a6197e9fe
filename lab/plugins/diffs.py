"""What differs between two sets of inputs, path by path, and which of it replaces the resource.

Pure: knows nothing of any provider or of gRPC. Secretness is no difference: a value that became secret is
stored as such by the engine without an update of the real thing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from lab.plugins.values import Unknown, Value


class Change(Enum):
    """How one property differs."""

    ADD = "add"
    DELETE = "delete"
    UPDATE = "update"


@dataclass(frozen=True)
class PropertyChange:
    """One property that differs. `path` is Pulumi's (`taskSpec.networks[0]`), `key` its first part."""

    path: str
    kind: Change
    replaces: bool = False

    @property
    def key(self) -> str:
        return self.path.split(".")[0].split("[")[0]


@dataclass(frozen=True)
class Diff:
    """All that differs; none means: nothing to do."""

    changes: tuple[PropertyChange, ...] = ()
    delete_before_replace: bool = False


def compare(
    olds: Mapping[str, Value],
    news: Mapping[str, Value],
    replaces: Callable[[str], bool] = lambda path: False,
) -> tuple[PropertyChange, ...]:
    """List what differs between two maps. `replaces` says of a path whether its change replaces."""
    return tuple(PropertyChange(path, kind, replaces(path)) for path, kind in _compare_maps(olds, news, ""))


def _compare_maps(
    olds: Mapping[str, Value], news: Mapping[str, Value], prefix: str
) -> Iterator[tuple[str, Change]]:
    for key in sorted({*olds, *news}):
        yield from _compare(olds.get(key), news.get(key), _join(prefix, key))


def _compare(old: Value | None, new: Value | None, path: str) -> Iterator[tuple[str, Change]]:
    # An absent property and a null one say the same.
    before = None if old is None else old.value
    after = None if new is None else new.value
    if before is None or after is None:
        if before is None and after is not None:
            yield path, Change.ADD
        elif before is not None:
            yield path, Change.DELETE
    elif isinstance(after, Unknown):
        yield path, Change.UPDATE
    elif isinstance(before, Mapping) and isinstance(after, Mapping):
        yield from _compare_maps(before, after, path)
    elif _is_list(before) and _is_list(after):
        yield from _compare_lists(list(_items(before)), list(_items(after)), path)
    elif not _same_leaf(before, after):
        yield path, Change.UPDATE


def _compare_lists(olds: Sequence[Value], news: Sequence[Value], path: str) -> Iterator[tuple[str, Change]]:
    for index in range(max(len(olds), len(news))):
        old = olds[index] if index < len(olds) else None
        new = news[index] if index < len(news) else None
        yield from _compare(old, new, f"{path}[{index}]")


def _same_leaf(before: object, after: object) -> bool:
    if type(before) is not type(after) and not (_is_number(before) and _is_number(after)):
        return False
    # Assets and archives have no equality of their own; what they hold decides.
    if hasattr(before, "__dict__") and hasattr(after, "__dict__"):
        return vars(before) == vars(after)
    return before == after


def _is_list(value: object) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str)


def _items(value: object) -> Iterable[Value]:
    assert isinstance(value, Sequence)
    return value


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _join(prefix: str, key: str) -> str:
    if any(c in key for c in '."[]'):
        escaped = key.replace('"', '\\"')
        return f'{prefix}["{escaped}"]'
    return f"{prefix}.{key}" if prefix else key
