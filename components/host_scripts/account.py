"""A further database and its account in a cluster that exists, made by root on a node.

Owns: the statements, that they may be repeated, whom they refuse to touch.
Leaves to others: the accounts that a cluster is made with, whose passwords its nodes see to (images/galera).
"""

from __future__ import annotations

import hashlib

from components.host_scripts.shell import assign, body

PATIENCE = 120
"""Seconds for which a node that does not answer is asked again."""


def made(service: str, database: str, user: str, *, former: bool = False) -> str:
    """Shell text for a host with a node: `user` is there, with all rights on `database`, and on nothing else.

    Where the database exists, its content stays; where the account does, it gets the password. One that may
    do something on all databases is refused. Prints the database's name.

    Standard input: `stored` of the password, and with `former`, in the second line, of the one that counts as
    well.

    Args:
        service: of the cluster.
    """
    facts = assign(service=service, database=database, user=user, patience=PATIENCE)
    return f"{facts}\n{_ASKED}\n{_WAYS if former else _WAY}\n{_MADE}"


def stored(password: str) -> str:
    """MariaDB's stored form of a password (mysql_native_password).

    Statements are replicated as text and stay in galera.cache: they must not hold the password itself.
    """
    once = hashlib.sha1(password.encode()).digest()  # noqa: S324 - the server compares with just this
    return "*" + hashlib.sha1(once).hexdigest().upper()  # noqa: S324


_ASKED = body("account")
_WAY = body("account_way")
_WAYS = body("account_ways")
_MADE = body("account_made")
