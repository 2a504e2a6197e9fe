"""Cancelling a guest: exactly the one that the stack ordered, and seen through until it is gone.

Owns: the refusal of strangers, and the steps. Leaves to others: reading guests (guests.py).
"""

from __future__ import annotations

from SoftLayer import exceptions as sl

from components.softlayer import guests
from components.softlayer.client import Api
from components.softlayer.errors import NotOurs, explaining, is_busy, is_gone
from components.softlayer.guest_seen import Guest
from components.softlayer.guest_spec import GuestSpec
from components.softlayer.identity import stack_tag
from components.softlayer.progress import wait_for


def require_ours(guest: Guest, spec: GuestSpec, *, labelled: bool) -> None:
    """Refuse to cancel a guest that is not, or no longer, the one in the state.

    A guest that never got its tags (`labelled` False) is told by the identity in its order alone.
    """
    tag = stack_tag(spec.owner)
    reasons = []
    if guest.hostname != spec.hostname or guest.domain != spec.domain:
        reasons.append(f"its name is {guest.name}")
    if labelled and tag not in {name.lower() for name in guest.tags}:
        reasons.append(f"it lacks the tag {tag}")
    if guest.marker not in (None, spec.marker) or (not labelled and guest.marker is None):
        reasons.append(f"its order carries the identity {guest.marker}")
    if reasons:
        raise NotOurs(
            f"{spec.name}: the server {guest.id} is not cancelled, because it is no longer the one that this "
            f"stack ordered: {'; '.join(reasons)}. If it is, put its name and tag back; if it is not, "
            "`pulumi state delete URN` has the stack forget it"
        )


def cancel(api: Api, guest_id: int, spec: GuestSpec) -> None:
    """Cancel the guest as soon as its outstanding transactions allow it; does nothing for one that is gone.

    Its security groups are detached first, so that they can be deleted. Returns when the API has taken the
    cancellation: `wait_gone` waits for the end.

    Raises:
        SoftLayerFailed: the API refuses; the server still exists.
        WaitedTooLong: after `guests.TRANSACTION_LIMIT` seconds of an outstanding transaction.
    """
    name = spec.name
    with explaining(f"cancelling {name}", left="The server still exists."):
        guest = guests.wait_idle(api, guest_id, name)
        if guest is None or guest.reclaiming:
            return
        for side in ("public", "private"):
            if guest.groups(side):
                guests.bind(api, guest, side, set())

        def look() -> tuple[bool | None, str]:
            current = guests.wait_idle(api, guest_id, name)
            if current is None or current.reclaiming:
                return True, ""
            try:
                api.call("Virtual_Guest", "deleteObject", id=guest_id)
            except sl.SoftLayerAPIError as error:
                if is_gone(error):
                    return True, ""
                if is_busy(error):
                    return None, "refused because of an outstanding transaction"
                raise
            return True, ""

        wait_for(f"{name}: cancelling", look, guests.TRANSACTION_LIMIT, guests.STUCK)


def wait_gone(api: Api, guest_id: int, name: str) -> None:
    """Wait until a cancelled guest no longer exists.

    Raises:
        WaitedTooLong: after `guests.TRANSACTION_LIMIT` seconds; it is cancelled nevertheless.
    """

    def look() -> tuple[bool | None, str]:
        guest = guests.get(api, guest_id)
        return (True, "") if guest is None else (None, f"transaction {guest.transaction or 'none yet'}")

    with explaining(f"waiting until {name} is gone", left="It is cancelled already."):
        wait_for(
            f"{name}: cancelled, waiting until it is gone",
            look,
            guests.TRANSACTION_LIMIT,
            "it is cancelled; run the same command again to see whether it is gone by now",
        )
