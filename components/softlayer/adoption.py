"""Taking over a guest that exists already, as it is.

Owns: the comparison of the guest with the settings. Leaves to others: everything after that.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from pulumi.dynamic import CreateResult

from components.softlayer import guests
from components.softlayer.client import Api
from components.softlayer.errors import SoftLayerFailed, explaining
from components.softlayer.guest_seen import Guest
from components.softlayer.guest_spec import ROWS, SIDES, GuestSpec, parse
from components.softlayer.progress import say

T = TypeVar("T")
DESCRIBED = tuple(name for name, row in ROWS.items() if row.told)
"""What the settings must say rightly of a guest to be adopted."""


def adopted(api: Api, spec: GuestSpec, props: Mapping[str, Any]) -> CreateResult:
    """Take over an existing guest as it is.

    Raises:
        SoftLayerFailed: there is none of that id, or the settings do not describe it.
    """
    guest_id = spec.adopt or 0
    with explaining(f"adopting the server {guest_id}", left="Nothing has been changed."):
        guest = guests.get(api, guest_id)
    if guest is None or guest.reclaiming:
        raise SoftLayerFailed(
            f"adopting the server {guest_id} failed: there is none of that id; see `slcli vs list`"
        )
    seen = parse(guest.observed(props))
    both = {key: (_shown(getattr(seen, key)), _shown(getattr(spec, key))) for key in DESCRIBED}
    wrong = [f"{key} is {is_}, the settings say {said}" for key, (is_, said) in both.items() if is_ != said]
    if wrong:
        raise SoftLayerFailed(
            f"adopting the server {guest_id} failed: settings must describe it as it is, because adopting "
            f"changes nothing; {'; '.join(wrong)}"
        )
    outs = {**seen_of(guest, props), "marker": spec.marker, "adopted": True, "labelled": True, "reboots": 0}
    if any(set(getattr(spec, f"{side}_security_groups")) - set(guest.groups(side)) for side in SIDES):
        say(
            f"{spec.name}: adopted as it is, so the stack's security groups are not attached to it yet, and "
            "other hosts do not let it in; the next `up` attaches them"
        )
    return CreateResult(str(guest.id), outs)


def seen_of(guest: Guest, props: Mapping[str, Any]) -> dict[str, Any]:
    """The properties of an adopted guest as they are recorded.

    Its tags, notes and user data are its own, so what is declared of them is no drift. Of the security groups
    that are declared, those count that are attached: the others are attached by the next update.
    """
    seen = guest.observed(props)
    attached = {
        f"{side}_security_groups": [
            group
            for group in props.get(f"{side}_security_groups") or []
            if int(float(group)) in guest.groups(side)
        ]
        for side in SIDES
    }
    return {**props, **{key: seen[key] for key in DESCRIBED if key in seen}, **attached}


def united(actual: Iterable[T], old: Iterable[T], new: Iterable[T]) -> list[T]:
    """What an adopted guest has of something, with the stack's old share of it replaced by the new one."""
    gone = set(old) - set(new)
    return list(dict.fromkeys([*(one for one in actual if one not in gone), *new]))


def _shown(value: Any) -> str:
    return "+".join(map(str, value)) if isinstance(value, tuple) else str(value or False)
