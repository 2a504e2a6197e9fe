"""Votes that nobody will ever use again: which these are, from what the leader knows.

A dead server keeps its vote (`autopilot.cleanup_dead_servers` is off), so that after a power cut any majority
of all goes on. That is no use once the host has been replaced, or is no server any more. Leaves to others:
hosts that leave for good (`forget`), asking and removing (`supervise`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .settings import Settings

ALIVE = 1  # of a member's status
UNKNOWN = "(unknown)"  # the name that Raft has for a server of which gossip knows nothing
SERVER = "consul"  # the role of a server; an agent's is `node`


def abandoned(
    servers: Sequence[Mapping[str, Any]], members: Sequence[Mapping[str, Any]], settings: Settings
) -> list[tuple[str, str]]:
    """Id and address of each server that has a vote, is dead, and cannot come back as what it was.

    Its address is none of a host that keeps the records (any more), or an agent lives there.

    Args:
        servers: as Raft has them: ID, Address; perhaps not a dead one's name. members: as gossip has them:
            Name, Addr, Status, Tags.
    """
    alive = [each for each in members if each["Status"] == ALIVE]
    serving = {each["Tags"].get("id") for each in alive if each["Tags"].get("role") == SERVER}
    agents = {each["Addr"] for each in alive if each["Tags"].get("role") != SERVER}
    kept = {settings.hosts[name] for name in settings.server_names} - agents
    return [
        (str(each["ID"]), str(each["Address"]))
        for each in servers
        if each["ID"] not in serving and str(each["Address"]).rpartition(":")[0] not in kept
    ]


def votes_of(name: str, address: str, servers: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The servers that are host `name`, by its name, or by its address where that is all that is known."""
    return [
        each
        for each in servers
        if each["Node"] == name
        or (each["Node"] == UNKNOWN and str(each["Address"]).rpartition(":")[0] == address)
    ]
