"""The service `db` in Consul's catalog: this node, for whoever looks for the database by name.

Owns: registering it at the host's own agent, its check, its tag. Leaves to others: whether clients may be
sent here, and who takes the writes (`endpoints`, which is asked here as load balancers ask it).

`db.service.consul` names the hosts whose node is Synced, `writer.db.service.consul` the one that takes the
writes. No address is given: the agent knows its host's. The check is passed by this program alone, and fails
by itself once nothing is heard of it.
"""

from __future__ import annotations

import json
import threading
import time
from typing import Any, Protocol

from .consul import ConsulClient
from .store import StoreError
from .words import Topics

SERVES = 200  # as `endpoints` says it
NAME = "db"
WRITER = "writer"  # the tag of the node that takes the writes
EVERY = 1.0  # seconds between looks
AGAIN = 4.0  # seconds after which the agent hears what it knows already
TTL = 15  # seconds without a word after which the check fails
GONE = "10m"  # after so long without a node the entry goes, and comes back with the node


class Answers(Protocol):
    """What load balancers are told (`endpoints.Endpoints`)."""

    def answer(self, path: str) -> int:
        """The status code for `/writer` or `/reader`."""


class Announcement:
    """Keeps the entry of this node up to date, in a thread of its own. `port`: where clients reach it."""

    def __init__(self, client: ConsulClient, endpoints: Answers, port: int) -> None:
        self._client, self._endpoints, self._port = client, endpoints, port
        self._topics = Topics()
        self._registered: list[str] | None = None  # with these tags; None: not, as far as is known
        self._told, self._told_at = False, float("-inf")

    def start(self) -> None:
        """Announce from now on."""
        threading.Thread(target=self._run, name="announcement", daemon=True).start()

    def _run(self) -> None:
        while True:
            try:
                self.look()
                self._topics.end("announcement")
            except StoreError as error:
                self._topics.say("announcement", f"{NAME} is not announced: {error}")
            except Exception as error:  # of no database may the end be that nobody finds it
                self._topics.say("announcement", f"unexpected {type(error).__name__}: {error}")
            time.sleep(EVERY)

    def look(self) -> None:
        """Says what is new, and now and then what is not. Raises StoreError."""
        serves = self._endpoints.answer("/reader") == SERVES
        tags = [WRITER] if self._endpoints.answer("/writer") == SERVES else []
        if self._registered != tags:
            self._register(tags, serves)
        elif serves != self._told or time.monotonic() - self._told_at >= AGAIN:
            self._update(serves)

    def _register(self, tags: list[str], serves: bool) -> None:
        self._registered = None
        check = {
            "CheckID": NAME,
            "Name": "Galera node serves clients",
            "TTL": f"{TTL}s",
            "Status": _status(serves),
            "DeregisterCriticalServiceAfter": GONE,
        }
        entry = {"ID": NAME, "Name": NAME, "Port": self._port, "Tags": tags, "Check": check}
        self._put("/v1/agent/service/register?replace-existing-checks=true", entry)
        self._registered = tags
        self._update(serves)

    def _update(self, serves: bool) -> None:
        said = "Synced" if serves else "no clients are to be sent here"
        try:
            self._put(f"/v1/agent/check/update/{NAME}", {"Status": _status(serves), "Output": said})
        except StoreError:
            # The agent may have lost it, or taken it away; the next look registers it again.
            self._registered = None
            raise
        self._told, self._told_at = serves, time.monotonic()

    def _put(self, path: str, body: dict[str, Any]) -> None:
        status, text = self._client.ask("PUT", path, body)
        if status != 200:
            raise self._client.refused(path, text or json.dumps(status))


def _status(serves: bool) -> str:
    return "passing" if serves else "critical"
