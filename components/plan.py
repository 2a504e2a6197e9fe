"""What a run will cost and which hosts it interrupts: asked, shown and refused before anything is declared.

Owns: the order of these questions, and that the account is asked only where it has something to do with the
stack. Leaves to others: prices (softlayer/cost.py), what interrupts a server (softlayer/changes.py), the
table (cost_report.py), hosts of one's own (own_hosts/).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import pulumi

from components import cost_report, replaced, votes
from components.first_bootstrap import last_resources
from components.own_hosts import fit, look
from components.softlayer import changes, cost, subnets
from components.softlayer.client import Api, find_credentials
from components.softlayer.errors import SettingInvalid
from components.softlayer.guest_seen import Guest
from components.softlayer.stack_identity import StackIdentity
from components.ssh_access import given_private_key
from components.turns import refuse_while_others_are_not_well
from settings import Settings
from settings.server import Server


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
        identity: the stack's; a plan that is refused for its price or for hosts of one's own has registered
            nothing, not even this, unless it had to be asked whose a host is.
        estimate: what the hosts cost that are ordered.
        in_turn: host names: those whose servers this run interrupts, in the order of managers and workers.
        own: hosts of one's own, as they were seen; None where there are none.
        replaced: ids of servers that are replaced for their own sake, by host name.
    """

    identity: StackIdentity
    estimate: cost.Estimate
    in_turn: list[str]
    own: look.Looked | None = None
    replaced: Mapping[str, int] = field(default_factory=dict)

    @property
    def opened(self) -> list[str]:
        """Hosts of one's own with an open encrypted disk."""
        return self.own.encrypted if self.own else []

    @classmethod
    def of(cls, settings: Settings, last: Mapping[str, Any]) -> Plan:
        """Ask the account and hosts of one's own, show the price, refuse what must not be.

        Args:
            last: outputs of the stack's last complete run.

        Raises:
            SoftLayerFailed: the API cannot be asked, or the plan costs more than `maxMonthlyCost`.
            SettingInvalid: the plan costs the majority.
            UserError: hosts of one's own can't be used; other hosts are not well, or their votes would be too
                few.
        """
        own = looked_at(settings, last)
        api, planned = None, cost.Estimate({}, cost.NOTHING, "USD")
        if settings.servers.orders or had_orders(last):
            # Nothing has begun and somebody is watching: an API that cannot be reached is not waited for
            # long.
            api = Api(find_credentials(StackConfig())).patient_for(cost.PATIENCE)
            subnets.refuse_overlap(api, settings.network.subnet)
            planned = planned_cost(settings, api)
        identity = StackIdentity(account=api is not None)
        if own and own.marked:
            own.refuse_bad(identity.owner_now())
        if api is not None:
            planned = cost.compared(api, planned, identity.owner_now())
            pulumi.log.info(cost_report.table(planned, sorted(settings.servers.adopt)))
        in_turn = hosts_in_turn(settings, planned.guests, own.members if own else ())
        going = replaced.due(settings, planned.guests)
        bearing = [name for name in settings.servers.data_names if name in in_turn and name not in going]
        changes.refuse_beside(list(going), bearing)
        refuse_reloads_at_once(settings, last)
        refuse_while_others_are_not_well([*in_turn, *settings.servers.replace, *going])
        votes.refuse_loss_of_majority(settings, last, own.away if own else None)
        return cls(identity, planned, in_turn, own, going)


def planned_cost(settings: Settings, api: Api) -> cost.Estimate:
    """Ask for the price of all hosts; raises SoftLayerFailed, also above `maxMonthlyCost`."""
    servers = settings.servers
    limit = None if settings.max_monthly_cost is None else Decimal(str(settings.max_monthly_cost))
    ordered = {name: server for name, server in _ordered(settings).items() if name not in servers.adopt}
    return cost.estimate(api, ordered, limit)


def _ordered(settings: Settings) -> dict[str, Server]:
    return {host.name: host.ordered for host in settings.servers.planned if host.ordered}


def hosts_in_turn(settings: Settings, now: Mapping[str, Guest], members: Iterable[str] = ()) -> list[str]:
    """The hosts that this run interrupts; raises SettingInvalid for a plan that costs the majority.

    Args:
        now: the stack's servers in the account.
        members: hosts of one's own that the stack has.
    """
    servers = settings.servers
    named = {*(servers.reload_token.keys() & now.keys()), *servers.adopt}
    turns = changes.interrupted(now, _ordered(settings), named)
    there = [*now, *sorted(members)]
    changes.refuse_loss_of_majority(
        there, servers.manager_names, servers.worker_names, servers.replace, turns
    )
    return turns


def refuse_reloads_at_once(settings: Settings, last: Mapping[str, Any]) -> None:
    """Refuse to reload several hosts with data in one run.

    Args:
        last: outputs of the stack's last complete run; without any nothing is reloaded.

    Raises:
        SettingInvalid: says which, by their tokens and those of the state.
    """
    servers = settings.servers
    named = [name for name in servers.data_names if name in servers.reload_token]
    if not last or len({*named, *servers.replace} & {*servers.data_names}) < 2:
        return
    known = {
        urn.rpartition("::")[2]: str((resource.get("outputs") or {}).get("reload_token") or "")
        for urn, resource in last_resources().items()
        if ":VirtualGuest::" in urn
    }
    # One that is ordered in this run is not in the state, and is not reloaded.
    changed = {
        name for name in named if known.get(f"{name}-guest", token := servers.reload_token[name]) != token
    }
    going = [name for name in servers.data_names if name in changed or name in servers.replace]
    if len(going) > 1:
        raise SettingInvalid(
            "swarm-galera:servers.reloadToken",
            f"{', '.join(going)} would be reloaded or replaced in the same run, and each has data; nothing "
            "was ordered or changed",
            "change the token of one, run `up`, wait until `verify` holds, then that of the next one",
        )


def looked_at(settings: Settings, last: Mapping[str, Any]) -> look.Looked | None:
    """Hosts of one's own, seen before anything is declared; raises UserError with all that is wrong of them.

    Where one bears the mark of a stack, only the identity tells whose; then they are judged after that.
    """
    if not settings.servers.own:
        return None
    ssh = settings.ssh
    text = None if ssh.private_key is None else ssh.private_key.get_secret_value()
    seen = look.look(settings, given_private_key(text, ssh.private_key_file), last)
    if not seen.marked:
        seen.refuse_bad(None)
    pulumi.log.info(fit.told(seen.hosts, seen.seen))
    return seen


def had_orders(last: Mapping[str, Any]) -> bool:
    """Whether any host of the last complete run was ordered, and so is in the account."""
    return any(host["name"] not in look.pinned_keys(last) for host in last.get("hosts") or ())
