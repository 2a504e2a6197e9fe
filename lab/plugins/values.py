"""Property values as Pulumi's engine sends them: to Python and back, with secrets and unknowns.

Owns: the wire format, plain values, finding and hiding of secret texts.

Not `pulumi.provider.experimental.property_value`: that one can neither write an unknown (`ValueError:
Unsupported value type: Computed`, pulumi 3.245.0) nor read one, and a preview is full of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import pulumi
from google.protobuf import struct_pb2

# The engine's marks, sdk/go/common/resource/properties.go: a map with _KIND is something else in disguise.
_KIND: Final = "4dabf18193072939515e22adb298388d"
_SECRET: Final = "1b47061264138c4ac30d75fd1eb44270"  # noqa: S105 - a mark
_ASSET: Final = "c44067f5952c0a294b673a41bacd8c17"
_ARCHIVE: Final = "0def7320c3a5731c473e5ecbe6d01bc7"
_OUTPUT: Final = "d0e6a833031e9bbcd3f4e8bde6ca49a4"
_UNKNOWN: Final = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"


class Unknown:
    """A value that is not known before other resources are made."""

    def __repr__(self) -> str:
        return "UNKNOWN"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Unknown)

    def __hash__(self) -> int:
        return hash(_UNKNOWN)


UNKNOWN: Final = Unknown()


@dataclass(frozen=True)
class Value:
    """One value: None, bool, int, float, str, list or map of `Value`s, asset, archive or `UNKNOWN`."""

    value: Any
    is_secret: bool = False

    def with_secret(self, is_secret: bool = True) -> Value:
        """The same value, marked or not."""
        return replace(self, is_secret=is_secret)


Properties = dict[str, Value]


def from_struct(struct: struct_pb2.Struct) -> Properties:
    """Read a map of properties."""
    return {key: _read(value) for key, value in struct.fields.items()}


def to_struct(properties: Mapping[str, Value]) -> struct_pb2.Struct:
    """Write a map of properties."""
    return struct_pb2.Struct(fields={key: _write(value) for key, value in properties.items()})


def _read(value: struct_pb2.Value) -> Value:
    kind = value.WhichOneof("kind")
    if kind == "string_value":
        return Value(UNKNOWN if value.string_value == _UNKNOWN else value.string_value)
    if kind == "number_value":
        number = value.number_value
        return Value(int(number) if number.is_integer() else number)
    if kind == "bool_value":
        return Value(value.bool_value)
    if kind == "list_value":
        return Value([_read(item) for item in value.list_value.values])
    if kind == "struct_value":
        return _read_map(value.struct_value.fields)
    return Value(None)


def _read_map(fields: Mapping[str, struct_pb2.Value]) -> Value:
    kind = fields[_KIND].string_value if _KIND in fields else None
    if kind is None:
        return Value({key: _read(item) for key, item in fields.items()})
    if kind == _SECRET:
        return _read(fields["value"]).with_secret()
    if kind == _OUTPUT:
        inner = _read(fields["value"]) if "value" in fields else Value(UNKNOWN)
        return inner.with_secret(inner.is_secret or ("secret" in fields and fields["secret"].bool_value))
    if kind == _ASSET:
        return Value(_read_asset(fields))
    if kind == _ARCHIVE:
        return Value(_read_archive(fields))
    raise ValueError(f"the engine sent a value of a kind that this plugin does not know: {kind}")


def _read_asset(fields: Mapping[str, struct_pb2.Value]) -> pulumi.Asset:
    if fields["path"].string_value if "path" in fields else "":
        return pulumi.FileAsset(fields["path"].string_value)
    if fields["uri"].string_value if "uri" in fields else "":
        return pulumi.RemoteAsset(fields["uri"].string_value)
    return pulumi.StringAsset(fields["text"].string_value if "text" in fields else "")


def _read_archive(fields: Mapping[str, struct_pb2.Value]) -> pulumi.Archive:
    if fields["path"].string_value if "path" in fields else "":
        return pulumi.FileArchive(fields["path"].string_value)
    if fields["uri"].string_value if "uri" in fields else "":
        return pulumi.RemoteArchive(fields["uri"].string_value)
    return pulumi.AssetArchive(
        {key: _read(item).value for key, item in fields["assets"].struct_value.fields.items()}
    )


def _write(value: Value) -> struct_pb2.Value:
    written = _write_inner(value.value)
    return _marked(_SECRET, value=written) if value.is_secret else written


def _write_inner(inner: Any) -> struct_pb2.Value:
    if inner is None:
        return struct_pb2.Value(null_value=struct_pb2.NULL_VALUE)
    if isinstance(inner, Unknown):
        return struct_pb2.Value(string_value=_UNKNOWN)
    if isinstance(inner, bool):
        return struct_pb2.Value(bool_value=inner)
    if isinstance(inner, int | float):
        return struct_pb2.Value(number_value=inner)
    if isinstance(inner, str):
        return struct_pb2.Value(string_value=inner)
    if isinstance(inner, Mapping):
        return struct_pb2.Value(struct_value=to_struct(inner))
    if isinstance(inner, pulumi.Asset | pulumi.Archive):
        return _write_asset(inner)
    return struct_pb2.Value(list_value=struct_pb2.ListValue(values=[_write(item) for item in inner]))


def _write_asset(asset: Any) -> struct_pb2.Value:
    kind = _ASSET if isinstance(asset, pulumi.Asset) else _ARCHIVE
    if isinstance(asset, pulumi.AssetArchive):
        assets = {key: _write_asset(item) for key, item in asset.assets.items()}
        return _marked(kind, assets=struct_pb2.Value(struct_value=struct_pb2.Struct(fields=assets)))
    field = next(name for name in ("path", "uri", "text") if hasattr(asset, name))
    return _marked(kind, **{field: struct_pb2.Value(string_value=str(getattr(asset, field)))})


def _marked(kind: str, **fields: struct_pb2.Value) -> struct_pb2.Value:
    marked = {_KIND: struct_pb2.Value(string_value=kind), **fields}
    return struct_pb2.Value(struct_value=struct_pb2.Struct(fields=marked))


def plain(value: Value) -> Any:
    """The value without secret marks; nulls in maps are left out."""
    inner = value.value
    if isinstance(inner, Mapping):
        return {k: plain(v) for k, v in inner.items() if v.value is not None}
    if isinstance(inner, list):
        return [plain(v) for v in inner]
    return inner


def plain_map(values: Mapping[str, Value]) -> dict[str, Any]:
    """All values of a map, see `plain`."""
    return {k: plain(v) for k, v in values.items() if v.value is not None}


def wire(value: Any) -> Value:
    """A plain value as a `Value`; `Value`s inside stay what they are."""
    if isinstance(value, Value):
        return value
    if isinstance(value, Mapping):
        return Value({str(k): wire(v) for k, v in value.items()})
    if isinstance(value, list | tuple):
        return Value([wire(v) for v in value])
    return Value(value)


def has_unknown(value: Value) -> bool:
    """Whether anything inside is not known yet."""
    return any(isinstance(leaf.value, Unknown) for leaf, _ in _leaves(value))


def contains_secret(value: Value) -> bool:
    """Whether it, or anything inside, is secret."""
    return value.is_secret or any(secret for _, secret in _leaves(value))


def secret_texts(value: Value) -> set[str]:
    """Every text inside a secret value."""
    return {
        leaf.value for leaf, secret in _leaves(value) if secret and isinstance(leaf.value, str) and leaf.value
    }


def _leaves(value: Value, secret: bool = False) -> Iterable[tuple[Value, bool]]:
    """All values that are neither maps nor lists, and whether they or anything around them is secret."""
    secret = secret or value.is_secret
    if isinstance(value.value, Mapping):
        for item in value.value.values():
            yield from _leaves(item, secret)
    elif isinstance(value.value, Sequence) and not isinstance(value.value, str):
        for item in value.value:
            yield from _leaves(item, secret)
    else:
        yield value, secret


_SHORTEST_HIDDEN = 4  # characters; hiding "1" or "no" would garble the text and protect nothing


def hide(text: str, texts: Iterable[str]) -> str:
    """`text` with every one of `texts`, and each line of those with several, replaced by [secret]."""
    parts: set[str] = set()
    for whole in texts:
        parts.add(whole.strip())
        parts.update(line.strip() for line in whole.splitlines())
    for part in sorted(parts, key=len, reverse=True):
        if len(part) >= _SHORTEST_HIDDEN:
            text = text.replace(part, "[secret]")
    return text
