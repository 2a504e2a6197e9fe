"""Placing one order for one guest, whatever happens on the way.

Owns: that an order is looked for before it is placed, that an order whose answer was lost is never placed
again blindly, and that two processes never place the same one.
Leaves to others: what is ordered (guest_spec.py), tags and all that comes later.

Three things can go wrong, and each has its answer:

1. The order was placed, this program died before it could say so. The next run finds the guest: its identity
   is part of the order itself (its user data).
2. The order was sent, the answer was lost (a timeout, HTTP 500, a cut connection). It may be carried out a
   little later. So the guest is looked for, for a while; if it does not show up, the run ends with an error
   instead of a second order.
3. The program was killed while the request was under way, and is started again before SoftLayer has worked it
   off. A note on this machine, written before each request is sent and taken back when it was refused, tells
   the next run until when it has to look before it orders. The note's lock also keeps a provider process that
   outlived its engine from ordering at the same time.

Once the guest's id is known, the note keeps it: the account's list may lag behind what was ordered.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from SoftLayer import exceptions as sl

from components.softlayer import guests, image_orders, journal
from components.softlayer.client import Api
from components.softlayer.errors import (
    OrderUnknown,
    WaitedTooLong,
    code_of,
    explaining,
    is_gone,
    outcome_unknown,
    reraise,
    text_of,
    was_refused,
)
from components.softlayer.guest_seen import Guest
from components.softlayer.guest_spec import GuestSpec
from components.softlayer.identity import owner_of
from components.softlayer.progress import pause_after, require_pulumi, say, wait_for
from settings.values import SETTLE


@dataclass
class Note:
    """The note on one order, held under its lock."""

    entry: journal.Entry
    marker: str

    def time_left(self) -> float:
        """Seconds for which an order sent earlier must still be looked for; 0 when there is none."""
        return _time_left(self.entry.read())

    def guest_id(self) -> int | None:
        """The id of the guest that was ordered; None when it is not known."""
        number = self.entry.read().get("id")
        return number if isinstance(number, int) else None

    def sent(self, look_for: float) -> None:
        """An order is about to be sent, or its answer was lost; it may show up for so many seconds."""
        self.entry.write({"marker": self.marker, "until": time.time() + look_for})

    def refused(self) -> None:
        """Nothing has come of the order."""
        self.entry.write({})

    def placed(self, guest_id: int) -> None:
        """The guest is known."""
        self.entry.write({"marker": self.marker, "id": guest_id})


def _time_left(content: Mapping[str, Any]) -> float:
    until = content.get("until")
    return max(0.0, until - time.time()) if isinstance(until, (int, float)) else 0.0


@contextlib.contextmanager
def note_for(marker: str, folder: Path | None = None) -> Iterator[Note]:
    """The note on the order with this marker; no other process has it at the same time.

    Raises:
        SoftLayerFailed: the folder cannot be written, or another process holds the note for too long.
    """
    with journal.held(marker, f"place the order of {marker}", folder) as entry:
        yield Note(entry, marker)


def unsettled(owner: str, folder: Path | None = None) -> dict[str, float]:
    """Orders of a stack that may still show up: marker to seconds left. Those sent from this machine only."""
    left = {str(content.get("marker")): _time_left(content) for content in journal.entries(folder)}
    return {marker: seconds for marker, seconds in left.items() if seconds > 0 and owner_of(marker) == owner}


def await_unsettled(api: Api, owner: str, folder: Path | None = None) -> None:
    """Wait for a stack's orders whose outcome is not known yet, until they show up or their time is over.

    Raises:
        SoftLayerFailed: the API cannot be asked.
    """
    pending = unsettled(owner, folder)
    if not pending:
        return

    def look() -> tuple[bool | None, str]:
        late = unsettled(owner, folder).keys() - {guest.marker for guest in guests.of_owner(api, owner)}
        return (None, f"not there yet: {', '.join(sorted(late))}") if late else (True, "")

    say(f"Orders of an interrupted run may still be carried out: {', '.join(sorted(pending))}")
    # A little longer than the notes say: the look that ends it comes after their time.
    wait_for("looking for orders of an interrupted run", look, max(pending.values()) + 10, "")


def place(
    api: Api, spec: GuestSpec, *, folder: Path | None = None, settle: float = SETTLE
) -> tuple[Guest, bool]:
    """Order the guest, unless it has been ordered already.

    Args:
        folder: where notes are kept.
        settle: seconds for which an order with unknown outcome is looked for, once its answer is no longer
            waited for.

    Returns:
        The guest, and whether it was found rather than ordered now.

    Raises:
        OrderUnknown: the answer was lost and the guest has not shown up.
        SoftLayerFailed: the API refused the order, or cannot be asked; says what is left behind.
    """
    with note_for(spec.marker, folder) as note:
        # A clock that was set back must not make anybody wait for longer than the request could have taken.
        left = min(note.time_left(), api.timeout + settle)

        def find() -> Guest | None:
            behind = _MAY_SHOW_UP if left > 0 else "Nothing has been ordered."
            with explaining(f"looking for an earlier order of {spec.name}", left=behind):
                return _find(api, spec, note)

        found = find()
        if found is None and left > 0:
            found = _look_for(spec, find, left)
        if found is None:
            return _order(api, spec, note, settle)
        note.placed(found.id)
        say(f"{spec.name}: found the server {found.id} that an earlier run ordered; going on with it")
        return found, True


_MAY_SHOW_UP = (
    "An order was sent and its outcome is not known: run the same command again, which looks for the server "
    "before it orders; `python -m operations audit` lists servers that are in no state."
)


def _find(api: Api, spec: GuestSpec, note: Note) -> Guest | None:
    """The guest, by its identity in the account's list, else by the id that an earlier run noted."""
    found = guests.find(api, spec.hostname, spec.marker)
    number = note.guest_id()
    if found is not None or number is None:
        return found
    noted = guests.get(api, number)
    return noted if noted is not None and noted.marker == spec.marker and not noted.reclaiming else None


