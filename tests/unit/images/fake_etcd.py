"""A small etcd: the part of its v3 JSON gateway that the node's store uses, over HTTP, in memory.

Owned here: keys with revisions, transactions, leases that end when a test says so, users and their tokens,
and being away. Left to others: what is expected of it. The real one is in tests/images.
"""

from __future__ import annotations

import base64
import json
import ssl
import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from images.galera.galera_node.etcd import EtcdStore
from images.galera.galera_node.network import Names
from images.galera.galera_node.wire import Wire

LEASE_GONE = "etcdserver: requested lease not found"


class Refused(Exception):
    """An answer other than 200."""


def store_at(port: int, cluster: str = "galera", password: str = "") -> EtcdStore:
    """A node's store on the loopback, without TLS."""
    return EtcdStore(Wire("etcd", "127.0.0.1", port, Names(60)), cluster, password)


class FakeEtcd:
    """Use as a context.

    Attributes:
        refuses: what every question is answered with, if not empty.
        asked: paths of all questions so far.
        eats_answers: the next writes are done, and their answers lost.
        users: their passwords; without any, nobody needs to be one.
        tokens: that count.
        takes_for_its_own: who has no token is taken for whom the server's certificate names.
    """

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        """`tls`: without it, plain HTTP."""
        self.refuses, self.asked, self.eats_answers = "", list[str](), 0
        self.users, self.tokens = dict[str, str](), set[str]()
        self.takes_for_its_own = False
        self._keys: dict[str, tuple[str, int, str]] = {}  # coded key to value, revision, lease
        self._leases: set[str] = set()
        self._revision, self._granted = 0, 0
        self._lock = threading.Lock()
        etcd = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                try:
                    etcd._let_in(self.path, self.headers["Authorization"], self.headers["Accept"])
                    code, text = 200, json.dumps(etcd._answer(self.path, body))
                except Refused as error:
                    code, text = 400, json.dumps({"error": str(error)})
                if self.path.endswith("txn") and etcd.eats_answers:
                    etcd.eats_answers -= 1
                    self.close_connection = True
                    return
                self.send_response(code)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text.encode())

            def log_message(self, *_: object) -> None:
                """Nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        if tls is not None:
            # In the thread of each connection: one that is turned away must hold nobody up.
            self._server.socket = tls.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
            self._server.handle_error = lambda *_: None  # type: ignore[method-assign]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    def __enter__(self) -> FakeEtcd:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def port(self) -> int:
        """On the loopback."""
        return int(self._server.server_address[1])

    @property
    def url(self) -> str:
        """As a node is told of it."""
        return f"etcd://127.0.0.1:{self.port}"

    def held(self, cluster: str = "galera") -> dict[str, str]:
        """All keys of a cluster, and what they hold."""
        found = {base64.b64decode(key).decode(): value for key, (value, _, _) in self._keys.items()}
        prefix = f"swarm-galera/{cluster}/"
        return {
            key.removeprefix(prefix): base64.b64decode(value).decode()
            for key, value in found.items()
            if key.startswith(prefix)
        }

    def expire(self) -> None:
        """All leases end, and their keys with them."""
        with self._lock:
            for lease in list(self._leases):
                self._end(lease)

    def _let_in(self, path: str, token: str | None, accept: str | None) -> None:
        """Refuses who is no user, where there are users; leases are for everybody.

        Without a header Accept, etcd 3.4 takes a question for one of whom its server's certificate names.
        """
        if not self.users or not path.startswith("/v3/kv/"):
            return
        if token is None:
            nobody = accept is not None and not self.takes_for_its_own
            raise Refused("etcdserver: user name is empty" if nobody else "etcdserver: permission denied")
        if token not in self.tokens:
            raise Refused("etcdserver: invalid auth token")

    def _answer(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        with self._lock:
            self.asked.append(path)
            if self.refuses:
                raise Refused(self.refuses)
            match path.removeprefix("/v3/"):
                case "auth/authenticate":
                    if not self.users:
                        raise Refused("etcdserver: authentication is not enabled")
                    if self.users.get(body["name"]) != body["password"]:
                        raise Refused("etcdserver: authentication failed, invalid user ID or password")
                    self._granted += 1
                    self.tokens.add(f"token.{self._granted}")
                    return {"token": f"token.{self._granted}"}
                case "kv/range":
                    return {"kvs": self._range(body["key"], body["range_end"])}
                case "kv/txn":
                    return self._transaction(body)
                case "lease/grant":
                    self._granted += 1
                    self._leases.add(str(self._granted))
                    return {"ID": str(self._granted), "TTL": str(body["TTL"])}
                case "lease/keepalive":
                    # etcd leaves the time out for a lease that is gone.
                    return {"result": {"TTL": "45"} if body["ID"] in self._leases else {}}
                case "lease/revoke":
                    self._end(body["ID"])
                    return {}
        raise Refused(f"unknown path {path}")

    def _range(self, first: str, end: str) -> list[dict[str, str]]:
        low, high = base64.b64decode(first), base64.b64decode(end)
        return [
            {
                "key": key,
                "value": value,
                "mod_revision": str(revision),
                **({"lease": lease} if lease else {}),
            }
            for key, (value, revision, lease) in self._keys.items()
            if low <= base64.b64decode(key) < high
        ]

    def _transaction(self, body: Mapping[str, Any]) -> dict[str, Any]:
        for each in body["compare"]:
            if self._keys.get(each["key"], ("", 0, ""))[1] != int(each["mod_revision"]):
                return {}  # as etcd does: what is false is left out
        for operation in body["success"]:
            lease = operation.get("request_put", {}).get("lease", "")
            if lease and lease not in self._leases:
                raise Refused(LEASE_GONE)
        self._revision += 1
        for operation in body["success"]:
            if (put := operation.get("request_put")) is not None:
                self._keys[put["key"]] = put["value"], self._revision, put.get("lease", "")
            else:
                self._keys.pop(operation["request_delete_range"]["key"], None)
        return {"succeeded": True}

    def _end(self, lease: str) -> None:
        if lease not in self._leases:
            raise Refused(LEASE_GONE)
        self._leases.remove(lease)
        self._keys = {key: held for key, held in self._keys.items() if held[2] != lease}
