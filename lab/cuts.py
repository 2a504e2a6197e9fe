"""Hosts that are cut from others, by packet filter: `lab cut` and `lab heal`.

Owned here: which cuts there are, kept in the lab's folder so that they hold over reboots of hosts and a new
`lab up`. Left to others: the filter itself (`packet_filter.py`). A tap is never taken down for it: the
network card of a user-mode kernel would stay dead when the tap comes back.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable

from filelock import FileLock

from lab import network, packet_filter
from lab.packet_filter import Cut
from lab.paths import LabPaths


def present(lab: LabPaths) -> list[Cut]:
    """The cuts in force."""
    try:
        return [Cut(**fields) for fields in json.loads(lab.cuts.read_text(encoding="utf-8"))]
    except FileNotFoundError:
        return []


def add(lab: LabPaths, cut: Cut) -> None:
    """Cut; another cut of the same two ends on that network is replaced."""
    ends = (cut.host_id, cut.peer_id, cut.network)

    def with_it(cuts: list[Cut]) -> list[Cut]:
        return [*(one for one in cuts if (one.host_id, one.peer_id, one.network) != ends), cut]

    _change(lab, with_it)


def heal(lab: LabPaths, host_id: int | None = None) -> list[Cut]:
    """Remove the cuts that concern the host, or all; returns those removed."""
    before = _change(lab, lambda cuts: [cut for cut in cuts if not _concerns(cut, host_id)])
    return [cut for cut in before if _concerns(cut, host_id)]


def reload(lab: LabPaths) -> None:
    """Load the filter of the present cuts, into a namespace that may be new."""
    packet_filter.load(lab.namespace, packet_filter.cuts_text(present(lab)))


def _concerns(cut: Cut, host_id: int | None) -> bool:
    return host_id is None or host_id in (cut.host_id, cut.peer_id)


def _change(lab: LabPaths, change: Callable[[list[Cut]], list[Cut]]) -> list[Cut]:
    """Change the list, load it, and return what it was. A filter that cannot be loaded changes nothing."""
    with FileLock(lab.cuts.with_suffix(".lock"), mode=0o600, preserve_lock_file=True):
        before = present(lab)
        after = change(before)
        if after != before:
            if network.exists(lab.namespace):  # not after a crash of the machine: `lab up` loads them again
                packet_filter.load(lab.namespace, packet_filter.cuts_text(after))
            fresh = lab.cuts.with_suffix(".new")
            text = json.dumps([dataclasses.asdict(cut) for cut in after], indent=2)
            fresh.write_text(text + "\n", encoding="utf-8")
            fresh.replace(lab.cuts)
    return before
