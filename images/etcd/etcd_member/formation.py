"""How a member starts: the decision alone, no network and no files.

A member with data just goes on. One with an empty directory takes a seat in the cluster that exists
(`rejoin`; it removes its own former seat, never another's), or takes part in the first formation (`new`).
Nobody forms by guess: the first formation needs the word of every member of the list that it is empty, too.
Whoever cannot be heard might hold the cluster's data, so it is waited for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum


class Start(Enum):
    RESUME = "resume"  # data is there; etcd ignores the initial flags
    NEW = "new"  # first formation, static list
    REJOIN = "rejoin"  # the cluster exists; take a seat, or the own one anew
    WAIT = "wait"  # nothing can be done safely now


@dataclass(frozen=True)
class Member:
    """A member as the cluster lists it. A seat that nobody has taken yet has no name and no client URL."""

    id: int
    name: str
    peer_urls: tuple[str, ...]
    client_urls: tuple[str, ...]


@dataclass(frozen=True)
class Decision:
    """What to do and why; `cluster` is the `--initial-cluster` text of a first formation."""

    start: Start
    reason: str
    cluster: str = ""


Answer = Sequence[Member] | None
"""What another member's peer port says: its list; an empty one if its directory is empty and it waits; None
if it does not answer."""


def client_urls(answers: Mapping[str, Answer]) -> list[str]:
    """Where clients of these members go, with TLS first: while some run the version before, there are two."""
    found = {url for members in answers.values() for member in members or () for url in member.client_urls}
    return sorted(found, key=lambda url: (not url.startswith("https:"), url))


def decide(
    has_data: bool,
    name: str,
    peers: Mapping[str, str],
    answers: Mapping[str, Answer],
    at_home: bool = True,
) -> Decision:
    """The way to start.

    A member publishes its client URLs once it has taken part in the cluster, so a seat of ours with client
    URLs means that we have been here before.

    Args:
        name: of this member. peers: the list, names to peer URLs.
        answers: by the name of each other member.
        at_home: the member's own peer URL leads to itself.
    """
    if has_data:
        return Decision(Start.RESUME, "the data directory holds a member")
    if name not in peers:
        known = ", ".join(sorted(peers))
        return Decision(Start.WAIT, f"{name} is not among the members ({known}); it has no data and no part")
    lists = [members for members in answers.values() if members]
    for members in lists:
        if any(member.client_urls for member in members):
            if not at_home:
                return Decision(
                    Start.WAIT,
                    f"the cluster exists, and {peers[name]} does not lead here: "
                    "the service has yet to learn this host's address",
                )
            return _exists(name, peers, members)
    for members in lists:
        if _founded_with(name, peers[name], members):
            cluster = initial_cluster(name, peers[name], members, peers)
            return Decision(Start.NEW, "the cluster is forming, with this member", cluster)
    if lists:
        return Decision(Start.WAIT, "the cluster is forming without this member")
    unheard = sorted(other for other, members in answers.items() if members is None)
    if unheard:
        return Decision(
            Start.WAIT, f"the data directory is empty, and {', '.join(unheard)} might know of a cluster"
        )
    static = ",".join(f"{other}={url}" for other, url in sorted(peers.items()))
    return Decision(Start.NEW, "no member of the list has data: this is the first formation", static)


def _exists(name: str, peers: Mapping[str, str], members: Sequence[Member]) -> Decision:
    """An empty member and a cluster that has formed."""
    own = [m for m in members if m.name == name or peers[name] in m.peer_urls]
    if not own:
        return Decision(Start.REJOIN, "the cluster exists and has no seat for this member")
    if any(member.client_urls for member in own):
        return Decision(Start.REJOIN, "the cluster exists and this member has lost its data")
    if any(not member.name for member in own):
        return Decision(Start.REJOIN, "the cluster exists and holds a seat that was added for this member")
    if {m.name: m.peer_urls for m in members} == {other: (url,) for other, url in peers.items()}:
        cluster = initial_cluster(name, peers[name], members, peers)
        return Decision(Start.NEW, "the cluster has just formed and this member is the last to come", cluster)
    return Decision(Start.REJOIN, "the cluster exists and this member has not come in time to form it")


def _founded_with(name: str, url: str, members: Sequence[Member]) -> bool:
    return any(member.name == name and url in member.peer_urls for member in members)


def seats_of(name: str, url: str | None, members: Sequence[Member]) -> list[int]:
    """Ids of the seats that a member has used before, by its name or its peer URL."""
    return [m.id for m in members if m.name == name or (m.name and url in m.peer_urls)]


def has_free_seat(url: str, members: Sequence[Member]) -> bool:
    """Whether a seat added for the member at `url` is waiting (a former try ended after the addition)."""
    return any(not m.name and url in m.peer_urls for m in members)


def seats_to_forget(name: str, url: str | None, members: Sequence[Member]) -> list[int]:
    """Ids of all seats of a member that leaves for good, also of one that was added and never taken."""
    return [m.id for m in members if m.name == name or (not m.name and url in m.peer_urls)]


def initial_cluster(name: str, peer_url: str, members: Sequence[Member], known: Mapping[str, str]) -> str:
    """The `--initial-cluster` text that matches the cluster's own list exactly.

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