def _order(api: Api, spec: GuestSpec, note: Note, settle: float) -> tuple[Guest, bool]:
    what = f"ordering {spec.name}"
    try:
        service, method, request = _request(api, spec)
    except sl.SoftLayerError as error:
        reraise(_naming_the_part(error, spec), what, left="Nothing has been ordered.")

    def send() -> Any:
        # Before every try: an engine that died must not be ordered for, and the time of the last one counts.
        require_pulumi()
        note.sent(api.timeout + settle)
        try:
            return api.once(service, method, request)
        except sl.SoftLayerError as error:
            if not outcome_unknown(error):
                note.refused()
            raise

    try:
        answer = api.retrying(send, was_refused)
    except sl.SoftLayerError as error:
        if outcome_unknown(error):
            return _after_lost_answer(api, spec, note, settle), True
        # A refusal of this request says nothing of the ones before it.
        left = "Nothing has been ordered."
        try:
            found = _find(api, spec, note)
        except sl.SoftLayerError:
            found = None
            left = "Whether anything was ordered could not be looked up: `python -m operations audit` tells."
        if found is not None:
            note.placed(found.id)
            return found, True
        reraise(_naming_the_part(error, spec), what, left=left)
    guest = Guest(answer if method == "createObject" else answer["orderDetails"]["virtualGuests"][0])
    note.placed(guest.id)
    return guest, False


def _after_lost_answer(api: Api, spec: GuestSpec, note: Note, settle: float) -> Guest:
    """The guest of an order whose answer was lost. Raises OrderUnknown."""
    say(f"{spec.name}: the answer to the order was lost; looking for the server before anything else")
    note.sent(settle)

    def find() -> Guest | None:
        with explaining(f"looking for the order of {spec.name}", left=_MAY_SHOW_UP):
            return _find(api, spec, note)

    found = None
    try:
        found = _look_for(spec, find, settle)
    finally:
        # A next run at once looks for as long again: SoftLayer may be slow, and a server costs money.
        if found is None:
            note.sent(settle)
        else:
            note.placed(found.id)
    if found is None:
        raise OrderUnknown(
            f"ordering {spec.name}: the order was sent, its answer was lost, and the server has not shown up "
            f"in {settle:.0f} s. It is not ordered a second time. Run the same command again: it looks for "
            f"the server for {settle:.0f} s more, and orders only if it is still not there. "
            "`python -m operations audit` lists servers that are in no state"
        )
    return found


def _naming_the_part(error: sl.SoftLayerError, spec: GuestSpec) -> sl.SoftLayerError:
    """An order with an id that does not exist is refused by that id alone: say of what it is the id."""
    if not is_gone(error):
        return error
    parts = {
        "SSH key": spec.ssh_key_ids,
        "security group": (*spec.public_security_groups, *spec.private_security_groups),
        "VLAN": (spec.public_vlan, spec.private_vlan),
        "subnet": (spec.public_subnet, spec.private_subnet),
        "placement group": (spec.placement_group,),
        "image template": (spec.image,),
    }
    named = [part for part, ids in parts.items() if any(f"'{id_}'" in text_of(error) for id_ in ids)]
    return sl.SoftLayerAPIError(code_of(error), f"{text_of(error)} {', '.join(named)}".strip())


def _look_for(spec: GuestSpec, find: Callable[[], Guest | None], seconds: float) -> Guest | None:
    def look() -> tuple[Guest | None, str]:
        return find(), "not there yet"

    what = f"{spec.name}: looking for an order whose outcome is unknown"
    with contextlib.suppress(WaitedTooLong):
        return wait_for(what, look, seconds, "", pause=lambda elapsed: min(pause_after(elapsed), 5.0))
    return None


def _request(api: Api, spec: GuestSpec) -> tuple[str, str, dict[str, Any]]:
    """Service, method and argument of the order."""
    template = spec.template()
    if spec.placement_group is None and spec.image is None:
        return "Virtual_Guest", "createObject", template
    # createObject knows no placement groups, and takes no disks together with an image. The container for
    # placeOrder drops what the SDK's authors list: user data, subnets and speeds; they are put in again.
    order = api.call("Virtual_Guest", "generateOrderTemplate", image_orders.without_image(template))
    if spec.image is not None:
        order = image_orders.with_image(order, spec.image)
    guest = order["virtualGuests"][0]
    guest["userData"] = template["userData"]
    for key in ("primaryNetworkComponent", "primaryBackendNetworkComponent", "networkComponents"):
        if key in template:
            guest[key] = template[key]
    if spec.placement_group is not None:
        guest["placementGroupId"] = spec.placement_group
    if spec.ssh_key_ids:
        order["sshKeys"] = [{"sshKeyIds": list(spec.ssh_key_ids)}]
    if spec.post_install_url:
        order["provisionScripts"] = [spec.post_install_url]
    return "Product_Order", "placeOrder", order
