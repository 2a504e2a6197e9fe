"""Reloading a guest's operating system: the first disk is wiped, the others are kept.

Owns: doing it once for each new token, whatever interrupts it. Leaves to others: meeting the host anew
(guest_ready_provider.py).
"""

from __future__ import annotations

from typing import Any

import SoftLayer

from components.softlayer import guests
from components.softlayer.client import Api
from components.softlayer.errors import SoftLayerFailed, explaining
from components.softlayer.guest_spec import GuestSpec
from components.softlayer.progress import say, wait_for


def reload(api: Api, guest_id: int, spec: GuestSpec, last: Any) -> int | None:
    """Reload the operating system, unless an interrupted run did it already; the id of the reload."""
    before = guests.wait_idle(api, guest_id, spec.name)
    known = None if last is None else int(last)
    if before is not None and before.last_reload != known:
        say(f"{spec.name}: it has been reloaded since the last run; going on with that")
        return before.last_reload
    manager = SoftLayer.VSManager(api.client)
    guests.when_idle(
        api,
        guest_id,
        spec.name,
        "reloading the operating system",
        lambda: manager.reload_instance(
            guest_id,
            post_uri=spec.post_install_url,
            ssh_keys=list(spec.ssh_key_ids) or None,
            image_id=spec.image,
        ),
    )

    def look() -> tuple[int | None, str]:
        guest = guests.get(api, guest_id)
        if guest is None:
            raise SoftLayerFailed(f"{spec.name}: the server {guest_id} vanished during its reload")
        if guest.transaction is None and guest.last_reload != known:
            return guest.last_reload, ""
        return None, f"transaction {guest.transaction}" if guest.transaction else "not begun yet"

    with explaining(f"{spec.name}: reloading the operating system"):
        return wait_for(
            f"{spec.name}: reloading the operating system", look, guests.TRANSACTION_LIMIT, guests.STUCK
        )
