"""Names and passwords in the database: what the server or Galera would refuse, and what is theirs already.

Owns: checks of one value each. Leaves to others: which setting takes which (model.py).
"""

from __future__ import annotations

import re

from pydantic import SecretStr

from settings.values import Refused

SYSTEM_DATABASES = frozenset({"mysql", "information_schema", "performance_schema", "sys"})
SYSTEM_USERS = frozenset({"root", "mysql", "sst", "monitor", "mariadb.sys", "galera"})
SHORTEST_PASSWORD, LONGEST_PASSWORD = 16, 80
"""Characters; those that are drawn have 32."""


def cluster_name(value: str) -> str:
    """Up to 32 characters: Galera refuses longer names, and the store's keys have it in them."""
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,32}", value):
        raise Refused(f"{value!r} is no cluster name Galera takes", "use up to 32 letters, digits, _ and -")
    return value


def database(value: str) -> str:
    """The database's name, which is its user's too, so neither may be one of the server's own."""
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,63}", value):
        raise Refused(
            f"{value!r} can't name a database and its user",
            "use up to 64 letters, digits and _, no digit first",
        )
    if value.lower() in SYSTEM_DATABASES | SYSTEM_USERS:
        raise Refused(f"{value!r} belongs to the server itself", "choose another name, like app")
    return value


def password(value: SecretStr) -> SecretStr:
    """A password; what is wrong with it is said without it."""
    text = value.get_secret_value()
    if not SHORTEST_PASSWORD <= len(text) <= LONGEST_PASSWORD:
        raise Refused(
            f"a password of {len(text)} characters is refused: short ones can be guessed",
            f"give {SHORTEST_PASSWORD} to {LONGEST_PASSWORD}, or leave it out to have one drawn",
        )
    if not re.fullmatch(r"[!-~]+", text):
        raise Refused(
            "the password has a blank, a line end or a character outside of ASCII, which clients send in "
            "different ways",
            "use letters, digits and signs of ASCII",
        )
    return value
