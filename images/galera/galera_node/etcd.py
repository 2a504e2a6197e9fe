"""etcd as the node's store, over its v3 JSON gateway with the standard library alone.

Owns etcd's words: base64, leases, transactions, users. Leaves to others: the connection (`wire`).

A lease is renewed by a thread of its own: unpacking, recovering and initial SQL take their time on a slow
host, and a node that works must not lose its rights for that. `renew` asks etcd itself: what rests on the
lease is checked, not assumed.

The node is etcd's user `galera`. Over this gateway a user is known by name and password, whatever its
certificate says (the gateway's own counts there). The token that etcd gives for them is forgotten when it was
not used for five minutes, and by a member that restarts, so it is asked for again. A store that an older
version of the stack has made has no users until every node is one of this version: such a store is asked
without a token.
"""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from .store import Entry, Put, SessionLost, StoreError
from .wire import Wire

USER = "galera"
ASK_AGAIN = (
    "etcdserver: invalid auth token",
    "etcdserver: user name is empty",
    "etcdserver: revision of auth store is old",
)
"""Nothing was done, and it would be with a new token."""
DENIED = "etcdserver: permission denied"


def encode(text: str) -> str:
    """Text as etcd's JSON gateway wants keys and values."""
    return base64.b64encode(text.encode()).decode()


def decode(text: str) -> str:
    """Text from the wire. What is no text is none of this program's; its records are checked anyway."""
    return base64.b64decode(text).decode(errors="replace")


class EtcdStore:
    """Implements `store.Store` for one cluster's prefix, as the user `galera` with this password."""

    def __init__(self, wire: Wire, cluster: str, password: str = "") -> None:
        """`password`: empty for a store without users."""
        self._wire, self._cluster, self._password = wire, cluster, password
        self._prefix = f"swarm-galera/{cluster}/"
        self._token: str | None = None  # empty: the store has no users
        self._lease: str | None = None
        self._lease_closed = threading.Event()

    def _post(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        if self._token is None:
            self._token = self._authenticated()
        status, text = self._ask(path, body)
        if status != 200 and self._password and self._may_help(text):
            self._token = self._authenticated()
            status, text = self._ask(path, body)
        return self._answer(path, status, text)

    def _may_help(self, text: str) -> bool:
        """Whether a new token may help. Who has none may be taken for whom the server's certificate names."""
        return any(words in text for words in ASK_AGAIN) or (not self._token and DENIED in text)

    def _ask(self, path: str, body: Mapping[str, Any]) -> tuple[int, str]:
        headers = {"Accept": "application/json", **({"Authorization": self._token} if self._token else {})}
        return self._wire.request("POST", path, json.dumps(body), headers)

    def _authenticated(self) -> str:
        """A new token; empty while the store has no users. Raises StoreError."""
        if not self._password:
            return ""
        path, words = "/v3/auth/authenticate", {"name": USER, "password": self._password}
        status, text = self._wire.request("POST", path, json.dumps(words))
        if status != 200 and "authentication is not enabled" in text:
            return ""
        if status != 200 and "authentication failed" in text:
            self._wire.drop()
            raise StoreError(
                f"{self._wire.where} refuses its user {USER}: it knows no such user, or not with the "
                "password of this node's secret store-token. Remedy: `pulumi up` gives both the same"
            )
        token = self._answer(path, status, text).get("token")
        if not isinstance(token, str):
            self._wire.drop()
            raise StoreError(f"{self._wire.where} gives its user {USER} no token: {text[:80]!r}")
        return token

    def _answer(self, path: str, status: int, text: str) -> dict[str, Any]:
        if status != 200:
            self._wire.drop()
            if "requested lease not found" in text:
                self._lease = None
                raise SessionLost("the store's lease of this node has expired")
            if DENIED in text:
                raise StoreError(
                    f"{self._wire.where} denies its user {USER} what this node needs ({path}): the role is "
                    "not as it was made. Remedy: restart a member of etcd, which sets it right"
                )
            raise StoreError(f"{self._wire.where} refuses {path}: {text.strip()[:200]}")
        try:
            answer = json.loads(text)
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            self._wire.drop()
            raise StoreError(f"{self._wire.where} answers {path} with no record: {text[:80]!r}")
        return answer

    def _key(self, key: str) -> str:
        return encode(self._prefix + key)

    def read(self) -> dict[str, Entry]:
        end = self._prefix[:-1] + chr(ord(self._prefix[-1]) + 1)
        answer = self._post("/v3/kv/range", {"key": encode(self._prefix), "range_end": encode(end)})
        try:
            return {
                decode(item["key"])[len(self._prefix) :]: Entry(
                    decode(item.get("value", "")),
                    int(item["mod_revision"]),
                    own=self._lease is not None and item.get("lease") == self._lease,
                )
                for item in answer.get("kvs", ())
            }
        except (KeyError, ValueError, TypeError, AttributeError) as error:
            raise StoreError(f"{self._wire.where} answers with no keys: {error!r}") from error

    def open_session(self, ttl: int) -> None:
        self._lease_closed.set()
        answer = self._post("/v3/lease/grant", {"TTL": ttl})
        if not isinstance(answer.get("ID"), str):
            raise StoreError(f"{self._wire.where} grants no lease: {str(answer)[:80]}")
        self._lease, self._lease_closed = answer["ID"], threading.Event()
        threading.Thread(
            target=self._keep, args=(self._lease, ttl / 6, self._lease_closed), name="lease", daemon=True
        ).start()

    def _keep(self, lease: str, every: float, closed: threading.Event) -> None:
        """Renews `lease` until it is closed or gone, over a connection of its own; `every` in seconds."""
        other = EtcdStore(self._wire.another(), self._cluster, self._password)
        lost = False
        while not lost and not closed.wait(every):
            with suppress(StoreError):  # the node's own requests tell of these
                other._lease = lease
                try:
                    other.renew()
                except SessionLost:
                    lost = True
        other._wire.drop()

    def renew(self) -> None:
        if self._lease is None:
            raise SessionLost("this node has no lease in the store")
        try:
            left = int(self._post("/v3/lease/keepalive", {"ID": self._lease}).get("result", {}).get("TTL", 0))
        except (ValueError, TypeError, AttributeError) as error:
            raise StoreError(f"{self._wire.where} does not say how long: {error}") from error
        if left <= 0:
            self._lease = None
            raise SessionLost("the store's lease of this node has expired")

    def close_session(self) -> None:
        if self._lease is not None:
            lease, self._lease = self._lease, None
            self._lease_closed.set()
            self._post("/v3/lease/revoke", {"ID": lease})

    def commit(
        self, expect: Mapping[str, int], puts: Mapping[str, Put], deletes: tuple[str, ...] = ()
    ) -> bool:
        operations: list[dict[str, Any]] = []
        for key, put in puts.items():
            request: dict[str, Any] = {"key": self._key(key), "value": encode(put.value)}
            if put.bound:
                if self._lease is None:
                    raise SessionLost("this node has no lease in the store")
                request["lease"] = self._lease
            operations.append({"request_put": request})
        operations += [{"request_delete_range": {"key": self._key(key)}} for key in deletes]
        compare = [
            # mod_revision 0 means: the key is not there.
            {"key": self._key(key), "target": "MOD", "result": "EQUAL", "mod_revision": str(revision)}
            for key, revision in expect.items()
        ]
        return bool(
            self._post("/v3/kv/txn", {"compare": compare, "success": operations}).get("succeeded", False)
        )
