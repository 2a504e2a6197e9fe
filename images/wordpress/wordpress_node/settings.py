"""What a site is told from outside: environment and secret files.

Owns the refusal of wrong or missing values, before anybody is served. Leaves to others reading them again for
each request (wp-config.php) and what is done with them (apache2.conf).
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

PASSWORD = "application-database-password"
SALT = "application-salt"
SECRETS = "/run/secrets"
SHORTEST_SALT = 32
"""Characters."""


class SettingsError(Exception):
    """A setting is missing or wrong; the message says what, why and the remedy."""


def load(environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Variables for Apache and wp-config.php. Raises SettingsError, also when a secret is unreadable."""

    def text(key: str, default: str, pattern: str, like: str) -> str:
        found = environ.get(key, "").strip() or default
        if not found:
            raise SettingsError(f"{key} is missing. Set it, like {like}.")
        if re.fullmatch(pattern, found) is None:
            raise SettingsError(f"{key}={found!r} can't be used. Write it like {like}.")
        return found

    def number(key: str, default: int, least: int, most: int) -> str:
        found = environ.get(key, "").strip() or str(default)
        if not found.isdigit() or not least <= int(found) <= most:
            raise SettingsError(f"{key}={found!r} is not a whole number from {least} to {most}. Correct it.")
        return found

    name = r"[A-Za-z_][A-Za-z0-9_]{0,63}"
    variables = {
        "DATABASE_HOST": text("DATABASE_HOST", "", r"[A-Za-z0-9._-]+", "haproxy"),
        "DATABASE_PORT": number("DATABASE_PORT", 3306, 1, 65535),
        "DATABASE_NAME": text("DATABASE_NAME", "", name, "wordpress"),
        "DATABASE_USER": text("DATABASE_USER", "", name, "wordpress"),
        # Each is a process of some 40 MB.
        "WORKERS": number("WORKERS", 16, 2, 256),
        "SECRETS_DIR": environ.get("SECRETS_DIR", "") or SECRETS,
    }
    if environ.get("SITE_URL", "").strip():
        address = r"https?://[A-Za-z0-9.-]+(:\d+)?(/[A-Za-z0-9._~/-]*)?"
        variables["SITE_URL"] = text("SITE_URL", "", address, "https://blog.example.com").rstrip("/")
    if ca := environ.get("DATABASE_CA", "").strip():
        variables["DATABASE_CA"] = ca
        _certificate(Path(ca))
    folder = Path(variables["SECRETS_DIR"])
    _secret(folder / PASSWORD, 1)
    _secret(folder / SALT, SHORTEST_SALT)
    return variables


def _certificate(path: Path) -> None:
    try:
        found = path.read_text(encoding="ascii")
    except (OSError, ValueError) as error:
        raise SettingsError(
            f"DATABASE_CA: {path} is missing or not readable for user id {os.getuid()} ({error}). Attach "
            "that secret to the service, or leave DATABASE_CA out to come without TLS."
        ) from None
    if "-----BEGIN CERTIFICATE-----" not in found:
        raise SettingsError(f"DATABASE_CA: {path} holds no certificate (PEM). Correct it.")


def _secret(path: Path, shortest: int) -> None:
    try:
        found = path.read_text(encoding="ascii").strip()
    except (OSError, ValueError) as error:
        raise SettingsError(
            f"{path} is missing or not readable for user id {os.getuid()} ({error}). Attach the secret "
            f"{path.name!r} to the service, readable for that user (mode 0444 or its uid)."
        ) from None
    if len(found) < shortest or re.fullmatch(r"[!-~]+", found) is None:
        raise SettingsError(
            f"{path} can't be used. Put one line of printable ASCII without blanks into it, at least "
            f"{shortest} characters."
        )
