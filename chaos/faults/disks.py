"""The disk below the engine, with the data of the database and of the store."""

from __future__ import annotations

import contextlib

from chaos import scripts
from chaos.fault import Fault, Struck, Whom, Writes
from chaos.site import Site
from harness.lab_cluster import LabFailed

SLOW = 60
"""Milliseconds for each read and write: a disk that is shared with somebody who is busy. For 50 and less
dm-delay keeps a processor busy with waiting, and the hosts have one."""
LARGE = "INSERT INTO chaos_much (t) SELECT REPEAT('x', 10000000)"
MUCH = "CREATE TABLE IF NOT EXISTS chaos_much (id BIGINT AUTO_INCREMENT PRIMARY KEY, t LONGTEXT)"


def _full(site: Site, struck: Struck) -> None:
    """Filled, and then written to until the node is gone."""
    site.sh(struck.host, scripts.disk_filled(), 400)
    writer = struck.facts.writer
    site.sql(writer, MUCH)

    def lost() -> bool:
        with contextlib.suppress(LabFailed):  # a full disk says so; a write may be refused as the node goes
            site.sh(struck.host, scripts.disk_filled())
        with contextlib.suppress(LabFailed):
            site.sql(writer, LARGE, 60)
        with contextlib.suppress(LabFailed, ValueError):
            return int(site.sql(writer, "SHOW STATUS LIKE 'wsrep_cluster_size'", 60).split()[1]) < 3
        return False

    site.until(f"a full disk on {struck.host}", lost, 300)


def _emptied(site: Site, struck: Struck) -> None:
    site.sh(struck.host, scripts.disk_emptied())


def _frozen(site: Site, struck: Struck) -> None:
    site.sh(struck.host, scripts.disk_frozen())


def _thawed(site: Site, struck: Struck) -> None:
    site.sh(struck.host, scripts.disk_thawed())


def _suspended(site: Site, struck: Struck) -> None:
    site.sh(struck.host, scripts.disk_suspended())


def _resumed(site: Site, struck: Struck) -> None:
    site.sh(struck.host, scripts.disk_resumed())


def _slow(site: Site, struck: Struck) -> None:
    site.sh(struck.host, scripts.disk_slow(SLOW))


def _as_before(site: Site, struck: Struck) -> None:
    site.sh(struck.host, scripts.disk_as_before(), 300)


def _fails(site: Site, struck: Struck) -> None:
    site.sh(struck.host, scripts.disk_fails())


def _power_cycle(site: Site, struck: Struck) -> None:
    """A file system that has met errors takes no more writes before its host has booted."""
    site.off(struck.hosts, "--hard")
    site.on(struck.hosts)


FAULTS = (
    Fault(
        "disk full",
        "the disk is filled until the node is lost",
        Whom.READER,
        _full,
        _emptied,
        holds=10.0,
        writes=Writes.MAY_STOP,
        takes_clients=True,
        mended_by_up=True,
    ),
    Fault(
        "disk frozen",
        "its file system is frozen for 20 s: no write comes back",
        Whom.ANY,
        _frozen,
        _thawed,
        writes=Writes.MAY_STOP,
        takes_clients=True,
    ),
    Fault(
        "disk stands still",
        "the device below it answers nothing for 20 s",
        Whom.ANY,
        _suspended,
        _resumed,
        writes=Writes.MAY_STOP,
        takes_clients=True,
    ),
    Fault(
        "disk slow",
        f"each read and write takes {SLOW} ms longer for 30 s",
        Whom.ANY,
        _slow,
        _as_before,
        holds=30.0,
        writes=Writes.MAY_STOP,
        takes_clients=True,
    ),
    Fault(
        "disk fails",
        "each read and write is an error, until the host is power-cycled",
        Whom.ANY,
        _fails,
        _power_cycle,
        takes_clients=True,
        first=True,
        mended_by_up=True,
        heals=900.0,
    ),
)
