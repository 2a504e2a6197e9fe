"""Consul as the node's store, through its host's own agent, with the standard library alone.

Owns Consul's words: sessions, transactions, tokens. Leaves to others: the connection (`wire`), what is
announced in Consul's catalog (`announcement`).

- A session without checks, which nothing but its own time ends, and which takes its keys with it. Consul ends
  a session after twice its TTL, so half of what is wanted is asked for. A thread of its own renews it, as
  with etcd.
- A key that is bound to a session is locked by it. Whoever writes it does so anew, lock and all: an
  earlier session of this node may still hold it.
- Consul hides from a token what it may not read, so that a wrong one would see an empty store. All is read
  together with a check that needs the right to write, which says so.
"""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from .store import ABSENT, Entry, Put, SessionLost, StoreError
from .wire import Wire

TTL_FACTOR = 2  # Consul waits that many TTLs (structs.SessionTTLMultiplier)
SHORTEST = 10  # seconds: Consul takes no shorter TTL
RIGHTS = ".rights"  # a key that is never there
NOT_FOUND = "ACL not found"  # of the token that is shown
DENIED = "Permission denied"


def gateway(routes: str) -> str | None:
    """The default gateway in the text of /proc/net/route: the container's host. None if there is none."""
    for line in routes.splitlines()[1:]:
        fields = line.split()
        if len(fields) > 7 and fields[1] == fields[7] == "00000000" and fields[2] != "00000000":
            return ".".join(str(byte) for byte in reversed(bytes.fromhex(fields[2])))
    return None


class ConsulClient:
    """Questions to one agent, with one token."""

    def __init__(self, wire: Wire, token: str) -> None:
        self._wire, self._token = wire, token
        self.where = wire.where

    def another(self) -> ConsulClient:
        """A second connection to the same agent, for another thread."""
        return ConsulClient(self._wire.another(), self._token)

    def ask(self, method: str, path: str, body: Any = None) -> tuple[int, str]:
        """Status and text of the answer. Raises StoreError for what no question can help."""
        text = None if body is None else json.dumps(body)
        status, answer = self._wire.request(method, path, text, {"X-Consul-Token": self._token})
        if status == 403 and NOT_FOUND in answer:
            self._wire.drop()
            raise StoreError(
                f"{self.where} does not know the token of this node's secret store-token. In the first "
                "seconds of a new Consul that passes; later: `pulumi up` gives both the same"
            )
        if DENIED in answer and status in (403, 409):
            what = path.partition("?")[0]
            raise StoreError(
                f"{self.where} denies this node's token what it needs ({what}): {answer.strip()[:200]}. "
                "Remedy: wait five minutes, or restart the server of Consul that leads: whoever leads sets "
                "the policy right"
            )
        if status >= 500:
            # Also that nobody leads: the agent itself is well.
            self._wire.drop()
            raise StoreError(f"{self.where} cannot answer {path.partition('?')[0]}: {answer.strip()[:200]}")
        return status, answer

    def refused(self, path: str, answer: str) -> StoreError:
        """What to raise for an answer that is none of those expected."""
        self._wire.drop()
        return StoreError(f"{self.where} refuses {path.partition('?')[0]}: {answer.strip()[:200]!r}")


