"""What clients with rights can do to a cluster: locks, size, definitions."""

from __future__ import annotations

import shlex

from chaos.fault import Fault, Struck, Whom, Writes
from chaos.faults.disks import MUCH
from chaos.site import Site
from harness.lab_cluster import IN_CONTAINER, LabFailed

LOCKED = 15
"""Seconds."""
HELD = "held"
"""What the session says once it has the lock."""
ROWS = 60_000
"""Of 500 bytes each, in one transaction: some 40 MB of write-set."""
LARGE = f"INSERT INTO chaos_much (t) SELECT REPEAT('x', 500) FROM seq_1_to_{ROWS}"


def _locked(site: Site, struck: Struck) -> None:
    """The lock ends with its session, also where Galera ends that to apply another node's write.

    So the session may fail; that it had the lock before is what it must have said.
    """
    text = f"LOCK TABLES chaos_row WRITE; SELECT '{HELD}'; SELECT SLEEP({LOCKED}); UNLOCK TABLES"
    words = f"{IN_CONTAINER} mariadb --unbuffered -NB app -e {shlex.quote(text)} || true"
    if HELD not in site.sh(struck.facts.writer, words).split():
        raise LabFailed(f"the table could not be locked on {struck.facts.writer}")


def _huge(site: Site, struck: Struck) -> None:
    site.sql(struck.facts.writer, f"{MUCH}; {LARGE}", 300)


def _definitions(site: Site, struck: Struck) -> None:
    """Each is done on all nodes in total order, the rows' table being written to."""
    for statement in (
        "ADD COLUMN later INT DEFAULT 4711",
        "ADD INDEX chaos_body (body)",
        "MODIFY body CHAR(20) NOT NULL",
        "DROP INDEX chaos_body",
        "MODIFY body VARCHAR(20) NOT NULL",
        "DROP COLUMN later",
    ):
        site.sql(struck.facts.writer, f"ALTER TABLE chaos_row {statement}", 120)


FAULTS = (
    Fault(
        "table locked",
        f"a session on the writer holds LOCK TABLES … WRITE on the clients' table for {LOCKED} s",
        Whom.NOBODY,
        _locked,
        holds=5.0,
        writes=Writes.MAY_STOP,
    ),
    Fault(
        "huge transaction",
        f"one transaction writes {ROWS} rows",
        Whom.NOBODY,
        _huge,
        holds=10.0,
        writes=Writes.MAY_STOP,
    ),
    Fault(
        "DDL under load",
        "the clients' table gets a column, an index, another type, and loses them again",
        Whom.NOBODY,
        _definitions,
        holds=5.0,
        brief=True,
    ),
)
