"""What mariadbd asks of its program for state transfers, on the command line, and hears from it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from .framing import TransferError

SPEAKS_TLS = "-tls"
"""Ends the token of a joiner that does; a donor of the version before takes it for a part of the token.

mariadbd hands on letters, digits and `-_.:/[]` only.
"""


@dataclass(frozen=True)
class Options:
    """What mariadbd gives on the command line.

    `domain`: a donor's wsrep_gtid_domain_id. `binlog`: the binary logs without their numbers, empty where
    mariadbd writes none; `binlog_index`: the file that lists them, empty for mariadbd's own name of it.
    """

    role: str
    address: str
    data_dir: Path
    defaults: Path
    gtid: str
    bypass: bool
    parent: int
    binlog: str = ""
    binlog_index: str = ""
    domain: str = ""

    @property
    def run_dir(self) -> Path:
        return self.defaults.parent


def parse(argv: Sequence[str]) -> Options:
    """Reads mariadbd's arguments; what this program does not need is ignored."""
    values: dict[str, str] = {}
    bypass = False
    words = iter(argv)
    for word in words:
        if word == "--bypass":
            bypass = True
        elif word in ("--mysqld-args", "--"):
            break
        elif word.startswith("--"):
            key, has_value, value = word[2:].partition("=")
            values[key] = value if has_value else next(words, "")
    missing = [key for key in ("role", "address", "datadir", "defaults-file") if not values.get(key)]
    if missing:
        raise TransferError(
            f"mariadbd did not say {', '.join(missing)}; this version is not known to this program"
        )
    parent = values.get("parent", "")
    return Options(
        role=values["role"],
        address=values["address"],
        data_dir=Path(values["datadir"]),
        defaults=Path(values["defaults-file"]),
        gtid=values.get("gtid", ""),
        bypass=bypass,
        parent=int(parent) if parent.isdigit() else os.getppid(),
        binlog=values.get("binlog", ""),
        binlog_index=values.get("binlog-index", ""),
        domain=values.get("gtid-domain-id", ""),
    )


def say(line: str) -> None:
    """One line for mariadbd."""
    print(line, flush=True)
