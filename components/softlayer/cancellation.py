"""Cancelling a guest: exactly the one that the stack ordered, and seen through until it is gone.

Owns: the refusal of strangers, and the steps. Leaves to others: reading guests (guests.py).
"""

from __future__ import annotations

from SoftLayer import exceptions as sl

from components.softlayer import guests
from components.softlayer.client import Api
from components.softlayer.errors import NotOurs, SoftLayerFailed, explaining, is_busy, is_gone
from components.softlayer.guest_seen import Guest
from components.softlayer.guest_spec import GuestSpec
from components.softlayer.identity import MARKER_KEY, owner_of, stack_tag
from components.softlayer.progress import say, wait_for


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
            f"`pulumi state delete URN` has the stack forget it (and take {MARKER_KEY} out of its user data)"
        )


def cancel_of_owner(api: Api, guest_id: int, owner: str) -> None:
    """Cancel a guest that is in no state, if it is that stack's by the identity in its order and by its tag.

    One without any tag is one whose run was killed before it got them.

    Raises:
        NotOurs: it is not, or no longer; nothing has been cancelled.
    """
    with explaining(f"cancelling the server {guest_id}", left="Nothing has been cancelled."):
        guest = guests.get(api, guest_id)
    if guest is None or guest.reclaiming:
        return
    reasons = []
    if guest.marker is None or owner_of(guest.marker) != owner:
        reasons.append(f"its order carries the identity {guest.marker}")
    if guest.tags and stack_tag(owner) not in {tag.lower() for tag in guest.tags}:
        reasons.append(f"it lacks the tag {stack_tag(owner)}")
    if reasons:
        raise NotOurs(
            f"the server {guest_id} ({guest.name}) is not cancelled, because it is not the stack's any more: "
            f"{'; '.join(reasons)}. If it is, put that right; if it is not, take {MARKER_KEY} out of its "
            "user data"
        )
    cancel(api, guest_id, guest.name)


def cancel(api: Api, guest_id: int, name: str) -> None:
    """Cancel the guest; it is going when this returns, and not yet gone.

    Its security groups are detached first, so that they can be deleted while it goes. If it is not cancelled
    then, they are attached again: it would be open to everybody.

    Raises:
        SoftLayerFailed: the API refuses; the server is as it was.
    """
    with explaining(f"cancelling {name}", left="The server still exists."):
        guest = guests.wait_idle(api, guest_id, name)
        if guest is None or guest.reclaiming:
            return
        try:
            for side in ("public", "private"):
                if guest.groups(side):
                    guests.bind(api, guest, side, set())
            wait_for(
                f"{name}: cancelling",
                lambda: _tried(api, guest_id, name),
                guests.TRANSACTION_LIMIT,
                guests.STUCK,
            )
        except Exception:
            _attach_again(api, guest, name)
            raise


def _tried(api: Api, guest_id: int, name: str) -> tuple[bool | None, str]:
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


def _attach_again(api: Api, before: Guest, name: str) -> None:
    try:
        current = guests.get(api, before.id)
        if current is None or current.reclaiming:
            return
        for side in ("public", "private"):
            if before.groups(side):
                guests.bind(api, current, side, set(before.groups(side)))
    except (sl.SoftLayerError, SoftLayerFailed) as error:
        say(
            f"{name}: it is not cancelled, and its security groups could not be attached again ({error}): it "
            "may be open to everybody. Run the same command again, or `pulumi refresh` and `pulumi up`"
        )


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
