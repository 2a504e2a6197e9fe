"""Accounts and databases as statements, and what the database says of them. No Pulumi.

Statements are replicated as text, and stay in files of all nodes: of a password they have the stored form.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from components.accounts.quoting import account, name, text

NATIVE = "mysql_native_password"
"""How the accounts that a cluster is made with show a password, too (docs/how-to/moving-in.md, "Clients")."""
NO_TLS = 0
"""Of `ssl_type`: a connection may be without."""


@dataclass(frozen=True)
class Known:
    """An account as it is. hashes: passwords' stored forms, each of which lets it in; other ways by name."""

    hashes: tuple[str, ...]
    require_tls: bool
    locked: bool


def account_question(user: str, host: str) -> str:
    """Asks for an account; `account_known` reads the answer."""
    return f"SELECT Priv FROM mysql.global_priv WHERE User = {text(user)} AND Host = {text(host)};"


def account_known(answer: Sequence[tuple[str, ...]]) -> Known | None:
    """None if there is no such account."""
    if not answer:
        return None
    stored: dict[str, Any] = json.loads(answer[0][0])
    # With several ways in, an empty one stands for what is beside the list.
    ways = [way or stored for way in stored.get("auth_or", [stored])]
    return Known(
        tuple(
            str(way.get("authentication_string", ""))
            if way.get("plugin", NATIVE) == NATIVE
            else f"by {way['plugin']}"
            for way in ways
        ),
        stored.get("ssl_type", NO_TLS) > NO_TLS,
        bool(stored.get("account_locked")),
    )


def account_made(user: str, host: str, wanted: Known) -> list[str]:
    """An account is there, and lets itself in with each of these passwords and in no other way."""
    who = account(user, host)
    ways = " OR ".join(f"{NATIVE} USING {text(stored)}" for stored in wanted.hashes)
    tls, lock = "SSL" if wanted.require_tls else "NONE", "LOCK" if wanted.locked else "UNLOCK"
    words = f"IDENTIFIED VIA {ways} REQUIRE {tls} ACCOUNT {lock};"
    return [f"CREATE USER IF NOT EXISTS {who} {words}", f"ALTER USER {who} {words}"]


def account_gone(user: str, host: str) -> list[str]:
    """There is no such account."""
    return [f"DROP USER IF EXISTS {account(user, host)};"]


def definers_question(user: str, host: str) -> str:
    """Asks for what runs as this account, and could not without it."""
    who = text(f"{user}@{host}")
    return "\n".join(
        f"SELECT CONCAT('{kind} ', {column}) FROM information_schema.{table} WHERE DEFINER = {who};"
        for kind, table, column in (
            ("view", "VIEWS", "TABLE_SCHEMA, '.', TABLE_NAME"),
            ("trigger", "TRIGGERS", "TRIGGER_SCHEMA, '.', TRIGGER_NAME"),
            ("routine", "ROUTINES", "ROUTINE_SCHEMA, '.', ROUTINE_NAME"),
            ("event", "EVENTS", "EVENT_SCHEMA, '.', EVENT_NAME"),
        )
    )


@dataclass(frozen=True)
class KnownDatabase:
    """A database as it is. comment: says who has made it."""

    character_set: str
    collation: str
    comment: str


def database_question(database: str) -> str:
    """Asks for a database; `database_known` reads the answer."""
    return (
        "SELECT DEFAULT_CHARACTER_SET_NAME, DEFAULT_COLLATION_NAME, SCHEMA_COMMENT FROM "
        f"information_schema.SCHEMATA WHERE SCHEMA_NAME = {text(database)};"
    )


def database_known(answer: Sequence[tuple[str, ...]]) -> KnownDatabase | None:
    """None if there is no such database."""
    return KnownDatabase(*answer[0]) if answer else None


def database_made(database: str, character_set: str | None, collation: str | None, comment: str) -> list[str]:
    """A new, empty database."""
    return [
        f"CREATE DATABASE IF NOT EXISTS {name(database)}{_characters(character_set, collation)} "
        f"COMMENT {text(comment)};"
    ]


def database_changed(database: str, character_set: str | None, collation: str | None) -> list[str]:
    """What further tables have where they say nothing of it; those that are there stay as they are."""
    words = _characters(character_set, collation)
    return [f"ALTER DATABASE {name(database)}{words};"] if words else []


def _characters(character_set: str | None, collation: str | None) -> str:
    return (f" CHARACTER SET {character_set}" if character_set else "") + (
        f" COLLATE {collation}" if collation else ""
    )


def database_gone(database: str) -> list[str]:
    """There is no such database, and nothing that was in it."""
    return [f"DROP DATABASE IF EXISTS {name(database)};"]
