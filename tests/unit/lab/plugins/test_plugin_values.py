"""Values on the wire, what differs between them, and hiding of secrets: no process, no network."""

from __future__ import annotations

from typing import Any

import pulumi
import pytest
from google.protobuf import struct_pb2
from pulumi.runtime import rpc

from lab.plugins.diffs import Change, compare
from lab.plugins.values import (
    UNKNOWN,
    Unknown,
    Value,
    contains_secret,
    from_struct,
    has_unknown,
    hide,
    plain,
    plain_map,
    secret_texts,
    to_struct,
    wire,
)

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    "value",
    [
        Value(None),
        Value(True),
        Value(7),
        Value(0.5),
        Value("text"),
        Value(""),
        Value(UNKNOWN),
        Value("text", is_secret=True),
        Value(UNKNOWN, is_secret=True),
        Value([Value(1), Value("a", is_secret=True)]),
        Value({"a": Value([Value({"b": Value(UNKNOWN)})], is_secret=True)}),
    ],
)
def test_a_value_comes_back_as_it_was_sent(value: Value) -> None:
    assert from_struct(to_struct({"key": value})) == {"key": value}


@pytest.mark.parametrize(
    "asset",
    [
        pulumi.FileAsset("/etc/hosts"),
        pulumi.StringAsset("words"),
        pulumi.RemoteAsset("https://example.com/x"),
        pulumi.FileArchive("/etc"),
        pulumi.AssetArchive({"a": pulumi.StringAsset("words"), "b": pulumi.FileArchive("/etc")}),
    ],
)
def test_an_asset_comes_back_as_it_was_sent(asset: Any) -> None:
    before = {"key": Value(asset)}
    assert not compare(before, from_struct(to_struct(before)))


def test_whole_numbers_are_whole() -> None:
    read = from_struct(struct_pb2.Struct(fields={"n": struct_pb2.Value(number_value=4.0)}))
    assert repr(read["n"].value) == "4"


def test_unknowns_are_written_as_the_engine_writes_them() -> None:
    assert to_struct({"key": Value(UNKNOWN)}).fields["key"].string_value == rpc.UNKNOWN


def test_a_kind_of_value_that_is_not_known_is_an_error() -> None:
    strange = struct_pb2.Struct(fields={rpc._special_sig_key: struct_pb2.Value(string_value="0")})
    with pytest.raises(ValueError, match="does not know"):
        from_struct(struct_pb2.Struct(fields={"key": struct_pb2.Value(struct_value=strange)}))


def test_plain_values_have_neither_marks_nor_nulls() -> None:
    value = {"a": wire({"b": None, "c": [1, "x"]}).with_secret(), "d": Value(None)}
    assert plain_map(value) == {"a": {"c": [1, "x"]}}
    assert isinstance(plain(Value(UNKNOWN)), Unknown)


def test_unknowns_and_secrets_are_found_at_any_depth() -> None:
    value = wire({"a": [{"b": Value(UNKNOWN)}]})
    assert has_unknown(value)
    assert not contains_secret(value)
    assert contains_secret(wire({"a": [Value("x", is_secret=True)]}))


def test_all_texts_inside_of_a_secret_are_secret_texts() -> None:
    value = wire({"open": "shown", "closed": wire({"a": ["one", {"b": "two"}], "n": 3}).with_secret()})
    assert secret_texts(value) == {"one", "two"}


@pytest.mark.parametrize(
    ("text", "secrets", "shown"),
    [
        ("password is hunter22.", ["hunter22"], "password is [secret]."),
        ("line two is wrong", ["line one\nline two\n"], "[secret] is wrong"),
        ("a longer one: hunter22-x", ["hunter22", "hunter22-x"], "a longer one: [secret]"),
        ("it is 1", ["1"], "it is 1"),
        ("nothing", [], "nothing"),
    ],
)
def test_secrets_are_hidden_in_texts(text: str, secrets: list[str], shown: str) -> None:
    assert hide(text, secrets) == shown


@pytest.mark.parametrize(
    ("old", "new", "changes"),
    [
        ({}, {}, []),
        ({"a": 1}, {"a": 1.0}, []),
        ({"a": None}, {}, []),
        ({"a": 1}, {"a": True}, [("a", Change.UPDATE)]),
        ({"a": 1}, {"a": "1"}, [("a", Change.UPDATE)]),
        ({"a": 1}, {}, [("a", Change.DELETE)]),
        ({}, {"a": 1}, [("a", Change.ADD)]),
        ({"a": {"b": 1, "c": 2}}, {"a": {"b": 1, "c": 3}}, [("a.c", Change.UPDATE)]),
        ({"a": [1, 2]}, {"a": [1, 3, 4]}, [("a[1]", Change.UPDATE), ("a[2]", Change.ADD)]),
        ({"a": [1]}, {"a": {"b": 1}}, [("a", Change.UPDATE)]),
        ({"a": {"b.c": 1}}, {"a": {"b.c": 2}}, [('a["b.c"]', Change.UPDATE)]),
        ({"a": UNKNOWN}, {"a": UNKNOWN}, [("a", Change.UPDATE)]),
        ({"a": pulumi.StringAsset("x")}, {"a": pulumi.StringAsset("x")}, []),
        ({"a": pulumi.StringAsset("x")}, {"a": pulumi.StringAsset("y")}, [("a", Change.UPDATE)]),
        ({"a": pulumi.StringAsset("x")}, {"a": pulumi.FileAsset("x")}, [("a", Change.UPDATE)]),
    ],
)
def test_only_what_differs_is_a_change(
    old: dict[str, Any], new: dict[str, Any], changes: list[tuple[str, Change]]
) -> None:
    before, after = ({k: wire(v) for k, v in each.items()} for each in (old, new))
    assert [(c.path, c.kind) for c in compare(before, after)] == changes


def test_a_value_that_became_secret_is_no_change() -> None:
    assert not compare({"a": wire({"b": 1})}, {"a": wire({"b": Value(1, is_secret=True)})})
