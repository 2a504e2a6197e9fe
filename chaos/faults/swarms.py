"""The swarm's managers. What runs on the hosts runs on without them."""

from __future__ import annotations

from chaos import scripts
from chaos.fault import Fault, Struck, Whom
from chaos.site import Site


def _leader_killed(site: Site, struck: Struck) -> None:
    site.sh(struck.host, scripts.engine_killed())


def _engine_back(site: Site, struck: Struck) -> None:
    site.sh(struck.host, scripts.engine_back(), 300)


def _no_quorum(site: Site, struck: Struck) -> None:
    site.everywhere(scripts.manager_port_closed(), struck.hosts)
    leads = "timeout 20 docker node ls >/dev/null"
    site.until("a swarm without a leader", lambda: not site.holds(struck.host, leads), 90)


def _quorum(site: Site, struck: Struck) -> None:
    site.everywhere(scripts.manager_port_open(), struck.hosts)


FAULTS = (
    Fault(
        "swarm leader killed",
        "the engine of the swarm's leader gets SIGKILL",
        Whom.LEADER,
        _leader_killed,
        _engine_back,
        takes_clients=True,
        mended_by_up=True,
    ),
    Fault(
        "swarm without quorum",
        "the managers do not hear each other for 40 s; all else does",
        Whom.ALL,
        _no_quorum,
        _quorum,
        holds=40.0,
    ),
)
