"""What is wrong with a resource's inputs, told by their paths: missing, unknown, of the wrong type or value.

Leaves what inputs there are to `schema` and the resources' tables, and what does not go together to the
resources themselves.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from lab.plugins.docker import durations
from lab.plugins.docker.schema import Field, Schema
from lab.plugins.provider import CheckFailure
from lab.plugins.values import Unknown, Value


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


def _join(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key
