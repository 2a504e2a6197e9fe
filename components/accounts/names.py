"""What databases, users and their hosts may be called here; each refusal says what, why and the remedy.

Owns: checks of one value. No Pulumi. Leaves to others: what is in the way at the database itself.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from typing import Any

from settings.database import names
from settings.values import Refused

EVERYWHERE = "%"


def host(value: str) -> str:
    """From where a user may come: anywhere, an IPv4 address, or a network of them. Nodes resolve no names."""
    parts, (_, slash, mask) = value.split("."), value.partition("/")
    try:
        if parts[-1] == EVERYWHERE:
            ipaddress.IPv4Address(".".join([*parts[:-1], *["0"] * max(5 - len(parts), 1)]))
        elif slash:
            ipaddress.IPv4Address(mask)
            ipaddress.IPv4Network(value)
        else:
            ipaddress.IPv4Address(value)
    except ValueError:
        raise Refused(
            f"{value!r} is no place that a user can come from, as the nodes compare addresses only",
            "give %, an address like 10.20.0.7, or a network like 10.20.0.% or 10.20.0.0/255.255.255.0",
        ) from None
    return value


def character_set(value: str) -> str:
    """A character set's or a collation's name."""
    if not re.fullmatch(r"[a-z0-9_]{1,64}", value):
        raise Refused(f"{value!r} is no name of a character set", "give one like utf8mb4")
    return value


def table(value: str) -> str:
    """A table, or all."""
    if not re.fullmatch(r"\*|[A-Za-z0-9_$]{1,64}", value):
        raise Refused(f"{value!r} can't name a table", "use up to 64 letters, digits, _ and $, or * for all")
    return value


def reason(check: Callable[[str], Any], value: Any) -> str | None:
    """Why a value can't be used; None if it can."""
    try:
        if not isinstance(value, str):
            raise Refused(f"{value!r} is no text", "put it into quotes")
        check(value)
    except Refused as refused:
        return str(refused)
    return None


def name_of_database(value: str) -> str:
    """As the cluster's own database is named: none of the server's own."""
    return names.database(value)


def name_of_user(value: str) -> str:
    """As the cluster's own users are named: none of the server's own."""
    return names.database(value)
