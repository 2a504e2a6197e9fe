"""The cluster's seats and its majority, through its clients' side. Leaves to `formation` which seats change.

What needs no rights is asked of this container's own member over the loopback (`LocalMember`); what only root
may do goes through `ctl`.
"""

from __future__ import annotations

import base64
import http.client
import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .ctl import ApiError, Etcdctl
from .formation import Member

TIMEOUT = 5.0  # seconds for one question
ELECTIONS = 20  # answers that the leader has just changed, half a second apart, until that is an error
REFUSED = ("etcdserver: user name is empty", "etcdserver: permission denied")
"""A store with users says so to whoever asks without being one; by then it has found its majority. The second
is its word where users were turned on while it looked for that."""


class LocalMember:
    """The member of this container over the loopback, without TLS and as nobody."""

    def __init__(self, port: int, host: str = "127.0.0.1", timeout: float = TIMEOUT) -> None:
        self._host, self._port, self._timeout = host, port, timeout

    def _post(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        connection = http.client.HTTPConnection(self._host, self._port, timeout=self._timeout)
        try:
            connection.request("POST", path, json.dumps(body))
            response = connection.getresponse()
            text = response.read().decode(errors="replace")
            if response.status != 200:
                raise ApiError(f"{path}: {text.strip()}")
            answer: dict[str, Any] = json.loads(text)
            return answer
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise ApiError(f"{path} at {self._host}:{self._port}: {error}") from error
        finally:
            connection.close()

    def serves(self, timeout: float = 10.0) -> bool:
        """Whether the member answers at all. One that starts without a majority only takes connections."""
        connection = http.client.HTTPConnection(self._host, self._port, timeout=timeout)
        try:
            connection.request("GET", "/version")
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def has_majority(self) -> bool:
        """Whether a linearizable read succeeds, which needs a majority. Raises ApiError if nobody answers."""
        tries = 0
        while True:
            tries += 1
            try:
                self._post("/v3/kv/range", {"key": base64.b64encode(b"majority").decode()})
                return True
            except ApiError as error:
                if any(words in str(error) for words in REFUSED):
                    return True
                # A member's own words. That it has not answered in time says nothing: it may only be slow.
                if "etcdserver: request timed out" in str(error) or "etcdserver: no leader" in str(error):
                    return False
                # An election has just ended this question, or goes on.
                if "etcdserver: leader changed" not in str(error) or tries == ELECTIONS:
                    raise
            time.sleep(0.5)

    def has_users(self) -> bool:
        """Whether clients must be users. Raises ApiError, also while there is no majority."""
        try:
            self._post("/v3/auth/authenticate", {"name": "", "password": ""})
        except ApiError as error:
            if "authentication is not enabled" in str(error):
                return False
            if "authentication failed" not in str(error):
                raise
        return True

    def accepts(self, user: str, password: str) -> bool:
        """Whether a store with users knows this one by this password. Raises ApiError."""
        try:
            self._post("/v3/auth/authenticate", {"name": user, "password": password})
        except ApiError as error:
            if "authentication failed" not in str(error):
                raise
            return False
        return True

    def last_entry(self) -> int:
        """The number of the last entry in the member's log. Raises ApiError."""
        return int(self._post("/v3/maintenance/status", {}).get("raftIndex", 0))

    def members(self) -> list[Member]:
        """The cluster's seats. Raises ApiError."""
        return _members(self._post("/v3/cluster/member/list", {}))


class ClusterApi:
    """The cluster's seats, and one record, as root; any live member answers at `urls`."""

    def __init__(self, urls: Sequence[str], secrets: Path, timeout: float = TIMEOUT) -> None:
        self.root = Etcdctl(urls, secrets, timeout)

    def put(self, key: str, value: str) -> None:
        """Writes; returns once the member has done it. Raises ApiError."""
        self.root.tell("put", key, value)

    def members(self) -> list[Member]:
        """The cluster's seats. Raises ApiError."""
        return _members(self.root.ask("member", "list"))

    def remove(self, member_id: int) -> list[Member]:
        """Takes a seat away; the seats that are left. Raises ApiError, e.g. when the quorum would be lost."""
        return _members(self.root.ask("member", "remove", f"{member_id:x}"))

    def add(self, name: str, peer_url: str) -> list[Member]:
        """Adds a seat for the member at `peer_url`; all seats. Raises ApiError."""
        return _members(self.root.ask("member", "add", name, f"--peer-urls={peer_url}"))


def _members(answer: Mapping[str, Any]) -> list[Member]:
    return [
        Member(
            id=int(item["ID"]),
            name=item.get("name", ""),
            peer_urls=tuple(item.get("peerURLs", ())),
            client_urls=tuple(item.get("clientURLs", ())),
        )
        for item in answer.get("members", [])
    ]
