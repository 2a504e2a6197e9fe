"""How a member starts: the decision alone, no network and no files.

A member with data just goes on. One with an empty directory either takes part in the cluster's first
formation (`new`), or it had been a member, has lost its disk, and takes its own seat anew
(`existing`, after removing and adding itself). It never touches another member's seat.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum


class Start(Enum):
    RESUME = "resume"  # data is there; etcd ignores the initial flags
    NEW = "new"  # first formation, static list
    REJOIN = "rejoin"  # the cluster exists; take the own seat anew


@dataclass(frozen=True)
class Member:
    """A member as the cluster lists it. A seat that nobody has taken yet has no name and no client URL."""

    id: int
    name: str
    peer_urls: tuple[str, ...]
    client_urls: tuple[str, ...]


def decide(
    has_data: bool, name: str, peer_url: str, answers: Sequence[Sequence[Member]]
) -> tuple[Start, str]:
    """The way to start and the reason, given what the other members' peer ports answered.

    A member publishes its client URLs once it has taken part in the cluster, so a seat of ours with client
    URLs means that we have been here before.
    """
    if has_data:
        return Start.RESUME, "the data directory holds a member"
    for members in answers:
        if not any(member.client_urls for member in members):
            continue  # that one is still forming
        own = [m for m in members if m.name == name or peer_url in m.peer_urls]
        if not own:
            return Start.REJOIN, "the cluster exists and has no seat for this member"
        if any(member.client_urls for member in own):
            return Start.REJOIN, "the cluster exists and this member has lost its data"
        if any(not member.name for member in own):
            return Start.REJOIN, "the cluster exists and holds a seat that was added for this member"
    if answers:
        return Start.NEW, "the data directory is empty and the cluster is forming"
    return Start.NEW, "the data directory is empty and no other member answers"


def seats_to_remove(name: str, peer_url: str, members: Sequence[Member]) -> list[int]:
    """Ids of this member's own seats that it has used before and that must go first."""
    return [m.id for m in members if m.name == name or (m.name and peer_url in m.peer_urls)]


def has_free_seat(peer_url: str, members: Sequence[Member]) -> bool:
    """Whether a seat added for this member is waiting (a former try ended after the addition)."""
    return any(not m.name and peer_url in m.peer_urls for m in members)


def initial_cluster(name: str, peer_url: str, members: Sequence[Member], known: Mapping[str, str]) -> str:
    """The `--initial-cluster` text for `existing`: it must match the cluster's own list exactly.

    Seats without a name (not yet taken) get the name that the settings give their URL.
    """
    names = {url: known_name for known_name, url in known.items()}
    pairs = []
    for member in members:
        for url in member.peer_urls:
            pairs.append(
                (name if url == peer_url else member.name or names.get(url, f"member-{member.id:x}"), url)
            )
    return ",".join(f"{member_name}={url}" for member_name, url in sorted(pairs))
