"""Why a declared virtual server cannot work, as far as that can be told without asking the API.

Owns: what only a resource can have wrong: its identity, its security groups, what a change would lose.
Leaves to others: what its fields may be (settings/server.py, settings/rules.py), what only the API knows
(what is sold where, ids that exist).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from components.dynamic import is_unknown
from components.softlayer.guest_spec import GuestSpec
from components.softlayer.identity import MARKER_KEY, as_json
from settings.rules import contradictions
from settings.section import refusals
from settings.server import read

_LOSING = "Remedy: to start again and lose its data, destroy the server first: `pulumi destroy --target URN`"


def failures(olds: Mapping[str, Any], news: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What cannot work, as (property, reason with remedy). Unknown values pass.

    Args:
        olds: the declaration before, empty for a new server.
        news: the declaration now.
    """
    fields = GuestSpec.model_fields
    known = {key: value for key, value in news.items() if key in fields and not is_unknown(value)}
    found = [
        (key, reason)
        for key, value in known.items()
        if value not in (None, "") or fields[key].is_required()
        for reason in refusals(GuestSpec, key, _whole(value))
    ]
    if found:
        return found

    def given(key: str) -> Any:
        """The property, typed. Raises LookupError when it is not known yet."""
        if is_unknown(news.get(key)):
            raise LookupError(key)
        return read(fields[key], news.get(key))

    return [
        *contradictions(given),
        *_without_interface(known),
        *_identity_kept(str(known.get("user_data") or "")),
        *_adopted_too_late(olds, known),
        *_losing_disks(olds.get("disks"), known.get("disks")),
    ]


def _without_interface(known: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    if known.get("private_only") and known.get("public_security_groups"):
        yield (
            "public_security_groups",
            "a private-only guest has no public interface. Remedy: leave them out",
        )


def _identity_kept(user_data: str) -> Iterable[tuple[str, str]]:
    if MARKER_KEY in user_data:
        yield (
            "user_data",
            f"it holds {MARKER_KEY}, which marks the server's identity. Remedy: leave that out",
        )
    if isinstance(as_json(user_data), list):
        yield (
            "user_data",
            "a JSON list has no place for the server's identity. Remedy: put it into an object",
        )


def _adopted_too_late(olds: Mapping[str, Any], known: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    adopt = known.get("adopt")
    if olds and adopt is not None and olds.get("adopt") != adopt:
        yield (
            "adopt",
            f"the stack has this server already, so {adopt:.0f} cannot be adopted in its place. Remedy: "
            "leave the entry as it was, or destroy this server first: `pulumi destroy --target URN`",
        )


def _losing_disks(before: Any, now: Any) -> Iterable[tuple[str, str]]:
    if not before or not now or is_unknown(before):
        return
    if len(now) < len(before):
        yield "disks", f"a disk cannot be removed ({len(before)} before, {len(now)} now). {_LOSING}"
    for position, (old, new) in enumerate(zip(before, now, strict=False), 1):
        if new < old:
            sizes = f"{old:.0f} GB before, {new:.0f} GB now"
            yield "disks", f"disk {position} cannot shrink ({sizes}). {_LOSING}"


def _whole(value: Any) -> Any:
    """Whole numbers as such: Pulumi makes floats of them."""
    if isinstance(value, (list, tuple)):
        return [_whole(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value
