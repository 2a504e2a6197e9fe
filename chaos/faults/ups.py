"""A run of the program that is killed. In a pair it is killed in the middle of the other fault."""

from __future__ import annotations

import subprocess
import time

from chaos.fault import Fault, Struck, Whom
from chaos.site import Site
from harness.lab_cluster import LabFailed
from harness.servers import kill_marked

NAME = "up killed"
MARK = "SWARM_GALERA_CHAOS"
"""In the environment of a run and of all that it starts."""
EARLIEST, LATEST = 3.0, 40.0
"""Seconds after its start."""
TRIES = 3
SHARE = 0.8
"""Of the time that the run before took to its end: the next one is killed before that."""


def _killed(site: Site, struck: Struck) -> None:
    """A run that is done sooner is followed by another one. Raises LabFailed if none could be killed."""
    latest = LATEST
    for _ in range(TRIES):
        took = _ended_or_killed(site, struck, struck.draw.uniform(min(EARLIEST, latest), latest))
        if took is None:
            return
        latest = min(latest, took * SHARE)
    raise LabFailed(f"none of {TRIES} runs of `up` lasted until it was to be killed")


def _ended_or_killed(site: Site, struck: Struck, after: float) -> float | None:
    """None if a run was killed after so many seconds; else those that it took.

    With something to do on every host: another text in /etc/motd.d.
    """
    site.pulumi("config", "set", "--path", "swarm-galera:hosts.motd", f"run {struck.draw.randrange(10**9)}")
    mark = f"{site.cluster.lab}-{struck.draw.randrange(10**9)}"
    process, begin = site.start(site.cluster.operations("up", "--yes"), {MARK: mark}), time.monotonic()
    try:
        said, _ = process.communicate(timeout=after)
    except subprocess.TimeoutExpired:
        kill_marked(mark, MARK)  # Pulumi and its plugins are in sessions of their own
        said, _ = process.communicate()
        site.note(f"{said}\n`up` was killed after {after:.1f} s")
        return None
    site.note(f"{said}\n`up` had ended with {process.returncode} before it was to be killed")
    if process.returncode not in (0, 1):
        raise LabFailed(f"`up` ended with {process.returncode} by itself")
    return time.monotonic() - begin


FAULTS = (
    Fault(
        NAME,
        "a run of `up` with a change for every host is killed after 3 to 40 s, and repeated at the end",
        Whom.NOBODY,
        _killed,
        holds=5.0,
        mended_by_up=True,
    ),
)
