"""What inputs a resource takes, as data: types, defaults, what replaces, what the engine decides.

Owns: what a table can say, filling defaults, and what two values mean. Knows nothing of Docker; the tables
are in the resources' own files. Leaves finding what is wrong to `input_checks`, and making plans and states
to `states`.

As the official plugin does, a state (what was found at the engine) is compared with what is wanted. So an
input that is written otherwise than it is found differs for ever, and so does one that is left out where the
engine fills something in, unless the table says that the engine may decide (`computed`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from lab.plugins.diffs import ITEM, Names
from lab.plugins.values import Properties, Value, has_unknown, plain, wire

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
    """A text. Options: as the fields of `Field`, for all kinds below."""
    return Field("string", **options)


def integer(**options: Any) -> Field:
    """A whole number, which the wire has as a float."""
    return Field("int", **options)


def boolean(**options: Any) -> Field:
    """Yes or no; absent is neither, unless a default says so."""
    return Field("bool", **options)


def duration(**options: Any) -> Field:
    """A text as Go writes times: `1m30s`."""
    return Field("duration", **options)


def strings(**options: Any) -> Field:
    """A map of strings."""
    return Field("map", **options)


def listed(item: Field, **options: Any) -> Field:
    """A list whose order means something: other order, other value."""
    return Field("list", item=item, **options)


def unordered(item: Field, **options: Any) -> Field:
    """A set, which the wire has as a list: other order, same value."""
    return Field("set", item=item, **options)


def block(fields: Mapping[str, Field], **options: Any) -> Field:
    """An object; what is none of its `fields` is refused."""
    return Field("object", fields=fields, **options)


def labels(**options: Any) -> Field:
    """Labels as the official plugin has them: not a map, but a set of objects."""
    return unordered(block({"label": string(required=True), "value": string(required=True)}), **options)


Schema = Mapping[str, Field]


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


def nothing(field: Field) -> Any:
    """What stands for a field of which nothing is said."""
    if field.kind == "object":
        return None
    if field.kind in ("list", "set"):
        return []
    return {"map": {}, "int": 0, "bool": False}.get(field.kind, "")


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
