"""Whose a thing in the account is: the identity that every order of a stack carries.

Owns: the stack's owner string, the marker of one resource, the tag that people and the audit look for.
Leaves to others: drawing it (stack_identity.py), putting it on things and looking for it.

A stack's name is not enough: two people may both have a stack `dev` on one account. So each stack draws a
random token once, as its first resource, before anything is ordered. The marker of a guest is part of the
order itself (its user data), because tags and notes can only be set by a later call, which may never come.
"""

from __future__ import annotations

import json
import re
from typing import Any

PROGRAM_TAG = "swarm-galera"
"""Tag on every guest that this program ordered, whatever its stack."""

MARKER_KEY = "swarm-galera-identity"
_MARKER_LINE = re.compile(rf"^# {MARKER_KEY}: (\S+)$", re.MULTILINE)
_MARKER_MEMBER = re.compile(rf'(?:, )?"{MARKER_KEY}": "([^"]+)"(?=\}}\s*\Z)')
_SIGNATURE = re.compile(rf"{PROGRAM_TAG} (\S+/\S+/[0-9a-f]+/\S+?)\)?$")
_NOT_IN_TAGS = re.compile(r"[^a-z0-9-]+")


def marker_of(owner: str, resource: str) -> str:
    """The identity of one resource of one stack, e.g. `demo/dev/4f1c9a20b7e3/galera-1`."""
    return f"{owner}/{resource}"


def owner_of(marker: str) -> str:
    """The owner part of a marker."""
    return marker.rsplit("/", 1)[0]


def signature(owner: str, resource: str) -> str:
    """The last words of the notes or the description of what has no user data: an SSH key, a group."""
    return f"{PROGRAM_TAG} {marker_of(owner, resource)}"


def signed_by(text: str | None) -> str | None:
    """The marker in notes or a description that end with a signature; None for any others."""
    found = _SIGNATURE.search(text or "")
    return found[1] if found else None


def belongs_to(text: str | None, owner: str) -> bool:
    """Whether notes or a description end with the signature of that stack."""
    marker = signed_by(text)
    return marker is not None and owner_of(marker) == owner


def stack_tag(owner: str) -> str:
    """The tag of all guests of a stack, made of letters, digits and hyphens only, as every API accepts."""
    return f"{PROGRAM_TAG}-{_NOT_IN_TAGS.sub('-', owner.lower()).strip('-')}"


def mark_user_data(user_data: str | None, marker: str) -> str:
    """`user_data` with the marker as a last comment line, which shells, cloud-init and YAML pass over.

    A JSON object stays one: it gets the marker as its last member. Other JSON has no place for it
    (guest_check.py refuses it).
    """
    line = f"# {MARKER_KEY}: {marker}"
    if not user_data:
        return line
    content = as_json(user_data)
    if isinstance(content, dict):
        before, _, after = user_data.rpartition("}")
        comma = ", " if content else ""
        return f'{before}{comma}"{MARKER_KEY}": "{marker}"}}{after}'
    return f"{user_data}{'' if user_data.endswith(chr(10)) else chr(10)}{line}"


def marker_in(text: str) -> str | None:
    """The marker in a guest's user data or notes; None when there is none."""
    found = _MARKER_LINE.findall(text) or _MARKER_MEMBER.findall(text)
    return str(found[-1]) if found else None


def unmark_user_data(text: str) -> str:
    """User data as the user gave it, without the marker."""
    if _MARKER_MEMBER.search(text):
        return _MARKER_MEMBER.sub("", text)
    return _MARKER_LINE.sub("", text).removesuffix("\n")


def as_json(text: str) -> Any:
    """A text's content if it is a JSON object or list; None for any other text."""
    if not text.lstrip().startswith(("{", "[")):
        return None
    try:
        return json.loads(text)
    except ValueError:
        return None
