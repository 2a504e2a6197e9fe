"""What a run will cost and which hosts it interrupts: asked, shown and refused before anything is declared.

Owns: the order of these questions. Leaves to others: prices (softlayer/cost.py), what interrupts a server
(softlayer/changes.py), the table (cost_report.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

import pulumi

from components import cost_report
from components.softlayer import changes, cost, subnets
from components.softlayer.client import Api, find_credentials
from components.softlayer.guest_seen import Guest
from components.softlayer.stack_identity import StackIdentity
from components.turns import refuse_while_others_are_not_well
from settings import Settings


class StackConfig:
    """The stack's configuration as the SoftLayer client reads it: by full key."""

    def get(self, key: str) -> str | None:
        """The value of a key like `swarm-galera:endpoint`; None if it is not set."""
        value: str | None = pulumi.runtime.get_config(key)
        return value


@dataclass(frozen=True)
class Plan:
    """What a run may do.

    Attributes:
        identity: the stack's; a plan that is refused for its price has registered nothing, not even this.
        estimate: what the hosts cost.
        in_turn: host names: those whose servers this run interrupts, in the order of managers and workers.
    """

    identity: StackIdentity
    estimate: cost.Estimate
    in_turn: list[str]

    @classmethod
    def of(cls, settings: Settings) -> Plan:
        """Ask the account, show the price, refuse what must not be.

        Raises:
            SoftLayerFailed: the API cannot be asked, or the plan costs more than `maxMonthlyCost`.
            SettingInvalid: the plan costs the majority.
            UserError: other hosts are not well.
        """
        # Nothing has begun and somebody is watching: an API that cannot be reached is not waited for long.
        api = Api(find_credentials(StackConfig())).patient_for(cost.PATIENCE)
        subnets.refuse_overlap(api, settings.network.subnet)
        planned = planned_cost(settings, api)
        identity = StackIdentity()
        estimate = cost.compared(api, planned, identity.owner_now())
        pulumi.log.info(cost_report.table(estimate, sorted(settings.servers.adopt)))
        in_turn = hosts_in_turn(settings, estimate.guests)
        refuse_while_others_are_not_well([*in_turn, *settings.servers.replace])
        return cls(identity, estimate, in_turn)


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
