"""The private network, over which swarm, store, overlay and database speak."""

from __future__ import annotations

import contextlib
import time

from chaos import scripts
from chaos.fault import Act, Fault, Struck, Whom
from chaos.site import Site
from harness.lab_cluster import LabFailed

DELAY, JITTER = 60, 20
"""Milliseconds."""
FLAPS = 6


def _cut(*words: str) -> Act:
    """Cuts the host off, as the words say."""

    def does(site: Site, struck: Struck) -> None:
        site.lab("cut", struck.host, *words)

    return does


def _cut_between(site: Site, struck: Struck) -> None:
    one, other = struck.hosts
    site.lab("cut", one, "--from", other)


def _flapping(site: Site, struck: Struck) -> None:
    """Up and down in a rhythm that was drawn."""
    for _ in range(FLAPS):
        site.lab("cut", struck.host)
        time.sleep(struck.draw.uniform(0.5, 5))
        site.lab("heal", struck.host)
        time.sleep(struck.draw.uniform(0.5, 5))


def _healed(site: Site, struck: Struck) -> None:
    for host in struck.hosts:
        site.lab("heal", host)


def _slow(site: Site, struck: Struck) -> None:
    site.everywhere(scripts.network_slow(DELAY, JITTER), struck.hosts)


def _as_before(site: Site, struck: Struck) -> None:
    for host in struck.hosts:
        with contextlib.suppress(LabFailed):  # one that is down has no such queue when it comes back
            site.sh(host, scripts.network_as_before(), 60)


FAULTS = (
    Fault(
        "network cut",
        "the writer's host neither hears nor is heard",
        Whom.WRITER,
        _cut(),
        _healed,
        goal=4.0,
        takes_clients=True,
    ),
    Fault(
        "network cut inwards",
        "the host hears nobody, and is heard",
        Whom.ANY,
        _cut("--in"),
        _healed,
        takes_clients=True,
    ),
    Fault(
        "network cut outwards",
        "nobody hears the host, and it hears all",
        Whom.ANY,
        _cut("--out"),
        _healed,
        takes_clients=True,
    ),
    Fault(
        "network cut between two",
        "two hosts do not hear each other; the third hears both",
        Whom.TWO,
        _cut_between,
        _healed,
        takes_clients=True,
    ),
    Fault(
        "network flapping",
        f"the host is cut off and healed {FLAPS} times, half a second to five each",
        Whom.ANY,
        _flapping,
        _healed,
        holds=0.0,
        takes_clients=True,
        limit=90.0,
    ),
    Fault(
        "network loses 5 %",
        "5 % of the host's packets are lost both ways for 30 s",
        Whom.ANY,
        _cut("--loss", "5%"),
        _healed,
        holds=30.0,
    ),
    Fault(
        "network slow",
        f"what each host sends takes {DELAY} ms longer, give or take {JITTER}",
        Whom.ALL,
        _slow,
        _as_before,
        holds=30.0,
    ),
)
