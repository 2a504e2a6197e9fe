"""Taking over a guest that exists already, as it is.

Owns: the comparison of the guest with the settings. Leaves to others: everything after that.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pulumi.dynamic import CreateResult

from components.softlayer import guests
from components.softlayer.client import Api
from components.softlayer.errors import SoftLayerFailed, explaining
from components.softlayer.guest_spec import GuestSpec

DESCRIBED = ("hostname", "domain", "datacenter", "cores", "memory", "hourly", "local_disk", "private_only")
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
    seen = guest.observed(props)
    wrong = [
        f"{key} is {seen[key]}, the settings say {getattr(spec, key)}"
        for key in DESCRIBED
        if seen.get(key) != getattr(spec, key)
    ]
    if wrong:
        raise SoftLayerFailed(
            f"adopting the server {guest_id} failed: settings must describe it as it is, because adopting "
            f"changes nothing; {'; '.join(wrong)}"
        )
    outs = {
        **props,
        "marker": spec.marker,
        "adopted": True,
        "labelled": True,
        "reboots": 0,
        "last_reload": guest.last_reload,
    }
    return CreateResult(str(guest.id), outs)
