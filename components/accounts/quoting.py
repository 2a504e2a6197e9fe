"""Texts and names in SQL, and a client's answer as rows. No Pulumi."""

from __future__ import annotations

import re

_WRITTEN = {"n": "\n", "t": "\t", "0": "\0"}


def text(value: str) -> str:
    """A text in quotes."""
    return "'" + value.replace("\\", "\\\\").replace("'", "''") + "'"


def name(value: str) -> str:
    """A name in backticks."""
    return "`" + value.replace("`", "``") + "`"


def pattern(database: str) -> str:
    """A database in a grant, where _ and % stand for any: `my_app` would mean `my1app`, too."""
    return re.sub(r"([_%])", r"\\\1", database)


def matched_alone(written: str) -> str | None:
    """The database that a pattern names; None if it may be several."""
    plain = re.sub(r"\\([_%])", r"\1", written)
    return plain if pattern(plain) == written else None


def account(user: str, host: str) -> str:
    """A user with the place that it comes from."""
    return f"{text(user)}@{text(host)}"


def rows(answer: str) -> list[tuple[str, ...]]:
    """What `mariadb -NB` prints, which writes a tab, a line's end and a backslash as two characters."""
    return [
        tuple(
            re.sub(r"\\(.)", lambda found: _WRITTEN.get(found[1], found[1]), value)
            for value in line.split("\t")
        )
        for line in answer.splitlines()
    ]
