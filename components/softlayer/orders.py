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
   off. A note on this machine, written before the request is sent and taken away when its outcome is known,
   tells the next run to look for a while before it orders. The note's lock also keeps a provider process that
   outlived its engine from ordering at the same time.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from SoftLayer import exceptions as sl

from components.softlayer import guests
from components.softlayer.client import Api
from components.softlayer.errors import (
    OrderUnknown,
    SoftLayerFailed,
    WaitedTooLong,
    code_of,
    explaining,
    is_gone,
    outcome_unknown,
    reraise,
    text_of,
)
from components.softlayer.guest_seen import Guest
from components.softlayer.guest_spec import GuestSpec
from components.softlayer.progress import pause_after, require_engine, say, wait_for

SETTLE = 60.0
"""Seconds for which an order whose outcome is unknown is looked for."""
LOCK_LIMIT = 300.0
"""Seconds to wait for another process that is placing the same order."""


def journal_folder(environment: dict[str, str] | None = None) -> Path:
    """Where the notes are kept: `$XDG_STATE_HOME/swarm-galera/orders`, by default under `~/.local/state`."""
    env = dict(os.environ) if environment is None else environment
    base = env.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(base) / "swarm-galera" / "orders"


@dataclass
class Note:
    """The note on one order, held under its lock."""

    file: IO[str]
    marker: str

    def sent_at(self) -> float | None:
        """When an order with unknown outcome was sent (seconds since the epoch); None when there is none."""
        self.file.seek(0)
        try:
            return float(json.loads(self.file.read() or "{}").get("sent"))
        except (ValueError, TypeError, AttributeError):
            return None

    def sending(self) -> None:
        """An order is about to be sent. On disk before this returns."""
        self._write(json.dumps({"marker": self.marker, "sent": time.time()}))

    def settled(self) -> None:
        """The outcome is known."""
        self._write("")

    def _write(self, text: str) -> None:
        self.file.seek(0)
        self.file.truncate()
        self.file.write(text)
        self.file.flush()
        os.fsync(self.file.fileno())


@contextlib.contextmanager
def note_for(marker: str, folder: Path | None = None) -> Iterator[Note]:
    """The note on the order with this marker; no other process has it at the same time.

    Raises:
        SoftLayerFailed: the folder cannot be written, or another process holds the note for too long.
    """
    place = folder or journal_folder()
    path = place / f"{hashlib.sha256(marker.encode()).hexdigest()[:24]}.json"
    try:
        place.mkdir(parents=True, exist_ok=True, mode=0o700)
        file = path.open("a+")
    except OSError as error:
        raise SoftLayerFailed(
            f"{place} cannot be written ({error.strerror}); it keeps a note on each order under way, so that "
            "none is placed twice. Set XDG_STATE_HOME to a folder that can be written"
        ) from None
    with file:

        def look() -> tuple[bool | None, str]:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return None, "another process is placing it"
            return True, ""

        wait_for(
            f"waiting to place the order of {marker}",
            look,
            LOCK_LIMIT,
            "look for another `pulumi` or left-over `pulumi.dynamic` process of this stack and end it",
        )
        yield Note(file, marker)
        # The note of a settled order is left behind empty: removing a locked file would let two processes
        # hold locks of the same name on two different files.


def place(
    api: Api, spec: GuestSpec, *, folder: Path | None = None, settle: float = SETTLE
) -> tuple[Guest, bool]:
    """Order the guest, unless it has been ordered already.

    Args:
        folder: where notes are kept.
        settle: seconds for which an order with unknown outcome is looked for.

    Returns:
        The guest, and whether it was found rather than ordered now.

    Raises:
        OrderUnknown: the answer was lost and the guest has not shown up.
        SoftLayerFailed: the API refused the order; nothing has been ordered.
    """
    what = f"ordering {spec.name}"

    def find() -> Guest | None:
        with explaining(f"looking for an earlier order of {spec.name}", left="Nothing has been ordered."):
            return guests.find(api, spec.hostname, spec.domain, spec.marker)

    with note_for(spec.marker, folder) as note:
        found = find()
        sent = note.sent_at()
        if found is None and sent is not None:
            left = min(settle, sent + settle - time.time())
            found = _look_for(spec, find, left) if left > 0 else None
        if found is not None:
            note.settled()
            say(f"{spec.name}: found the server {found.id} that an earlier run ordered; going on with it")
            return found, True
        require_engine()
        note.sending()
        try:
            raw = _send(api, spec)
        except sl.SoftLayerError as error:
            if not outcome_unknown(error):
                note.settled()
                reraise(_naming_the_part(error, spec), what, left="Nothing has been ordered.")
            say(f"{spec.name}: the answer to the order was lost; looking for the server before anything else")
            found = _look_for(spec, find, settle)
            if found is None:
                raise OrderUnknown(
                    f"{what}: the order was sent, its answer was lost, and the server has not shown up in "
                    f"{settle:.0f} s. It is not ordered a second time. Run the same command again: it looks "
                    "for the server first. `python -m operations audit` lists servers that are in no state"
                ) from None
            note.settled()
            return found, True
        note.settled()
        return Guest(raw), False


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


def _send(api: Api, spec: GuestSpec) -> dict[str, Any]:
    """One order; repeated only while the API says that it refused to take it (rate limit)."""
    template = spec.template()
    if spec.placement_group is None:
        raw: dict[str, Any] = api.insist("Virtual_Guest", "createObject", template)
        return raw
    # createObject knows no placement groups. The template for placeOrder drops what the SDK's authors list:
    # user data, subnets and speeds; they are put in again.
    order = api.call("Virtual_Guest", "generateOrderTemplate", template)
    guest = order["virtualGuests"][0]
    guest["userData"] = template["userData"]
    guest["placementGroupId"] = spec.placement_group
    for key in ("primaryNetworkComponent", "primaryBackendNetworkComponent", "networkComponents"):
        if key in template:
            guest[key] = template[key]
    if spec.ssh_key_ids:
        order["sshKeys"] = [{"sshKeyIds": list(spec.ssh_key_ids)}]
    if spec.post_install_url:
        order["provisionScripts"] = [spec.post_install_url]
    receipt = api.insist("Product_Order", "placeOrder", order)
    placed: dict[str, Any] = receipt["orderDetails"]["virtualGuests"][0]
    return placed
