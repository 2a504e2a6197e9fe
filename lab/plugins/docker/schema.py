"""What inputs a resource takes, as data: types, defaults, what replaces, and when two inputs say the same.

Owns: checking inputs, filling defaults, bringing inputs into one canonical form for comparison. Knows
nothing of Docker; the tables are in the resources' own files.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from lab.plugins.diffs import ITEM, Names
from lab.plugins.docker import durations
from lab.plugins.provider import CheckFailure
from lab.plugins.values import Properties, Unknown, Value, has_unknown, plain, wire

Kind = Literal["string", "int", "bool", "duration", "ratio", "map", "list", "set", "object"]


@dataclass(frozen=True)
class Field:
    """One input. `item` is what a list or set holds; `fields` what an object holds; a set has no order.

    `replaces` holds for everything inside, too.
    """

    kind: Kind
    required: bool = False
    default: Any = None
    one_of: tuple[str, ...] = ()
    replaces: bool = False
    item: Field | None = None
    fields: Mapping[str, Field] = field(default_factory=dict)


def string(**options: Any) -> Field:
    return Field("string", **options)


def integer(**options: Any) -> Field:
    return Field("int", **options)


def boolean(**options: Any) -> Field:
    return Field("bool", **options)


def duration(**options: Any) -> Field:
    return Field("duration", **options)


def strings(**options: Any) -> Field:
    """A map of strings."""
    return Field("map", **options)


def listed(item: Field, **options: Any) -> Field:
    return Field("list", item=item, **options)


def unordered(item: Field, **options: Any) -> Field:
    return Field("set", item=item, **options)


def block(fields: Mapping[str, Field], **options: Any) -> Field:
    return Field("object", fields=fields, **options)


def labels(**options: Any) -> Field:
    return unordered(block({"label": string(required=True), "value": string(required=True)}), **options)


Schema = Mapping[str, Field]


def failures(schema: Schema, inputs: Mapping[str, Value]) -> list[CheckFailure]:
    """What is wrong with `inputs`: missing, unknown or of the wrong type."""
    return [CheckFailure(path, reason) for path, reason in _wrong_object(schema, Value(dict(inputs)), "")]


def _wrong_object(fields: Schema, value: Value, path: str) -> Iterator[tuple[str, str]]:
    if not isinstance(value.value, Mapping):
        yield path, f"'{path}' must be a map"
        return
    for key in sorted(fields):
        if fields[key].required and (key not in value.value or value.value[key].value is None):
            yield _join(path, key), f"Missing required property '{_join(path, key)}'"
    for key, item in value.value.items():
        if key.startswith("__"):
            continue  # the engine's and the bridge's own
        if key not in fields:
            known = ", ".join(sorted(fields))
            yield _join(path, key), f"there is no input '{_join(path, key)}' (only {known})"
        elif item.value is not None and not isinstance(item.value, Unknown):
            yield from _wrong(fields[key], item, _join(path, key))


def _wrong(field: Field, value: Value, path: str) -> Iterator[tuple[str, str]]:
    inner = value.value
    if isinstance(inner, Unknown):
        return
    if field.kind == "object":
        yield from _wrong_object(field.fields, value, path)
    elif field.kind in ("list", "set"):
        if not isinstance(inner, list):
            yield path, f"'{path}' must be a list"
            return
        assert field.item is not None
        for index, item in enumerate(inner):
            yield from _wrong(field.item, item, f"{path}[{index}]")
    elif field.kind == "map":
        if not isinstance(inner, Mapping):
            yield path, f"'{path}' must be a map of strings"
            return
        for key, item in inner.items():
            if not isinstance(item.value, str | Unknown):
                yield path, f"'{_join(path, key)}' must be a string"
    elif reason := _wrong_scalar(field, inner):
        yield path, f"'{path}' {reason}"


def _wrong_scalar(field: Field, inner: Any) -> str | None:
    if field.kind == "int":
        whole = isinstance(inner, int) and not isinstance(inner, bool)
        return None if whole and inner >= 0 else "must be a whole number of 0 or more"
    if field.kind == "bool":
        return None if isinstance(inner, bool) else "must be true or false"
    if not isinstance(inner, str):
        return "must be a string"
    if field.one_of and inner not in field.one_of:
        return f"is '{inner}', must be one of {', '.join(field.one_of)}"
    if field.kind == "duration":
        try:
            durations.parse(inner)
        except ValueError as error:
            return f"is wrong: {error}"
    if field.kind == "ratio":
        try:
            return None if 0 <= float(inner) <= 1 else f"is '{inner}', must be between 0.0 and 1.0"
        except ValueError:
            return f"is '{inner}', must be a number between 0.0 and 1.0"
    return None


def with_defaults(schema: Schema, inputs: Mapping[str, Value]) -> Properties:
    """`inputs` with every absent default filled in, also inside of blocks that are there."""
    filled = {key: _filled(schema[key], v) if key in schema else v for key, v in inputs.items()}
    for key, about in schema.items():
        if about.default is not None and (key not in filled or filled[key].value is None):
            filled[key] = wire(about.default)
    return filled


def _filled(field: Field, value: Value) -> Value:
    inner = value.value
    if field.kind == "object" and isinstance(inner, Mapping):
        return Value(with_defaults(field.fields, inner), value.is_secret)
    if field.item is not None and isinstance(inner, list):
        return Value([_filled(field.item, item) for item in inner], value.is_secret)
    return value


def canonical(schema: Schema, inputs: Mapping[str, Value]) -> dict[str, Any]:
    """Plain inputs in the one form that all inputs of the same meaning have.

    Defaults filled, nothing empty, durations in nanoseconds, ratios as numbers, sets in one order.
    """
    filled = with_defaults(schema, inputs)
    forms = {key: _canonical(about, filled.get(key, Value(None))) for key, about in schema.items()}
    return {key: form for key, form in forms.items() if not _is_empty(schema[key], form)}


def _canonical(field: Field, value: Value) -> Any:
    inner = value.value
    if inner is None or isinstance(inner, Unknown):
        return inner
    if field.kind == "object":
        return canonical(field.fields, inner)
    if field.item is not None:
        items = [_canonical(field.item, item) for item in inner]
        return (
            items
            if field.kind == "list"
            else sorted(items, key=lambda i: json.dumps(i, sort_keys=True, default=repr))
        )
    if field.kind == "duration":
        return durations.parse(inner)
    if field.kind == "ratio":
        return float(inner)
    return plain(value)


def _is_empty(about: Field, form: Any) -> bool:
    """Whether a canonical form says the same as an absent input does."""
    if isinstance(form, Unknown):
        return False
    # Without a default of its own, zero and false are what the engine takes for nothing.
    return form is None or form in ("", [], {}) or (about.default is None and not form)


def same(schema: Schema, path: Names, old: Value | None, new: Value | None) -> bool:
    """Whether two values of the input at `path` mean the same."""
    field = field_at(schema, path)
    if field is None:
        return path[-1].startswith("__")
    forms = []
    for value in (old, new):
        if value is None or value.value is None:
            value = wire(field.default)
        if has_unknown(value):
            return False
        form = _canonical(field, _filled(field, value))
        forms.append(None if _is_empty(field, form) else form)
    return bool(forms[0] == forms[1])


def field_at(schema: Schema, path: Names) -> Field | None:
    """The field at `path`, None when the schema says nothing about it (inside a map, say)."""
    field: Field | None = block(schema)
    for name in path:
        if field is None:
            return None
        field = field.item if name == ITEM else field.fields.get(name)
    return field


def replaces(schema: Schema, path: Names) -> bool:
    """Whether a change at `path` replaces the resource: it or something around it says so."""
    fields = (field_at(schema, path[:length]) for length in range(1, len(path) + 1))
    return any(field.replaces for field in fields if field is not None)


def _join(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key
