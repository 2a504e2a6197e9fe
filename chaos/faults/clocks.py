"""Clocks of hosts. Each host's kernel has one of its own, which nothing sets right in the lab."""

from __future__ import annotations

from chaos import scripts
from chaos.fault import Fault, Struck, Whom
from chaos.faults.hosts import clocks_right
from chaos.site import Site

JUMP = 1800
"""Seconds: more than any lease or timeout, less than the hour by which new certificates of a swarm are
predated."""


def _forward(site: Site, struck: Struck) -> None:
    site.sh(struck.host, scripts.clock_moved(JUMP))


def _back(site: Site, struck: Struck) -> None:
    site.sh(struck.host, scripts.clock_moved(-JUMP))


FAULTS = (
    Fault(
        "clock forward",
        "the host's clock jumps half an hour ahead, and back after 10 s",
        Whom.ANY,
        _forward,
        clocks_right,
        holds=10.0,
        brief=True,
    ),
    Fault(
        "clock back",
        "the host's clock jumps half an hour back, and ahead after 10 s",
        Whom.ANY,
        _back,
        clocks_right,
        holds=10.0,
    ),
)
