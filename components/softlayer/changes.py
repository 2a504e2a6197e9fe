"""What a plan does to the servers that are there, told before anything is declared.

Owns: which servers it interrupts, and the refusal of plans that would take the cluster's majority away.
Leaves to others: reading the account (cost.py), holding changes back (components/turns.py), the refusal to
replace a server that nobody named (virtual_guest_provider.py).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from components.softlayer.errors import SettingInvalid
from components.softlayer.guest_seen import Guest
from components.softlayer.upgrades import rebooting
from settings.server import Server


def interrupted(now: Mapping[str, Guest], planned: Mapping[str, Server], named: Collection[str]) -> list[str]:
    """Host names of the plan whose servers will be rebooted or reloaded, in the plan's order.

    Args:
        now: the stack's servers in the account.
        planned: by host name.
        named: hosts of which the settings say that they are interrupted. (Whether it has happened already is
            not asked: then nothing is done in their turn.)
    """
    return [
        name
        for name, server in planned.items()
        if name in named or (name in now and now[name].provisioned and rebooting(now[name], server))
    ]


def refuse_loss_of_majority(
    now: Collection[str],
    managers: Sequence[str],
    workers: Sequence[str],
    replaced: Collection[str],
    turns: Collection[str],
) -> None:
    """Refuse a plan that takes more managers away than the others can answer for.

    Args:
        now: the stack's hosts: in the account, and one's own.
        managers, workers: host names of the plan.
        replaced: hosts that may be replaced.
        turns: hosts that will be interrupted.

    Raises:
        SettingInvalid: says which servers would go; nothing has been ordered or changed.
    """
    gone = [name for name in now if name not in {*managers, *workers}]
    kept = [name for name in managers if name in now]
    if gone and len(kept) <= len(managers) // 2:
        raise SettingInvalid(
            "swarm-galera:servers",
            f"the settings name {', '.join(managers)} as managers, of which the stack has "
            f"{', '.join(kept) or 'none'}, and {', '.join(gone)} would be given up with their data; "
            "nothing was ordered or changed",
            "put prefix and managers back. For other names deploy a second stack and move the data, or "
            "run `pulumi destroy` first",
        )
    going = [name for name in managers if name in replaced and name in now]
    refuse_beside(going, [name for name in managers if name in turns and name not in replaced])


def refuse_beside(going: Sequence[str], beside: Sequence[str]) -> None:
    """Refuse a plan that replaces hosts in the run that interrupts others with data.

    Args:
        going: replaced ones. beside: interrupted ones.

    Raises:
        SettingInvalid: there are both.
    """
    if going and beside:
        raise SettingInvalid(
            "swarm-galera:servers.replace",
            f"{', '.join(going)} may be replaced in the same run that reboots or reloads "
            f"{', '.join(beside)}, and a replaced host has no data until its copy has arrived; "
            "nothing was ordered or changed",
            "do one after the other: when a host has been replaced and `verify` holds, take it out of "
            "servers.replace",
        )
