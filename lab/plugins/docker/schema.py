"""What inputs a resource takes, as data: types, defaults, what replaces, what the engine decides.

Owns: checking inputs, filling defaults, and what of a state and of inputs is compared. Knows nothing of
Docker; the tables are in the resources' own files.

As the official plugin does, a state (what was found at the engine) is compared with what is wanted. So an
input that is written otherwise than it is found differs for ever, and so does one that is left out where the
engine fills something in, unless the table says that the engine may decide (`computed`).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from lab.plugins.diffs import ITEM, Names
from lab.plugins.docker import durations
from lab.plugins.provider import CheckFailure
from lab.plugins.values import Properties, Unknown, Value, contains_secret, has_unknown, plain, wire

Kind = Literal["string", "int", "bool", "duration", "ratio", "map", "list", "set", "object"]


@dataclass(frozen=True)
class Field:
    """One input. `item` is what a list or set holds; `fields` what an object holds; a set has no order.

    `replaces` holds for everything inside, too. `computed`: where it is left out, what the engine has stays.
    """

    kind: Kind
    required: bool = False
    default: Any = None
    one_of: tuple[str, ...] = ()
    replaces: bool = False
    computed: bool = False
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
    """`inputs` with every absent default filled in, also inside of blocks that are there.

    `__defaults` in each block lists what was filled in, as in the official plugin's states.
    """
    filled = {key: _filled(schema[key], v) if key in schema else v for key, v in inputs.items()}
    absent = [key for key, about in schema.items() if about.default is not None]
    absent = sorted(key for key in absent if key not in filled or filled[key].value is None)
    filled.update({key: wire(schema[key].default) for key in absent})
    return {**filled, "__defaults": wire(absent)}


def _filled(field: Field, value: Value) -> Value:
    inner = value.value
    if field.kind == "object" and isinstance(inner, Mapping):
        return Value(with_defaults(field.fields, inner), value.is_secret)
    if field.item is not None and isinstance(inner, list):
        return Value([_filled(field.item, item) for item in inner], value.is_secret)
    return value


def planned(schema: Schema, inputs: Mapping[str, Any], state: Mapping[str, Any] | None) -> dict[str, Any]:
    """What is wanted, with a value for every field: given, by default, as it is, or nothing.

    Args:
        inputs: plain; unknowns stay unknown.
        state: plain; None for what is not there yet.
    """
    return {key: _planned(field, inputs.get(key), (state or {}).get(key)) for key, field in schema.items()}


def _planned(field: Field, given: Any, was: Any) -> Any:
    if isinstance(given, Unknown):
        return given
    if given is None:
        if field.default is not None:
            return field.default
        if not field.computed or was is None:
            return nothing(field)
        given = was
    if field.kind == "object":
        return planned(field.fields, given, was if isinstance(was, Mapping) else None)
    if field.item is not None and field.item.kind == "object":
        known = was if field.kind == "list" and isinstance(was, list) else []
        return [
            _planned(field.item, item, known[place] if place < len(known) else None)
            for place, item in enumerate(given)
        ]
    return given


def nothing(field: Field) -> Any:
    """What stands for a field of which nothing is said."""
    if field.kind == "object":
        return None
    if field.kind in ("list", "set"):
        return []
    return {"map": {}, "int": 0, "bool": False}.get(field.kind, "")


def said(schema: Schema, values: Mapping[str, Any]) -> dict[str, Any]:
    """Of plain values those that say something: nothing, zero and false say the same as their absence.

    Where there is a default, they do not.
    """
    found = {key: _said(field, values.get(key)) for key, field in schema.items()}
    return {
        key: value
        for key, value in found.items()
        if isinstance(value, Unknown) or value or (value is not None and schema[key].default is not None)
    }


def _said(field: Field, value: Any) -> Any:
    if value is None or isinstance(value, Unknown):
        return value
    if field.kind == "object":
        return said(field.fields, value)
    if field.item is not None and field.item.kind == "object":
        return [_said(field.item, item) for item in value]
    return value


def same(schema: Schema, path: Names, old: Value | None, new: Value | None) -> bool:
    """Whether two values at `path` mean the same though they are written differently: sets and ratios."""
    field = field_at(schema, path)
    if field is None or old is None or new is None or has_unknown(new):
        return False
    if field.kind == "set":
        return sorted(map(_text, plain(old) or [])) == sorted(map(_text, plain(new) or []))
    return field.kind == "ratio" and float(plain(old)) == float(plain(new))


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True, default=repr)


def complete(schema: Schema, found: Mapping[str, Any], given: Mapping[str, Any] | None) -> dict[str, Any]:
    """A state as the official plugin writes it: every field is there, also those that say nothing.

    Args:
        found: plain, what the engine has.
        given: plain inputs; None inside of blocks that were not given.
    """
    return {
        key: _complete(field, found.get(key), (given or {}).get(key), inside=given is not None)
        for key, field in schema.items()
    }


def _complete(field: Field, found: Any, given: Any, *, inside: bool) -> Any:
    if field.kind == "object":
        if found is None:
            return None
        return complete(field.fields, found, given if isinstance(given, Mapping) else None)
    if field.item is not None:
        if not found:
            return [] if inside else None
        return [_complete(field.item, item, {}, inside=True) for item in found]
    if field.kind == "map":
        return found or None
    return nothing(field) if found is None else found


def refreshed(inputs: Mapping[str, Value], state: Mapping[str, Any]) -> Properties:
    """The inputs that a refresh puts into the state: those that are there, with what was found.

    What the program did not say is not added: it shows as a difference to the state, if it is one.
    """
    return {
        key: Value(value.value, value.is_secret)
        if key.startswith("__")
        else _refreshed(value, state.get(key))
        for key, value in inputs.items()
        if key.startswith("__") or state.get(key) is not None
    }


def _refreshed(old: Value, found: Any) -> Value:
    if isinstance(old.value, Mapping) and isinstance(found, Mapping):
        return Value(refreshed(old.value, found), old.is_secret)
    if isinstance(old.value, list) and isinstance(found, list):
        pairs = zip(old.value, _matched(old.value, found), strict=False)
        return Value([_refreshed(item, now) for item, now in pairs], old.is_secret)
    return wire(found).with_secret(contains_secret(old))


def _matched(old: list[Value], found: list[Any]) -> list[Any]:
    """What was found, each beside the item that says the same; what is left over in its own order."""
    left = list(found)
    beside: list[Any] = []
    for item in old:
        alike = next((each for each in left if _holds(item, each)), None)
        if alike is not None:
            left.remove(alike)
        beside.append(alike)
    return [each if each is not None else left.pop(0) for each in beside if each is not None or left]


def _holds(item: Value, found: Any) -> bool:
    """Whether what was found says all that was given."""
    if isinstance(item.value, Mapping) and isinstance(found, Mapping):
        given = {key: value for key, value in item.value.items() if not key.startswith("__")}
        return all(_holds(value, found.get(key)) for key, value in given.items())
    if isinstance(item.value, list) and isinstance(found, list):
        return len(item.value) == len(found) and all(
            any(_holds(each, other) for other in found) for each in item.value
        )
    return bool(plain(item) == found)


def imported(schema: Schema, state: Mapping[str, Any]) -> Properties:
    """Inputs that would make what is there, for an import: all that says something but a default."""
    found = {key: _imported(field, state.get(key)) for key, field in schema.items()}
    known = {key: value for key, value in found.items() if _says(schema[key], value)}
    return {key: wire(value) for key, value in {**known, "__defaults": []}.items()}


def _says(field: Field, value: Any) -> bool:
    if field.default is not None and value is not None:
        return bool(value != field.default)
    return bool(value)


def _imported(field: Field, value: Any) -> Any:
    if field.kind == "object" and isinstance(value, Mapping):
        inside = imported(field.fields, value)
        return {key: each.value for key, each in inside.items()} if len(inside) > 1 else None
    if field.item is not None and field.item.kind == "object":
        return [_imported(field.item, item) for item in value or []]
    return value


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
