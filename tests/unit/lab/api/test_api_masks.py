"""Object masks: from text to a tree, and from a tree to what is sent."""

from __future__ import annotations

from typing import Any

import pytest

from lab.api.errors import Fault
from lab.api.masks import Entity, from_legacy, parse, render

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("", {}),
        ("mask", {}),
        ("mask[]", {}),
        ("mask[id]", {"id": {}}),
        ("id,hostname", {"id": {}, "hostname": {}}),
        ("[id,hostname]", {"id": {}, "hostname": {}}),
        ("mask.id", {"id": {}}),
        ("mask.datacenter.name,mask.id", {"datacenter": {"name": {}}, "id": {}}),
        ("mask[id, datacenter.name]", {"id": {}, "datacenter": {"name": {}}}),
        ("mask[a[b[c,d],e],f]", {"a": {"b": {"c": {}, "d": {}}, "e": {}}, "f": {}}),
        (
            "mask[\n  id,\n\tname ,\n  tagReferences[ tag [ name ] ]\n]",
            {
                "id": {},
                "name": {},
                "tagReferences": {"tag": {"name": {}}},
            },
        ),
        ("mask[resource(SoftLayer_Virtual_Guest)[id]]", {"resource": {"id": {}}}),
        ("filteredMask[id]", {"id": {}}),
        ("mask(SoftLayer_Virtual_Guest)[id]", {"id": {}}),
        ("mask[a.b[c].d]", None),
        ("mask[tag[name],tag[id]]", {"tag": {"name": {}, "id": {}}}),
        ("mask[id,]", {"id": {}}),
    ],
)
def test_a_mask_is_read_as_a_tree(text: str, tree: dict[str, Any] | None) -> None:
    if tree is None:
        with pytest.raises(Fault):
            parse(text)
    else:
        assert parse(text) == tree


@pytest.mark.parametrize(
    "text", ["mask[id", "mask[a[b]", "mask[id]]", "mask['id']", "mask[.id]", "mask[a(]", "1"]
)
def test_a_mask_that_makes_no_sense_is_refused_by_the_parser(text: str) -> None:
    with pytest.raises(Fault) as refused:
        parse(text)
    assert refused.value.code == "SoftLayer_Exception_Common_Parser"


def test_an_old_style_mask_is_a_tree_already() -> None:
    assert from_legacy({"datacenter": {"name": ""}, "id": ""}) == {"datacenter": {"name": {}}, "id": {}}


@pytest.fixture
def guest() -> Entity:
    place = Entity("Location", {"id": 7, "name": "tor01"})
    return Entity(
        "Virtual_Guest",
        {
            "id": 1,
            "hostname": "a",
            "provisionDate": None,
            "status": Entity("Status", {"name": "Active", "x": 1}),
        },
        {
            "datacenter": lambda: place,
            "tags": lambda: [Entity("Tag", {"name": "t", "id": 3})],
            "none": lambda: None,
        },
        frozenset({"never"}),
    )


def test_without_a_mask_local_properties_are_sent_even_when_null(guest: Entity) -> None:
    assert render(guest, None) == {
        "id": 1,
        "hostname": "a",
        "provisionDate": None,
        "status": {"name": "Active", "x": 1},
    }


def test_relational_properties_are_added_to_the_local_ones(guest: Entity) -> None:
    rendered = render(guest, parse("mask[datacenter[name]]"))
    assert rendered["datacenter"] == {"name": "tor01"}
    assert rendered["hostname"] == "a"


def test_naming_a_local_property_leaves_the_others_out(guest: Entity) -> None:
    assert render(guest, parse("id,datacenter,tags.name")) == {
        "id": 1,
        "datacenter": {"id": 7, "name": "tor01"},
        "tags": [{"name": "t"}],
    }


def test_what_is_sent_without_being_asked_for_can_be_masked_too(guest: Entity) -> None:
    assert render(guest, parse("status[name]")) == {"status": {"name": "Active"}}


def test_unset_relations_are_left_out_and_unknown_ones_are_refused(guest: Entity) -> None:
    assert render(guest, parse("id,none,never")) == {"id": 1}
    with pytest.raises(Fault) as refused:
        render(guest, parse("id,nonsense"))
    assert refused.value.code == "SoftLayer_Exception_WebService_ObjectMask"
    assert refused.value.message == "Property 'nonsense' not valid for 'SoftLayer_Virtual_Guest'."
