"""Reloading a guest's operating system: the first disk is wiped, the others are kept.

Owns: doing it once for each new token, whatever interrupts it. Leaves to others: meeting the host anew
(guest_ready_provider.py).

The id of a guest's last reload tells that there was one, not whose: people reload guests by hand, too. So a
note on this machine (journal.py), written before the reload is asked for, tells an interrupted run's from
theirs. Where the note is missing, the guest is reloaded once more: its system disk has just been made anew,
and nothing has been put on it since.
"""

from __future__ import annotations

import time
from typing import Any

from SoftLayer import exceptions as sl

from components.softlayer import guests, journal
from components.softlayer.client import Api
from components.softlayer.errors import SoftLayerFailed, explaining, outcome_unknown
from components.softlayer.guest_seen import Guest
from components.softlayer.guest_spec import GuestSpec
from components.softlayer.progress import say, wait_for

BEGIN_LIMIT = 120.0
"""Seconds until a reload whose answer was lost must have begun."""


def reload(api: Api, guest_id: int, spec: GuestSpec) -> None:
    """Reload the operating system, unless an interrupted run did it already for the same token.

    Raises:
        SoftLayerFailed: the API refuses, or the guest is gone.
        WaitedTooLong: it did not begin, or did not end.
    """
    what = f"{spec.name}: reloading the operating system"
    with journal.held(f"{spec.marker} reload", f"reload {spec.name}") as note:
        with explaining(what):
            guest = _there(guests.wait_idle(api, guest_id, spec.name), spec, guest_id)
        this = {"guest": guest_id, "token": spec.reload_token}
        begun = note.read()
        if {key: begun.get(key) for key in this} == this and begun.get("before") != guest.last_reload:
            say(f"{spec.name}: an interrupted run has reloaded it already; going on with that")
            return
        before = guest.last_reload
        note.write({**this, "before": before, "marker": spec.marker, "at": time.time()})
        lost = False

        def send() -> None:
            nonlocal lost
            try:
                api.insist(
                    "Virtual_Guest", "reloadOperatingSystem", "FORCE", configuration(guest, spec), id=guest_id
                )
            except sl.SoftLayerError as error:
                if not outcome_unknown(error):
                    raise
                lost = True
                say(f"{spec.name}: the answer to the reload was lost; waiting whether it begins")

        def begun_by_now() -> tuple[bool | None, str]:
            now = _there(guests.get(api, guest_id), spec, guest_id)
            return (True, "") if now.last_reload != before else (None, "not begun yet")

        def ended() -> tuple[bool | None, str]:
            now = _there(guests.get(api, guest_id), spec, guest_id)
            if now.transaction is None and now.last_reload != before:
                return True, ""
            return None, f"transaction {now.transaction}" if now.transaction else "not begun yet"

        guests.when_idle(api, guest_id, spec.name, "reloading the operating system", send)
        with explaining(what):
            if lost:
                again = "it was probably not taken; run the same command again"
                wait_for(what, begun_by_now, BEGIN_LIMIT, again)
            wait_for(what, ended, guests.TRANSACTION_LIMIT, guests.STUCK)


def configuration(guest: Guest, spec: GuestSpec) -> dict[str, Any]:
    """The reload's second argument (SoftLayer_Container_Hardware_Server_Configuration)."""
    # The SDK's documentation calls the template's id a number in one place, a global identifier in another.
    # Orders take the number under this name, so that is sent; a guest made from the image knows it.
    optional = {
        "customProvisionScriptUri": spec.post_install_url,
        "sshKeyIds": list(spec.ssh_key_ids),
        "imageTemplateId": (guest.image_id or spec.image) if spec.image else None,
    }
    return {key: value for key, value in optional.items() if value}


def _there(guest: Guest | None, spec: GuestSpec, guest_id: int) -> Guest:
    if guest is None:
        raise SoftLayerFailed(f"{spec.name}: the server {guest_id} is gone; run `pulumi refresh`")
    return guest
