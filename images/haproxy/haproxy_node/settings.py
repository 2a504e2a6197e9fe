"""What the load balancer is told from outside: environment and a secret file.

Owns the reading and the refusal of wrong values. Leaves to others what is done with them (haproxy.cfg).
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

PASSWORD = "haproxy-stats-password"
USER = "admin"
PORTS = {"WRITER_PORT": 6446, "READER_PORT": 6447, "STATS_PORT": 8404}
"""Default by variable; the first two are MySQL Router's."""
SERVERS = 16
"""Addresses that may be known at a time, by default: of the largest cluster while all nodes change theirs."""


class SettingsError(Exception):
    """A setting is missing or wrong; the message says what, why and the remedy."""


@dataclass(frozen=True)
class Settings:
    """One load balancer's settings.

    Attributes:
        variables: what haproxy.cfg has in `${}`.
        user, password: of the statistics page.
    """

    variables: Mapping[str, str]
    password: str = field(repr=False)
    user: str = USER


def load(environ: Mapping[str, str] = os.environ) -> Settings:
    """Settings from the environment; raises SettingsError when one is wrong or the secret is unreadable."""

    def number(key: str, default: int, least: int, most: int) -> str:
        text = environ.get(key, "").strip() or str(default)
        if not text.isdigit() or not least <= int(text) <= most:
            raise SettingsError(f"{key}={text!r} is not a whole number from {least} to {most}. Correct it.")
        return text

    def text(key: str, default: str, pattern: str, like: str) -> str:
        found = environ.get(key, "").strip() or default
        if re.fullmatch(pattern, found) is None:
            raise SettingsError(f"{key}={found!r} can't be used. Write it like {like}.")
        return found

    # Not below 1024: the process is nobody special.
    ports = {key: number(key, default, 1024, 65535) for key, default in PORTS.items()}
    if len(set(ports.values())) != len(ports):
        told = ", ".join(f"{key}={value}" for key, value in ports.items())
        raise SettingsError(f"{told}: two are the same. Give each a port of its own.")
    variables = {
        **ports,
        "SERVERS": number("SERVERS", SERVERS, 1, 64),
        "PEERS": text("PEERS", "tasks.galera", r"[A-Za-z0-9._-]+", "tasks.galera"),
        "RESOLVER": text("RESOLVER", "127.0.0.11:53", r"[0-9.]+:\d+", "127.0.0.11:53"),
        "NODE_NAME": text("NODE_NAME", "haproxy", r"[A-Za-z0-9._-]+", "galera-1"),
    }
    return Settings(variables, _password(Path(environ.get("SECRETS_DIR", "/run/secrets")) / PASSWORD))


def _password(path: Path) -> str:
    try:
        found = path.read_text(encoding="ascii").strip()
    except (OSError, ValueError) as error:
        raise SettingsError(
            f"{path} is missing or not readable for user id {os.getuid()} ({error}). Attach the secret "
            f"{path.name!r} to the service, readable for that user (mode 0444 or its uid)."
        ) from None
    if re.fullmatch(r"[!-&(-~]+", found) is None:
        raise SettingsError(
            f"{path} holds no password that can be used. Put one line of printable ASCII without blanks and "
            "single quotes into it."
        )
    return found
