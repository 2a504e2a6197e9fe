"""Guests in the account: read, look up by identity, wait for their transactions.

Owns: the reads, the waits, and the binding of security groups. Leaves to others: every other change.
"""

from __future__ import annotations

from collections.abc import Callable

from SoftLayer import exceptions as sl

from components.softlayer.client import Api
from components.softlayer.errors import SoftLayerFailed, explaining, is_busy, is_gone
from components.softlayer.guest_seen import MASK, Guest
from components.softlayer.guest_spec import MOST_GROUPS
from components.softlayer.identity import owner_of
from components.softlayer.progress import wait_for

TRANSACTION_LIMIT = 5400.0
"""Seconds that an outstanding transaction may take: 90 minutes, as SoftLayer's slowest orders do."""
STUCK = "run the same command again to go on waiting; one that is stuck for hours needs a ticket to support"


def get(api: Api, guest_id: int) -> Guest | None:
    """The guest; None when it does not exist."""
    try:
        raw = api.call("Virtual_Guest", "getObject", id=guest_id, mask=MASK)
    except sl.SoftLayerAPIError as error:
        if is_gone(error):
            return None
        raise
    # An empty answer is how some proxies and old versions of the API say "not found".
    return Guest(raw) if raw else None


def find(api: Api, hostname: str, marker: str) -> Guest | None:
    """The guest that carries the marker; None when there is none.

    Asked by host name, decided by marker alone: a server of the same name that somebody else ordered is
    passed over, so is one that is cancelled already; one that was ordered with another domain is found.

    Raises:
        SoftLayerFailed: several carry the marker.
    """
    rows = api.list("getVirtualGuests", mask=MASK, where={"hostname": {"operation": f"_= {hostname}"}})
    # A list may lag behind: what it shows may be gone by now.
    found = [
        guest
        for row in rows
        if Guest(row).marker == marker
        and (guest := get(api, Guest(row).id)) is not None
        and not guest.reclaiming
    ]
    if len(found) > 1:
        ids = ", ".join(str(guest.id) for guest in found)
        raise SoftLayerFailed(
            f"{hostname}: {len(found)} servers ({ids}) carry the identity {marker} of one; "
            "keep one and cancel the others (`slcli vs cancel ID`), then run the same command again"
        )
    return found[0] if found else None


def of_owner(api: Api, owner: str) -> list[Guest]:
    """The guests whose orders carry a stack's identity, without those that are cancelled already."""
    mask = "mask[id,hostname,domain,userData[value],activeTransaction[transactionStatus[name]]]"
    with explaining("looking for servers of this stack"):
        rows = api.list("getVirtualGuests", mask=mask)
    return [
        guest
        for guest in map(Guest, rows)
        if guest.marker is not None and owner_of(guest.marker) == owner and not guest.reclaiming
    ]


def wait_idle(api: Api, guest_id: int, name: str) -> Guest | None:
    """Wait until the guest has no outstanding transaction.

    Returns:
        The guest, or None if it does not exist (any more).

    Raises:
        WaitedTooLong: names the transaction that is outstanding.
    """

    def look() -> tuple[tuple[Guest | None] | None, str]:
        guest = get(api, guest_id)
        if guest is None or guest.transaction is None:
            return (guest,), ""
        return None, f"transaction {guest.transaction}"

    what = f"{name}: waiting for its outstanding transaction"
    (guest,) = wait_for(what, look, TRANSACTION_LIMIT, STUCK)
    return guest


def when_idle(api: Api, guest_id: int, name: str, what: str, action: Callable[[], object]) -> None:
    """Do something that an outstanding transaction forbids, as soon as it allows it.

    A transaction may start between the wait and the action, and it may be outstanding before it shows: so the
    action is tried again when the API says that one is in the way.
    """

    def look() -> tuple[bool | None, str]:
        if wait_idle(api, guest_id, name) is None:
            raise SoftLayerFailed(
                f"{name}: {what} failed: the server {guest_id} is gone; run `pulumi refresh`"
            )
        try:
            action()
        except sl.SoftLayerAPIError as error:
            if is_busy(error):
                return None, "refused because of an outstanding transaction"
            raise
        return True, ""

    with explaining(f"{name}: {what}"):
        wait_for(f"{name}: {what}", look, TRANSACTION_LIMIT, STUCK)


def bind(api: Api, guest: Guest, side: str, wanted: set[int]) -> None:
    """Attach and detach security groups; `guest` as it is now.

    New ones first, so that the interface is never without, as far as it takes so many at a time.

    Raises:
        SoftLayerFailed: there is no such interface, or it does not take so many.
    """
    if guest.interface(side).get("id") is None:
        raise SoftLayerFailed(f"{guest.name}: it has no {side} interface to bind security groups to")
    if len(wanted) > MOST_GROUPS:
        raise SoftLayerFailed(
            f"{guest.name}: its {side} interface would have {len(wanted)} security groups, and takes at most "
            f"{MOST_GROUPS}; detach some (`slcli securitygroup interface-remove`)"
        )
    now = set(guest.groups(side))
    surplus = sorted(now - wanted)
    for group in sorted(wanted - now):
        if len(now) == MOST_GROUPS:
            now.remove(surplus[0])
            _bound(api, guest, side, surplus.pop(0), wanted=False)
        now.add(group)
        _bound(api, guest, side, group, wanted=True)
    for group in surplus:
        _bound(api, guest, side, group, wanted=False)


def _bound(api: Api, guest: Guest, side: str, group: int, *, wanted: bool) -> None:
    """Attach or detach one group. It may have been done by a first try whose answer was lost."""
    method = "attachNetworkComponents" if wanted else "detachNetworkComponents"
    try:
        api.call("Network_SecurityGroup", method, [int(guest.interface(side)["id"])], id=group)
    except sl.SoftLayerAPIError:
        current = get(api, guest.id)
        there = current is not None and group in current.groups(side)
        if there is not wanted:
            raise
