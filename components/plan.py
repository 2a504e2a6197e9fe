"""What a run will cost and which hosts it interrupts, told before anything is declared.

Owns: asking about the stack's servers, and refusing what must not be. Leaves to others: prices
(softlayer/cost.py), what interrupts a server (softlayer/changes.py), showing any of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from components.softlayer import changes, cost
from components.softlayer.client import Api
from components.softlayer.guest_seen import Guest
from settings import Settings


def planned_cost(settings: Settings, api: Api) -> cost.Estimate:
    """Ask for the price of all hosts; raises SoftLayerFailed, also above `maxMonthlyCost`."""
    servers = settings.servers
    limit = None if settings.max_monthly_cost is None else Decimal(str(settings.max_monthly_cost))
    ordered = [name for name in servers.hostnames if name not in servers.adopt]
    return cost.estimate(api, dict.fromkeys(ordered, servers.each), limit)


def hosts_in_turn(settings: Settings, now: Mapping[str, Guest]) -> list[str]:
    """The hosts that this run interrupts; raises SettingInvalid for a plan that costs the majority.

    `now`: the stack's servers in the account.
    """
    servers = settings.servers
    planned = dict.fromkeys(servers.hostnames, servers.each)
    turns = changes.interrupted(now, planned, {*(servers.reload_token.keys() & now.keys()), *servers.adopt})
    changes.refuse_loss_of_majority(now, servers.manager_names, servers.worker_names, servers.replace, turns)
    return turns
