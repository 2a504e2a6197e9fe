"""Object masks: the text a client sends, parsed to a tree, and the tree applied to an object.

SoftLayer's rules: without a mask an object has its local properties. A mask adds relational ones; as soon
as it names a local property, only the local ones it names are sent. Properties may be separated by commas,
blanks and new lines, nested with dots or brackets, and cast with `resource(SoftLayer_Type)[…]`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from lab.api import errors

Mask = dict[str, Any]
"""Property name to the mask of what is behind it; an empty one means all its local properties."""

_TOKEN = re.compile(r"\s*([A-Za-z_][A-Za-z0-9_]*|[\[\](),.])")


Relation = Callable[[], Any]
"""Finds out the value of a relational property."""


@dataclass
class Entity:
    """One SoftLayer object: its type without prefix, local properties, and relational ones, computed when
    asked.

    A local property may hold an Entity: SoftLayer sends some relations without being asked. `unset` names
    relational properties that the type has and the lab never fills.
    """

    kind: str
    local: dict[str, Any]
    relations: Mapping[str, Relation] = field(default_factory=dict)
    unset: frozenset[str] = frozenset()

    def get(self, name: str) -> Any:
        """The value of a property, None when it is unset. Raises KeyError for one that the type lacks."""
        if name in self.local:
            return self.local[name]
        if name in self.relations:
            return self.relations[name]()
        if name in self.unset:
            return None
        raise KeyError(name)


def parse(text: str) -> Mask:
    """The tree of a mask such as `mask[id, datacenter.name, tagReferences[tag[name]]]`.

    Raises Fault with `SoftLayer_Exception_Common_Parser` where the text makes no sense.
    """
    tokens = _tokens(text)
    root: Mask = {}
    position = 0
    while position < len(tokens):
        if tokens[position] in {"mask", "filteredMask"}:
            position += 1
            if position < len(tokens) and tokens[position] == "(":
                position = _cast(tokens, position)
            if position < len(tokens) and tokens[position] == ".":
                position = _property(tokens, position + 1, root)
            elif position < len(tokens) and tokens[position] == "[":
                position = _set(tokens, position, root)
        elif tokens[position] == "[":
            position = _set(tokens, position, root)
        else:
            position = _property(tokens, position, root)
        if position < len(tokens):
            if tokens[position] != ",":
                raise errors.bad_mask(f"Expected ',' or the end of the mask, got '{tokens[position]}'")
            position += 1
    return root


def from_legacy(mask: object) -> Mask:
    """The tree of an old-style mask, which is a dictionary of dictionaries."""
    if isinstance(mask, dict):
        return {str(name): from_legacy(below) for name, below in mask.items()}
    return {}


def render(value: Any, mask: Mask | None) -> Any:
    """What goes over the wire for `value` under `mask`: structs, lists and scalars, without unset
    relations.
    """
    if isinstance(value, Entity):
        return _render_entity(value, mask or {})
    if isinstance(value, list | tuple):
        return [render(item, mask) for item in value]
    if isinstance(value, dict):
        return {name: render(item, None) for name, item in value.items()}
    return value


def _render_entity(entity: Entity, mask: Mask) -> dict[str, Any]:
    wanted_locals = [name for name in mask if name in entity.local]
    rendered = {name: render(entity.local[name], mask.get(name)) for name in wanted_locals or entity.local}
    for name, below in mask.items():
        if name in entity.local:
            continue
        try:
            value = entity.get(name)
        except KeyError:
            raise errors.bad_mask_property(name, entity.kind) from None
        if value is not None:
            rendered[name] = render(value, below)
    return rendered


def _tokens(text: str) -> list[str]:
    tokens = []
    position = 0
    stripped = text.rstrip()
    while position < len(stripped):
        match = _TOKEN.match(stripped, position)
        if not match:
            found = stripped[position:].strip()[0]
            raise errors.bad_mask(f"Error on line 1 at column {position}: Expected PROPERTY, got '{found}'")
        tokens.append(match.group(1))
        position = match.end()
    return tokens


def _set(tokens: list[str], position: int, into: Mask) -> int:
    """Read `[a, b[c]]` at `position` into `into`; returns the position behind it."""
    position += 1
    while position < len(tokens) and tokens[position] != "]":
        if tokens[position] == ",":
            position += 1
            continue
        position = _property(tokens, position, into)
    if position >= len(tokens):
        raise errors.bad_mask("Expected ']', got the end of the mask")
    return position + 1


def _property(tokens: list[str], position: int, into: Mask) -> int:
    """Read `name`, `name.other`, `name(Type)[…]` at `position`; returns the position behind it."""
    if position >= len(tokens) or not (tokens[position][0].isalpha() or tokens[position][0] == "_"):
        found = tokens[position] if position < len(tokens) else "the end of the mask"
        raise errors.bad_mask(f"Expected PROPERTY, got '{found}'")
    below: Mask = into.setdefault(tokens[position], {})
    position += 1
    if position < len(tokens) and tokens[position] == "(":
        position = _cast(tokens, position)
    if position < len(tokens) and tokens[position] == ".":
        return _property(tokens, position + 1, below)
    if position < len(tokens) and tokens[position] == "[":
        return _set(tokens, position, below)
    return position


def _cast(tokens: list[str], position: int) -> int:
    """Skip `(SoftLayer_Type)`: the lab's objects already are of their final type."""
    if tokens[position + 1 : position + 3][-1:] != [")"]:
        raise errors.bad_mask("Expected '(TYPE)'")
    return position + 3
