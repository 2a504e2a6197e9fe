"""SoftLayer_Tag: what is tagged with what. Tags exist as long as something carries them."""

from __future__ import annotations

import re
from typing import Any

from lab.api import errors, locations
from lab.api.context import Call
from lab.api.masks import Entity
from lab.api.records import Guest, VlanNotes
from lab.api.service import Service, exposed
from lab.api.views_reference import tag_id, tag_references

_TAG = re.compile(r"^[A-Za-z0-9 ._:-]{1,128}$")


def parse_tags(text: Any) -> list[str]:
    """The set of tags that a text with commas stands for; an empty text is the empty set. Raises Fault."""
    names = [name.strip() for name in str(text or "").split(",") if name.strip()]
    bad = [name for name in names if not _TAG.match(name)]
    if bad:
        raise errors.invalid_value("tags", f"Invalid tag names: {', '.join(bad)}")
    return list(dict.fromkeys(names))


class TagService(Service):
    """Tags of guests and of VLANs."""

    name = "Tag"

    def _references(self) -> dict[str, list[Entity]]:
        """For every tag what carries it."""
        found = [(guest.tags, guest.id, "GUEST") for guest in self.lab.store.all(Guest)]
        found += [(vlan.tags, vlan.id, "NETWORK_VLAN") for vlan in self.lab.store.all(VlanNotes)]
        names: dict[str, list[Entity]] = {}
        for tags, owner, kind in found:
            for name, reference in zip(tags, tag_references(tags, owner, kind), strict=True):
                names.setdefault(name, []).append(reference)
        return names

    def _view(self, name: str, references: list[Entity]) -> Entity:
        return Entity(
            "Tag",
            {"id": tag_id(name), "name": name, "internal": 0},
            {"referenceCount": lambda: len(references), "references": lambda: references},
        )

    def entity(self, call: Call) -> Entity:
        for name, references in self._references().items():
            if tag_id(name) == call.number():
                return self._view(name, references)
        raise errors.not_found(call.identifier)

    @exposed("getObject")
    def get_object(self, call: Call) -> Entity:
        return self.entity(call)

    @exposed("getAttachedTagsForCurrentUser")
    def get_attached(self, call: Call) -> list[Entity]:
        return [self._view(name, references) for name, references in sorted(self._references().items())]

    @exposed("getUnattachedTagsForCurrentUser")
    def get_unattached(self, call: Call) -> list[Entity]:
        return []

    @exposed("getTagByTagName")
    def get_by_name(self, call: Call, name: str) -> list[Entity]:
        references = self._references().get(name)
        return [self._view(name, references)] if references else []

    @exposed("getAllTagTypes")
    def get_types(self, call: Call) -> list[dict[str, str]]:
        return [
            {"keyName": "GUEST", "description": "CCI"},
            {"keyName": "NETWORK_VLAN", "description": "Vlan"},
        ]

    @exposed("setTags")
    def set_tags(self, call: Call, tags: str, kind: str, number: int) -> bool:
        carrier = self._carrier(kind, int(number))
        if carrier is None:
            raise errors.not_found(number)
        carrier.tags = parse_tags(tags)
        self.lab.store.put(carrier)
        return True

    def _carrier(self, kind: str, number: int) -> Guest | VlanNotes | None:
        if kind == "GUEST":
            return self.lab.store.get(Guest, number)
        if kind == "NETWORK_VLAN" and locations.vlan(number):
            return self.lab.store.get(VlanNotes, number) or VlanNotes(id=number)
        return None
