"""SoftLayer_Tag: what is tagged with what. Tags exist as long as something carries them."""

from __future__ import annotations

import re
from typing import Any

from lab.api import errors
from lab.api.context import Call
from lab.api.masks import Entity
from lab.api.records import Guest
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
    """Tags of guests."""

    name = "Tag"

    def _names(self) -> dict[str, list[Guest]]:
        names: dict[str, list[Guest]] = {}
        for guest in self.lab.store.all(Guest):
            for name in guest.tags:
                names.setdefault(name, []).append(guest)
        return names

    def _view(self, name: str, guests: list[Guest]) -> Entity:
        def references() -> list[Entity]:
            found = [tag_references(guest.tags, guest.id, "GUEST") for guest in guests]
            return [entry for entries in found for entry in entries if entry.local["tagId"] == tag_id(name)]

        return Entity(
            "Tag",
            {"id": tag_id(name), "name": name, "internal": 0},
            {"referenceCount": lambda: len(guests), "references": references},
        )

    def entity(self, call: Call) -> Entity:
        for name, guests in self._names().items():
            if tag_id(name) == call.number():
                return self._view(name, guests)
        raise errors.not_found(call.identifier)

    @exposed("getObject")
    def get_object(self, call: Call) -> Entity:
        return self.entity(call)

    @exposed("getAttachedTagsForCurrentUser")
    def get_attached(self, call: Call) -> list[Entity]:
        return [self._view(name, guests) for name, guests in sorted(self._names().items())]

    @exposed("getUnattachedTagsForCurrentUser")
    def get_unattached(self, call: Call) -> list[Entity]:
        return []

    @exposed("getTagByTagName")
    def get_by_name(self, call: Call, name: str) -> list[Entity]:
        guests = self._names().get(name)
        return [self._view(name, guests)] if guests else []

    @exposed("getAllTagTypes")
    def get_types(self, call: Call) -> list[dict[str, str]]:
        return [
            {"keyName": "GUEST", "description": "CCI"},
            {"keyName": "NETWORK_VLAN", "description": "Vlan"},
        ]

    @exposed("setTags")
    def set_tags(self, call: Call, tags: str, kind: str, number: int) -> bool:
        guest = self.lab.store.get(Guest, int(number)) if kind == "GUEST" else None
        if guest is None:
            raise errors.not_found(number)
        guest.tags = parse_tags(tags)
        self.lab.store.put(guest)
        return True
