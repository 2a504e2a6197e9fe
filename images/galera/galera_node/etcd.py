"""etcd as the node's store, over its v3 JSON gateway with the standard library alone.

Owns the wire: base64, leases, transactions. One connection is kept and made anew after an error, so that the
service's VIP can lead to another member.

A lease is renewed by a thread of its own: unpacking, recovering and initial SQL take their time on a slow
host, and a node that works must not lose its rights for that. `renew` asks etcd itself: what rests on the
lease is checked, not assumed.
"""

from __future__ import annotations

import base64
import http.client
import json
import threading
from collections.abc import Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

from .network import Names
from .store import Entry, Put, SessionLost, StoreError


def encode(text: str) -> str:
    """Text as etcd's JSON gateway wants keys and values."""
    return base64.b64encode(text.encode()).decode()


def decode(text: str) -> str:
    """Text from the wire. What is no text is none of this program's; its records are checked anyway."""
    return base64.b64decode(text).decode(errors="replace")


class EtcdStore:
    """Implements `store.Store` for one cluster's prefix. `timeout` in seconds for one request.

    `names` bounds the wait for the store's name; the lease's thread shares it.
    """

    def __init__(self, url: str, cluster: str, timeout: float = 5.0, names: Names | None = None) -> None:
        split = urlsplit(url)
        self._host, self._port = split.hostname or "etcd", split.port or 2379
        self._prefix, self._timeout = f"swarm-galera/{cluster}/", timeout
        self._connection: http.client.HTTPConnection | None = None
        self._lease: str | None = None
        self._url, self._cluster, self._names = url, cluster, names or Names()
        self._lease_closed = threading.Event()

    def _post(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        try:
            if self._connection is None:
                self._connection = self._connect()
            self._connection.request("POST", path, json.dumps(body))
            response = self._connection.getresponse()
            text = response.read().decode(errors="replace")
        except (OSError, http.client.HTTPException) as error:
            self._drop()
            raise StoreError(f"etcd at {self._host}:{self._port} does not answer: {error}") from error
        if response.status != 200:
            self._drop()
            if "requested lease not found" in text:
                self._lease = None
                raise SessionLost("the store's lease of this node has expired")
            raise StoreError(f"etcd at {self._host}:{self._port} refuses {path}: {text.strip()[:200]}")
        try:
            answer = json.loads(text)
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            self._drop()
            raise StoreError(
                f"etcd at {self._host}:{self._port} answers {path} with no record: {text[:80]!r}"
            )
        return answer

    def _connect(self) -> http.client.HTTPConnection:
        """A connection to the first of the store's addresses that takes one. Raises OSError."""
        failed = OSError("the name does not resolve")
        for address in self._names.addresses(self._host):
            connection = http.client.HTTPConnection(address, self._port, timeout=self._timeout)
            try:
                connection.connect()
            except OSError as error:
                failed = error
                continue
            return connection
        raise failed

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

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
            raise StoreError(f"etcd at {self._host}:{self._port} answers with no keys: {error!r}") from error

    def open_session(self, ttl: int) -> None:
        self._lease_closed.set()
        answer = self._post("/v3/lease/grant", {"TTL": ttl})
        if not isinstance(answer.get("ID"), str):
            raise StoreError(f"etcd at {self._host}:{self._port} grants no lease: {str(answer)[:80]}")
        self._lease, self._lease_closed = answer["ID"], threading.Event()
        threading.Thread(
            target=self._keep, args=(self._lease, ttl / 6, self._lease_closed), name="lease", daemon=True
        ).start()

    def _keep(self, lease: str, every: float, closed: threading.Event) -> None:
        """Renews `lease` until it is closed or gone, over a connection of its own; `every` in seconds."""
        other = EtcdStore(self._url, self._cluster, self._timeout, self._names)
        while not closed.wait(every):
            with suppress(StoreError):  # the node's own requests tell of these
                other._lease = lease
                try:
                    other.renew()
                except SessionLost:
                    return

    def renew(self) -> None:
        if self._lease is None:
            raise SessionLost("this node has no lease in the store")
        try:
            left = int(self._post("/v3/lease/keepalive", {"ID": self._lease}).get("result", {}).get("TTL", 0))
        except (ValueError, TypeError, AttributeError) as error:
            raise StoreError(f"etcd at {self._host}:{self._port} does not say how long: {error}") from error
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
