"""Leaving the swarm: what a host takes part in, its containers, its vote, its node; in an order that keeps
every quorum.

Owns: the order, and what happens when a part cannot be done.
Leaves to others: forming the swarm (host_scripts/swarm.py), which services keep lists of hosts (`__main__`).

All of it runs on any manager, so that a dead host can be removed, too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from components.host_scripts.shell import assign, body

MARK = "swarm-galera.member"
"""Node label, `true` on every host that the stack has brought into the swarm."""
PATIENCE = 90
"""Seconds for a service to let a host go, and for the swarm to take a vote back."""


@dataclass(frozen=True)
class Membership:
    """A service that keeps a list of its hosts, and must be told of one that leaves.

    Attributes:
        service: its name. A container of it runs on every manager.
        forget: command in that container which takes a host off the list, the host's name added. It may be
            repeated.
        votes: whether whoever is on the list has a vote. It is then given up while its owner still runs,
            because it must count for its own removal, and the host does not leave before. Else it is done
            once the host's containers have stopped, as well as it can be.
        again: of what votes: also then, because whoever still runs only gives up its vote, and stays on the
            list.
    """

    service: str
    forget: str
    votes: bool
    again: bool = False


def functions(memberships: Sequence[Membership]) -> str:
    """Shell functions that the scripts here and `describe_node` share."""
    voting = [f"{each.service} {each.forget}" for each in memberships if each.votes]
    listing = [f"{each.service} {each.forget}" for each in memberships if each.again or not each.votes]
    return f"{assign(voting=voting, listing=listing, patience=PATIENCE)}\n{_FUNCTIONS}"


_FUNCTIONS = body("swarm_leaving")


def remove_node(hostname: str, memberships: Sequence[Membership] = (), *, stays: bool = False) -> str:
    """Shell text: take a node out. Standard input is its id. Does nothing for a node that is gone.

    Args:
        stays: its host stays when the stack goes, and leaves by itself then (host_scripts/own.py). It is left
            to that where the majority would go with it. So is, in any case, whoever is asked: once it has
            given up its vote, it could do no more.
    """
    facts = f"{functions(memberships)}\n{assign(hostname=hostname)}"
    if stays:
        text = 'leaves_last "$node" "$hostname" || leave "$node" "$hostname"'
        return f"{facts}\n{_LAST}\nread -r node\n{text}"
    return f'{facts}\n{_LAST}\nread -r node\nis_asked "$hostname" || leave "$node" "$hostname"'


_LAST = body("swarm_leaving_last")


def keep_only(hostnames: Sequence[str], memberships: Sequence[Membership]) -> str:
    """Shell text: take out every node that the stack brought in (`MARK`) and that is none of `hostnames`.

    To be run before services are changed: a service then never has a task on a host that its new environment
    does not know, and is never updated while it loses members.
    """
    return f"{functions(memberships)}\n{assign(keep=list(hostnames), mark=MARK)}\n{_KEEP_ONLY}"


_KEEP_ONLY = body("swarm_keep_only")
