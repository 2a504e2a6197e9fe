"""The note that goes with maintenance: who took a node out, when, and why; a replacement goes on by it.

Owns: how it is written and read. Leaves to others: where it is kept (the store, by the node's program).
"""

from __future__ import annotations

import getpass
import json
import socket
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

Why = Literal["maintenance", "replaced", "upgraded"]


@dataclass(frozen=True)
class Note:
    """One.

    Attributes:
        why: what the node is taken out for.
        by, at: who, and when (UTC).
        server: of a host that is replaced: the id of the server that is to go. One with another id has come
            in its place.
        text: what the person said.
    """

    why: Why = "maintenance"
    by: str = ""
    at: str = ""
    server: str = ""
    text: str = ""

    def dumps(self) -> str:
        """As it is kept: one line, and no more than what is said."""
        return json.dumps({key: value for key, value in asdict(self).items() if value})

    @property
    def told(self) -> str:
        """For people."""
        who = " ".join(
            filter(None, (f"by {self.by}" if self.by else "", f"since {self.at}" if self.at else ""))
        )
        words = {"replaced": "its host is being replaced", "upgraded": "its host is being upgraded"}.get(
            self.why, ""
        )
        return ", ".join(filter(None, (who, words, self.text)))


def read(text: str) -> Note:
    """A note as it is kept; whatever else stands there is a person's text."""
    try:
        told = json.loads(text)
    except ValueError:
        told = None
    if not isinstance(told, Mapping) or told.get("why") not in ("maintenance", "replaced", "upgraded"):
        return Note(text=text)
    known = {key: str(told.get(key) or "") for key in ("by", "at", "server", "text")}
    return Note(why=told["why"], **known)


def maintained(told: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """The note on each node that is in maintenance, by its name, as the first node says that knows.

    Args:
        told: what nodes say of the cluster (`galera-node status --json`).
    """
    for status in told:
        members = status.get("members")
        if status.get("cluster") and isinstance(members, Mapping):
            return {
                str(name): str(about.get("note") or "")
                for name, about in members.items()
                if isinstance(about, Mapping) and about.get("maintenance")
            }
    return {}


def somebody() -> str:
    """Who runs this program, for notes and decisions."""
    try:
        user = getpass.getuser()
    except (OSError, KeyError):
        user = "somebody"
    return f"{user}@{socket.gethostname().partition('.')[0]}"


def now() -> str:
    """The time, for notes."""
    return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime())
