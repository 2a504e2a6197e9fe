"""From inputs to what is planned, from what was found at the engine to a state, and from a state to inputs.

All of it as the official plugin writes it, field by field as the schema says. Leaves what inputs there are
and what two values mean to `schema`, and talking to the engine to the resources.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lab.plugins.docker.schema import Field, Schema, nothing
from lab.plugins.values import Properties, Unknown, Value, contains_secret, plain, wire


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
