"""The stack's own accounts in data that was restored: as the stack has them now. Pure.

A backup has the passwords of its day, and perhaps not all accounts. Those of consumers are left alone: they
come with their programs' next run.
"""

from __future__ import annotations

from collections.abc import Iterable

from .. import accounts
from ..settings import Settings


def as_now(settings: Settings, stored: Iterable[tuple[str, ...]]) -> list[accounts.Statement]:
    """Statements by which the accounts are there, with the passwords of the secrets. `stored`: `STORED`."""
    rows = list(stored)
    known = {(user, host) for user, host, _ in rows}
    made: list[accounts.Statement] = []
    local, *_ = accounts.with_passwords(settings)
    if (local.user, local.host) not in known:
        made.append(local.statement("CREATE USER"))
        made.append(("GRANT ALL PRIVILEGES ON *.* TO %s@%s WITH GRANT OPTION", (local.user, local.host)))
    for statement, parameters in accounts.accounts(settings):
        if statement.startswith("CREATE DATABASE"):
            made.append((statement.replace("CREATE DATABASE", "CREATE DATABASE IF NOT EXISTS", 1), ()))
        elif tuple(parameters[:2]) not in known and not statement.startswith("ALTER USER"):
            made.append((statement, parameters))
    made += [account.statement("ALTER USER") for account in accounts.outdated(settings, rows)]
    return [*made, *accounts.application(settings)]
