"""Whole hosts: one, two, all."""

from __future__ import annotations

import time
from collections.abc import Sequence

from chaos import scripts
from chaos.fault import TOLD, Fault, Struck, Whom, Writes
from chaos.site import Site
from harness.lab_cluster import LabFailed
from lab.hosts.uml import SHUTDOWN

HOUR = 3600
BACK = 900.0
"""Seconds within which a cluster is whole after all hosts were down."""


def _killed(site: Site, struck: Struck) -> None:
    site.off(struck.hosts, "--hard")


def _stopped(site: Site, struck: Struck) -> None:
    _in_order(site, struck, struck.hosts)


def _in_order(site: Site, struck: Struck, hosts: Sequence[str]) -> None:
    """Shut down; the run tells of an end that may have been none in order."""
    begin = time.monotonic()
    site.off(hosts, "--soft")
    if (took := time.monotonic() - begin) > SHUTDOWN:
        struck.notes[TOLD] = (
            f"{', '.join(hosts)} took {took:.0f} s: the lab may have pulled the plug after {SHUTDOWN:.0f} s"
        )


def _on(site: Site, struck: Struck) -> None:
    site.on(struck.hosts)


def _mixed(site: Site, struck: Struck) -> None:
    """One is shut down in order while the others lose their power."""
    clean = struck.draw.choice(struck.hosts)
    site.note(f"{clean} is shut down, the others lose their power")
    unclean = [host for host in struck.hosts if host != clean]
    site.at_once([lambda: _in_order(site, struck, [clean]), lambda: site.off(unclean, "--hard")])


def _rebooted(site: Site, struck: Struck) -> None:
    struck.notes["boot"] = _boot(site, struck.host)
    site.sh(struck.host, "systemctl --no-block reboot")


def _back(site: Site, struck: Struck) -> None:
    before = struck.notes.get("boot")

    def another() -> bool:
        try:
            return _boot(site, struck.host) != before
        except LabFailed:  # it goes down, or is not up yet
            return False

    site.until(f"another boot of {struck.host}", another, 300)


def _boot(site: Site, host: str) -> str:
    return site.sh(host, "cat /proc/sys/kernel/random/boot_id", 30).strip()


def _cancelled(site: Site, struck: Struck) -> None:
    site.power([struck.host], "cancel")
    site.until(f"the end of {struck.host}", lambda: struck.host not in site.cluster.guests(), 300)


def _ordered_anew(site: Site, _struck: Struck) -> None:
    site.up()


def _paused(site: Site, struck: Struck) -> None:
    site.lab("pause", struck.host)


def _resumed(site: Site, struck: Struck) -> None:
    site.lab("resume", struck.host)


def _off_for_an_hour(site: Site, struck: Struck) -> None:
    """The host is off while every clock goes on by an hour, its own from its next boot on."""
    struck.notes["then"] = int(time.time()) + HOUR
    site.sh(struck.host, scripts.boots_not_before(struck.notes["then"]))
    site.off(struck.hosts, "--hard")
    site.everywhere(scripts.clock_moved(HOUR), struck.others)


def _on_an_hour_later(site: Site, struck: Struck) -> None:
    """It is on, and its own clock shows that it was off for an hour: else nothing but its power was lost."""
    site.on(struck.hosts)
    shown = site.sh(struck.host, "date +%s", 30).strip()
    if not shown.isdecimal() or int(shown) < struck.notes.get("then", 0):
        raise LabFailed(f"{struck.host} shows {shown!r}, before the hour was over: its clock has not gone on")


def clocks_right(site: Site, _struck: Struck) -> None:
    """Every host shows this machine's time again."""
    site.everywhere(scripts.clock_set(int(time.time())))


FAULTS = (
    Fault(
        "host killed",
        "the writer's host loses its power",
        Whom.WRITER,
        _killed,
        _on,
        goal=4.0,
        takes_clients=True,
        first=True,
    ),
    Fault(
        "host rebooted",
        "the host is told to reboot",
        Whom.ANY,
        _rebooted,
        _back,
        holds=0.0,
        takes_clients=True,
        first=True,
    ),
    Fault(
        "host cancelled",
        "the host is cancelled in the account, behind the program's back, and ordered anew by `up`",
        Whom.ANY,
        _cancelled,
        _ordered_anew,
        holds=5.0,
        takes_clients=True,
        first=True,
        heals=BACK,
    ),
    Fault(
        "host off for an hour",
        "the host loses its power; meanwhile all clocks move on by an hour",
        Whom.ANY,
        _off_for_an_hour,
        _on_an_hour_later,
        takes_clients=True,
        first=True,
        afterwards=clocks_right,
    ),
    Fault(
        "host paused",
        "the host stands still for 30 s, as when its hypervisor moves it",
        Whom.WRITER,
        _paused,
        _resumed,
        holds=30.0,
        takes_clients=True,
        first=True,
    ),
    Fault(
        "two hosts killed",
        "two hosts lose their power at once: no majority",
        Whom.TWO,
        _killed,
        _on,
        writes=Writes.MAY_STOP,
        takes_clients=True,
        first=True,
        heals=BACK,
    ),
    Fault(
        "all hosts shut down",
        "all hosts are shut down in order, at once",
        Whom.ALL,
        _stopped,
        _on,
        writes=Writes.MAY_STOP,
        takes_clients=True,
        first=True,
        heals=BACK,
    ),
    Fault(
        "all hosts killed",
        "all hosts lose their power at once",
        Whom.ALL,
        _killed,
        _on,
        writes=Writes.MAY_STOP,
        takes_clients=True,
        first=True,
        heals=BACK,
    ),
    Fault(
        "all hosts go down, mixed",
        "one host is shut down in order while the others lose their power",
        Whom.ALL,
        _mixed,
        _on,
        writes=Writes.MAY_STOP,
        takes_clients=True,
        first=True,
        heals=BACK,
    ),
)
