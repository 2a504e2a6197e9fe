"""When a host is not upgraded, and whose turn comes when: pure functions of what is seen.

Owns: these. Leaves to others: what must hold of the other hosts (well.py), the upgrade (hosts.py).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from operations import notes, well
from operations.around_run.care import Seen


def order(seen: Seen, names: Sequence[str], left: Collection[str] = ()) -> list[str]:
    """Whose turn comes when: what was broken off first, hosts without data before others, the writer last.

    Args:
        left: whom an earlier call has drained, and left so.
    """
    takes_writes = well.writer(seen)
    return sorted(
        dict.fromkeys(names),
        key=lambda name: (
            not begun(seen, name, left),
            name in seen.outputs.members,
            name == takes_writes,
        ),
    )


def unfit(seen: Seen, host: str, left: Collection[str] = ()) -> str:
    """Why a host is not upgraded, however the others are; empty if it may be. Args: as of `order`."""
    kept, under_way = well.maintained(seen), begun(seen, host, left)
    note = notes.read(kept.get(host, ""))
    if note.why == "replaced":
        return f"it is being replaced: `python -m operations replace {host}` first"
    if host in kept and not under_way:
        return (
            f"it is in maintenance{f' ({note.told})' if note.told else ''}, which this would end: "
            f"`python -m operations maintenance {host} off` first"
        )
    paused = any(host in facts.paused for facts in seen.facts.values())
    if paused and host in seen.outputs.members and not under_way:
        return "the swarm starts nothing there, as after a change that was broken off: `up` first"
    if seen.outputs.has("swarm") and not others(seen, host):
        return f"no other manager answers that could do without {host}"
    return ""


def refusal(seen: Seen, host: str, left: Collection[str] = ()) -> str:
    """Why a host is not upgraded now; empty if it may be. Args: as of `order`."""
    # One that was drained by a call which was broken off is not well, and has to be gone on with.
    ill = begun(seen, host, left)
    return unfit(seen, host, left) or well.refusal(seen, host, "returns", ill=ill, waits=True)


def in_the_way(seen: Seen, due: Sequence[str], left: Collection[str]) -> str:
    """What keeps these from being upgraded in this order; empty for nothing.

    Behind one that was broken off, the others are as they will be only once it is through: they are asked
    again in their turn.
    """
    for at, name in enumerate(due):
        after_one = any(begun(seen, each, left) for each in due[:at])
        if why := (unfit if after_one else refusal)(seen, name, left):
            return f"{name} is not upgraded: {why}"
    return ""


def begun(seen: Seen, name: str, left: Collection[str]) -> bool:
    """Whether an earlier call has drained the host, and did not come to its end."""
    return name in left or notes.read(well.maintained(seen).get(name, "")).why == "upgraded"


def others(seen: Seen, host: str) -> list[str]:
    """Managers that could drain a host."""
    return [each.name for each in seen.outputs.managers if each.name != host and each.name not in seen.away]
