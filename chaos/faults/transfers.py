"""A full copy of the data that is broken off: whoever sends it dies, or whoever receives it."""

from __future__ import annotations

import contextlib
import threading

from chaos import scripts
from chaos.fault import Fault, Struck, Whom, Writes
from chaos.site import Site
from harness.lab_cluster import LabFailed

WAIT = 150.0
"""Seconds within which an empty node must have begun to take a copy."""


def _during_a_copy(site: Site, struck: Struck, victims: tuple[str, ...]) -> None:
    """The struck node loses its data; of `victims` the first that is seen in the copy dies of SIGKILL."""
    hit: list[str] = []

    def watch(host: str) -> None:
        try:
            site.sh(host, scripts.killed_in_a_transfer("mariadbd", WAIT), WAIT + 60)
        except LabFailed:
            return
        hit.append(host)
        for other in victims:  # or the next copy would kill its donor, too
            if other != host:
                site.sh(other, scripts.disarmed())

    watchers = [threading.Thread(target=watch, args=(host,)) for host in victims]
    with site.without_node(struck.host):
        site.sh(struck.host, scripts.data_wiped())
        for watcher in watchers:
            watcher.start()
    for watcher in watchers:
        watcher.join()
    with contextlib.suppress(LabFailed):  # one that is down kills nobody; a look that was broken off may
        site.everywhere(scripts.disarmed(), victims)
    if not hit:
        raise LabFailed(f"no copy to {struck.host} was seen on {', '.join(victims)} within {WAIT:.0f} s")
    site.note(f"killed in the copy to {struck.host}: {', '.join(hit)}")


def _donor(site: Site, struck: Struck) -> None:
    _during_a_copy(site, struck, struck.others)


def _joiner(site: Site, struck: Struck) -> None:
    _during_a_copy(site, struck, struck.hosts)


def _wiped(site: Site, struck: Struck) -> None:
    with site.without_node(struck.host):
        site.sh(struck.host, scripts.data_wiped())


FAULTS = (
    Fault(
        "data wiped",
        "a node's data is removed while it is stopped: it takes a full copy",
        Whom.READER,
        _wiped,
        holds=0.0,
    ),
    Fault(
        "donor killed",
        "a node's data is removed; the node that sends it a copy dies meanwhile",
        Whom.READER,
        _donor,
        writes=Writes.MAY_STOP,
        holds=0.0,
        heals=900.0,
    ),
    Fault(
        "joiner killed",
        "a node's data is removed, and it dies while it receives a copy",
        Whom.READER,
        _joiner,
        holds=0.0,
        heals=900.0,
    ),
)
