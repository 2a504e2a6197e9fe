"""The lab's one user name and API key: made once, kept in `credentials.json`, compared without leaking
time.
"""

from __future__ import annotations

import hmac
import json
import os
import secrets
from dataclasses import dataclass, field
from pathlib import Path

USERNAME = "lab"


@dataclass(frozen=True)
class Credentials:
    """A user name and its key. The key never shows in a representation."""

    username: str
    api_key: str = field(repr=False)

    def match(self, username: str, api_key: str) -> bool:
        """Whether these are ours."""
        same_name = hmac.compare_digest(username.encode(), self.username.encode())
        same_key = hmac.compare_digest(api_key.encode(), self.api_key.encode())
        return same_name and same_key


def load_or_create(path: Path) -> Credentials:
    """The credentials in `path`; made and written (mode 0600) if there are none.

    Raises ValueError with a remedy when the file is damaged.
    """
    if path.exists():
        return _load(path)
    made = Credentials(USERNAME, secrets.token_hex(32))
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump({"username": made.username, "api_key": made.api_key}, file)
    try:
        os.link(temporary, path)  # fails when another process was faster: then theirs are the lab's
    except FileExistsError:
        return _load(path)
    finally:
        temporary.unlink()
    return made


def _load(path: Path) -> Credentials:
    try:
        data = json.loads(path.read_text())
        return Credentials(str(data["username"]), str(data["api_key"]))
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"{path} does not hold a user name and an API key ({type(error).__name__}). "
            "Remove it to have new ones made."
        ) from None
