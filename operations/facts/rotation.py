"""What is asked of what is rotated, and how the answers read: the store's certificates, passwords' ages.

Owned here: the script and its parsing. Left to others: what must hold (checks/rotation.py), when it is asked
(cluster.py).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from cryptography import x509

from components import certificates
from components.host_scripts.shell import assign, body
from operations.remote_hosts import SCRIPTS

# Of a password's stored form nothing leaves the node but how many there are.
AGES = r"""
SELECT User, COALESCE(JSON_VALUE(Priv, '$.password_last_changed'), 0),
  ROUND((LENGTH(Priv) - LENGTH(REGEXP_REPLACE(Priv, '[*][0-9A-F]{40}', ''))) / 41)
FROM mysql.global_priv WHERE Host IN ('localhost', '%') AND User IN ('root', 'monitor', 'DATABASE');
""".strip()
_LOOK = body("facts_rotation", SCRIPTS)


def look(database: str) -> str:
    """Shell text for a manager, behind that of the host's own facts. Args: database: the cluster's first."""
    return f"{assign(ages=AGES.replace('DATABASE', database))}\n{_LOOK}"


@dataclass(frozen=True)
class Password:
    """An account's: when it was last changed, and how many let it in; None for a time that is not known."""

    changed: dt.datetime | None
    counting: int


@dataclass(frozen=True)
class RotationFacts:
    """What is rotated, as a host has it; empty values are what could not be found out.

    Attributes:
        ends: when the first of the store's certificates is no longer good.
        authorities: how many the store's member trusts.
        passwords: by user.
    """

    ends: dt.datetime | None = None
    authorities: int = 0
    passwords: Mapping[str, Password] = field(default_factory=dict)


def parse(found: Mapping[str, Sequence[str]]) -> RotationFacts:
    """Facts from the lines, by their names."""
    shown = "".join(f"{line}\n" for line in found.get("shown", ()))
    try:
        known = [x509.load_pem_x509_certificate(each.encode()) for each in certificates.each(shown)]
    except ValueError:  # cut off, or something else
        known = []
    rows = [row for line in found.get("age", ()) if len(row := line.split("\t")) == 3 and row[2].isdigit()]
    return RotationFacts(
        ends=min((each.not_valid_after_utc for each in known), default=None),
        authorities=len({each.subject for each in known if each.subject == each.issuer}),
        passwords={user: Password(_when(changed), int(many)) for user, changed, many in rows if int(many)},
    )


def _when(seconds: str) -> dt.datetime | None:
    return dt.datetime.fromtimestamp(int(seconds), dt.UTC) if seconds.isdigit() and int(seconds) else None
