"""Single processes and containers."""

from __future__ import annotations

import time

from chaos import scripts
from chaos.fault import Fault, Struck, Whom, Writes
from chaos.site import Site
from harness.lab_cluster import LabFailed

PROVEN = 8.0
"""Seconds after which a process that was killed at once should be there again, or missed."""
ORDERLY = 100
"""Seconds that a node has to stop in order: more than it takes, as `galera.stopGrace` is."""


def _killed(program: str, site: Site, struck: Struck) -> None:
    site.everywhere(scripts.signalled(program, "KILL"), struck.hosts)


def _mariadbd_killed(site: Site, struck: Struck) -> None:
    _killed("mariadbd", site, struck)


def _mariadbd_killed_in_succession(site: Site, struck: Struck) -> None:
    """All of them, in a drawn order, the next one while the others notice that the one before has gone."""
    order = struck.draw.sample(struck.hosts, len(struck.hosts))
    pauses = [struck.draw.uniform(0.2, 2.0) for _ in order]

    def later(host: str, seconds: float) -> None:
        time.sleep(seconds)
        site.sh(host, scripts.signalled("mariadbd", "KILL"))

    moments = [sum(pauses[:number]) for number in range(len(order))]
    site.at_once(
        [lambda host=host, at=at: later(host, at) for host, at in zip(order, moments, strict=True)]  # type: ignore[misc]
    )


def _mariadbd_killed_again(site: Site, struck: Struck) -> None:
    """Three times, each as soon as it is back, which is another process: a crash loop."""
    killed = ""

    def back() -> bool:
        return _processes(site, struck.host) not in ("", killed)

    for _ in range(3):
        site.until(f"mariadbd on {struck.host}", back, 180)
        killed = _processes(site, struck.host)
        _killed("mariadbd", site, struck)


def _processes(site: Site, host: str) -> str:
    """Ids of mariadbd there; empty if there is none, or nobody says."""
    try:
        return site.sh(host, "pgrep -x mariadbd || true", 30).strip()
    except LabFailed:
        return ""


def _mariadbd_stopped(site: Site, struck: Struck) -> None:
    site.sh(struck.host, scripts.signalled("mariadbd", "STOP"))


def _mariadbd_let_go(site: Site, struck: Struck) -> None:
    site.sh(struck.host, scripts.let_go("mariadbd"))


def _node_stopped(site: Site, struck: Struck) -> None:
    site.sh(struck.host, scripts.node_stopped(ORDERLY), 2 * ORDERLY)


def _container_removed(site: Site, struck: Struck) -> None:
    site.sh(struck.host, scripts.container_removed("galera"))


def _engine_killed(site: Site, struck: Struck) -> None:
    site.sh(struck.host, scripts.engine_killed())


def _engine_back(site: Site, struck: Struck) -> None:
    site.sh(struck.host, scripts.engine_back(), 300)


def _haproxy_killed(site: Site, struck: Struck) -> None:
    site.sh(struck.host, scripts.signalled("haproxy", "KILL"))


FAULTS = (
    Fault(
        "mariadbd killed",
        "the writer's server process gets SIGKILL",
        Whom.WRITER,
        _mariadbd_killed,
        holds=PROVEN,
        goal=3.0,
        brief=True,
    ),
    Fault(
        "mariadbd killed again and again",
        "the same, and again as soon as it is back, three times",
        Whom.WRITER,
        _mariadbd_killed_again,
        holds=PROVEN,
    ),
    Fault(
        "mariadbd killed everywhere",
        "all server processes get SIGKILL in the same second",
        Whom.ALL,
        _mariadbd_killed,
        holds=PROVEN,
        writes=Writes.MAY_STOP,
    ),
    Fault(
        "mariadbd killed in succession",
        "all server processes get SIGKILL, one after the other, 0.2 to 2 s apart",
        Whom.ALL,
        _mariadbd_killed_in_succession,
        holds=PROVEN,
        writes=Writes.MAY_STOP,
    ),
    Fault(
        "mariadbd stopped",
        "the writer's server process gets SIGSTOP, and SIGCONT after 15 s",
        Whom.WRITER,
        _mariadbd_stopped,
        _mariadbd_let_go,
        holds=15.0,
    ),
    Fault(
        "orderly move",
        "the writer's container is told to stop",
        Whom.WRITER,
        _node_stopped,
        holds=PROVEN,
        goal=1.0,
    ),
    Fault(
        "container removed",
        "the writer's container is removed by force",
        Whom.WRITER,
        _container_removed,
        holds=PROVEN,
        goal=3.0,
    ),
    Fault(
        "engine killed",
        "the engine's process gets SIGKILL",
        Whom.ANY,
        _engine_killed,
        _engine_back,
        takes_clients=True,
        mended_by_up=True,
    ),
    Fault(
        "HAProxy killed",
        "a load balancer gets SIGKILL",
        Whom.ANY,
        _haproxy_killed,
        holds=PROVEN,
        takes_clients=True,
        brief=True,
    ),
)