class ConsulStore:
    """Implements `store.Store` for one cluster's prefix."""

    def __init__(self, wire: Wire, cluster: str, token: str) -> None:
        self._client, self._prefix = ConsulClient(wire, token), f"swarm-galera/{cluster}/"
        self._session: str | None = None
        self._session_closed = threading.Event()

    @property
    def client(self) -> ConsulClient:
        """Another connection of the same node's, for what is no record."""
        return self._client.another()

    def _transaction(self, path: str, operations: list[dict[str, Any]]) -> tuple[int, dict[str, Any]]:
        status, text = self._client.ask("PUT", path, [{"KV": operation} for operation in operations])
        try:
            answer = json.loads(text)
        except ValueError:
            answer = None
        if status not in (200, 409) or not isinstance(answer, dict):
            raise self._client.refused(path, text)
        return status, answer

    def read(self) -> dict[str, Entry]:
        operations = [
            {"Verb": "check-not-exists", "Key": self._prefix + RIGHTS},
            {"Verb": "get-tree", "Key": self._prefix},
        ]
        path = "/v1/txn?consistent"
        status, answer = self._transaction(path, operations)
        if status != 200:
            raise self._client.refused(path, json.dumps(answer.get("Errors")))
        try:
            items = [result["KV"] for result in answer.get("Results") or ()]
            return {
                item["Key"][len(self._prefix) :]: Entry(
                    base64.b64decode(item.get("Value") or "").decode(errors="replace"),
                    int(item["ModifyIndex"]),
                    own=self._session is not None and item.get("Session") == self._session,
                )
                for item in items
            }
        except (KeyError, ValueError, TypeError, AttributeError) as error:
            raise StoreError(f"{self._client.where} answers with no keys: {error!r}") from error

    def open_session(self, ttl: int) -> None:
        self._session_closed.set()
        path, half = "/v1/session/create", max(ttl / TTL_FACTOR, SHORTEST)
        wanted = {
            "Name": "galera-node",
            "TTL": f"{half:g}s",
            "Behavior": "delete",
            "LockDelay": "0s",
            "NodeChecks": [],
        }
        status, text = self._client.ask("PUT", path, wanted)
        try:
            session = json.loads(text)["ID"]
        except (ValueError, TypeError, KeyError):
            session = None
        if status != 200 or not isinstance(session, str):
            raise self._client.refused(path, text)
        self._session, self._session_closed = session, threading.Event()
        threading.Thread(
            target=self._keep, args=(session, ttl / 6, self._session_closed), name="session", daemon=True
        ).start()

    def _keep(self, session: str, every: float, closed: threading.Event) -> None:
        """Renews `session` until it is closed or gone, over a connection of its own; `every` in seconds."""
        client = self._client.another()
        while not closed.wait(every):
            with suppress(StoreError):  # the node's own requests tell of these
                if not _renewed(client, session):
                    return

    def renew(self) -> None:
        if self._session is None:
            raise SessionLost("this node has no session in the store")
        if not _renewed(self._client, self._session):
            raise self._lost()

    def _lost(self) -> SessionLost:
        self._session = None
        return SessionLost("the store's session of this node has expired")

    def close_session(self) -> None:
        if self._session is not None:
            session, self._session = self._session, None
            self._session_closed.set()
            path = f"/v1/session/destroy/{session}"
            status, text = self._client.ask("PUT", path)
            if status != 200:
                raise self._client.refused(path, text)

    def commit(
        self, expect: Mapping[str, int], puts: Mapping[str, Put], deletes: tuple[str, ...] = ()
    ) -> bool:
        operations: list[dict[str, Any]] = [
            {"Verb": "check-not-exists", "Key": self._prefix + key}
            if revision == ABSENT
            else {"Verb": "check-index", "Key": self._prefix + key, "Index": revision}
            for key, revision in expect.items()
        ]
        for key, put in puts.items():
            # Taken away first: a key keeps the lock that it has, whoever's that is.
            operations.append({"Verb": "delete", "Key": self._prefix + key})
            write = {"Key": self._prefix + key, "Value": base64.b64encode(put.value.encode()).decode()}
            if put.bound:
                if self._session is None:
                    raise SessionLost("this node has no session in the store")
                operations.append({"Verb": "lock", "Session": self._session, **write})
            else:
                operations.append({"Verb": "set", **write})
        operations += [{"Verb": "delete", "Key": self._prefix + key} for key in deletes]
        status, answer = self._transaction("/v1/txn", operations)
        return status == 200 or self._unmet(answer.get("Errors"), len(expect))

    def _unmet(self, errors: Any, checks: int) -> bool:
        """False if nothing but a check has failed. Raises SessionLost or StoreError for all else."""
        try:
            told = [(int(each["OpIndex"]), str(each["What"])) for each in errors]
        except (ValueError, TypeError, KeyError):
            told = []
        if any("invalid session" in what for _, what in told):
            raise self._lost()
        if not told or any(index >= checks for index, _ in told):
            raise self._client.refused("/v1/txn", json.dumps(errors))
        return False


def _renewed(client: ConsulClient, session: str) -> bool:
    """Whether the session still lives, and now for a further TTL. Raises StoreError."""
    path = f"/v1/session/renew/{session}"
    status, text = client.ask("PUT", path)
    if status not in (200, 404):
        raise client.refused(path, text)
    return status == 200
