"""When a drill is due, and with which node it is compared. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from ..archive import records
from ..store import Entry, Facts, parse
from . import report
from .tables import TablesError

AGAIN = timedelta(hours=1)
"""After a drill that came to no comparison."""


def due(entries: Mapping[str, Entry], every: timedelta, now: datetime) -> bool:
    """Whether a drill is to be made: none is known, the last one is old, or it failed a while ago."""
    facts = parse(entries)
    if facts.cluster is None or facts.cluster.phase != "formed" or not records.known(entries).bases:
        return False
    last = report.known(entries)["last"]
    if last is None:
        return True
    try:
        age = now - datetime.fromisoformat(last["when"])
    except ValueError:
        return True
    return age >= (every if not last["failed"] else min(every, AGAIN))


def node_of(facts: Facts) -> tuple[str, str]:
    """Name and address of a node that serves and does not take the writes, if there is one.

    Raises TablesError.
    """
    serves = sorted(name for name, presence in facts.present.items() if presence.state == "synced")
    if not serves:
        raise TablesError("no node is Synced: there is nothing to compare with")
    name = next((each for each in serves if each != facts.writer), serves[0])
    return name, facts.present[name].address
