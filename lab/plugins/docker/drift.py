"""What an inspected object says about the inputs that made it: the inputs a refresh puts into the state.

Pure. An input stays as the program wrote it as long as the real thing means the same; where it does not, the
real value takes its place, so that the next update repairs it. What the engine filled in by itself is no
drift.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lab.plugins.diffs import Names
from lab.plugins.docker.schema import Field, Schema, same
from lab.plugins.values import Properties, Value, contains_secret, wire

EngineDefaults = Mapping[Names, Any]  # plain values that the engine fills in when an input is absent


def refreshed(
    schema: Schema, inputs: Properties, actual: Mapping[str, Any], defaults: EngineDefaults
) -> Properties:
    """`inputs` as far as they still hold, else what `actual` (plain inputs) has."""
    known = _refreshed_block(schema, schema, inputs, actual, defaults, ())
    others = {key: value for key, value in inputs.items() if key not in schema}
    return {**known, **others}


def _refreshed_block(
    schema: Schema,
    fields: Schema,
    olds: Mapping[str, Value],
    actual: Mapping[str, Any],
    defaults: EngineDefaults,
    path: Names,
) -> Properties:
    found = {}
    for key, field in fields.items():
        here = (*path, key)
        value = _refreshed(schema, field, olds.get(key), actual.get(key), defaults, here)
        if value is not None:
            found[key] = value
    return found


def _refreshed(
    schema: Schema, field: Field, old: Value | None, actual: Any, defaults: EngineDefaults, path: Names
) -> Value | None:
    given = old is not None and old.value is not None
    real = None if actual is None else wire(actual)
    if same(schema, path, old, real):
        return old if given else None
    if not given and path in defaults and same(schema, path, wire(defaults[path]), real):
        return None
    if field.kind == "object" and isinstance(actual, Mapping):
        before = old.value if old is not None and isinstance(old.value, Mapping) else {}
        inside = _refreshed_block(schema, field.fields, before, actual, defaults, path)
        if not inside and not given:
            return None
        return Value(inside, old is not None and old.is_secret)
    if real is None:
        return None
    return real.with_secret(old is not None and contains_secret(old))
