"""Which servers a run takes away and orders anew because somebody said so of this very server.

Owns: whose word counts, and that no more than one host with data goes in one run.
Leaves to others: the replacement itself (softlayer/virtual_guest_provider.py), draining a host and having
it leave first (operations/replace/command.py), servers replaced for a changed setting (`servers.replace`).

The word is a server's id. So it is obeyed once: the server that is ordered in its place has another one. A
run that was broken off in between finds no server of that id, and goes on.
"""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Mapping

from components.softlayer.errors import SettingInvalid
from components.softlayer.guest_seen import Guest
from settings import Settings

REPLACED = "SWARM_GALERA_REPLACED"
"""Environment variable by which `python -m operations` says which of them go in this run, because it has seen
to them: JSON, `{"galera-2": 1234567}`. Those that only the settings name then wait for their turn."""


def due(settings: Settings, now: Mapping[str, Guest]) -> dict[str, int]:
    """Id of the server that goes, by host name.

    Args:
        now: the stack's servers in the account, by host name.

    Raises:
        SettingInvalid: more than one of them bears data.
    """
    told = os.environ.get(REPLACED)
    wanted: Mapping[str, int] = json.loads(told) if told else settings.servers.replace_server
    found = matching(wanted, {name: now[name].id for name in wanted if name in now})
    refuse_several(found, settings.servers.data_names)
    return found


def matching(wanted: Mapping[str, int], now: Mapping[str, int]) -> dict[str, int]:
    """Those whose server is still the one that is to go."""
    return {name: server for name, server in wanted.items() if now.get(name) == server}


def refuse_several(found: Collection[str], bearing: Collection[str]) -> None:
    """Raise SettingInvalid if more than one host with data would go in one run."""
    going = [name for name in bearing if name in found]
    if len(going) > 1:
        raise SettingInvalid(
            "swarm-galera:servers.replaceServer",
            f"{', '.join(going)} would be cancelled in one run, and each has a node of the database; "
            "nothing was ordered or changed",
            "run `python -m operations up` (`make up`), which does one after the other; with plain "
            "`pulumi up`, name one at a time",
        )
