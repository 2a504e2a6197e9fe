"""A small Consul: the part of an agent's HTTP API that the node uses, over HTTP, in memory.

Owned here: keys with indexes and locks, transactions, sessions that end when a test says so, one token with
rights, one agent's services, and being away. Left to others: what is expected of it. The real one is in
tests/images.
"""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

TOKEN = "6b7a1c52-7d4e-4c53-8ad4-0a4b4c1f0001"
MAY_WRITE = "swarm-galera/"


class Refused(Exception):
    """An answer other than 200."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


@dataclass
class Held:
    """A key's content."""

    value: str
    index: int
    session: str = ""


class FakeConsul:
    """Use as a context.

    Attributes:
        refuses: what every question is answered with, if not empty, with status 500.
        asked: method and path of all questions so far.
        eats_answers: the next transactions are done, and their answers lost.
        sessions: what each was asked for, by its id.
        services: of the agent, each as it was registered.
        checks: the status of each, with what was said.
    """

    def __init__(self) -> None:
        self.refuses, self.asked, self.eats_answers = "", list[str](), 0
        self.sessions: dict[str, dict[str, Any]] = {}
        self.services: dict[str, dict[str, Any]] = {}
        self.checks: dict[str, tuple[str, str]] = {}
        self._keys: dict[str, Held] = {}
        self._index = self._made = 0
        self._lock = threading.Lock()
        consul = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_PUT(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                body = json.loads(self.rfile.read(length)) if length else None
                try:
                    code, text = (
                        200,
                        json.dumps(consul._answer(self.path, body, self.headers["X-Consul-Token"])),
                    )
                except Refused as error:
                    code, text = error.status, str(error)
                if self.path.startswith("/v1/txn") and consul.eats_answers:
                    consul.eats_answers -= 1
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
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    def __enter__(self) -> FakeConsul:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def port(self) -> int:
        """Of the agent, on the loopback."""
        return int(self._server.server_address[1])

    def held(self, cluster: str = "galera") -> dict[str, str]:
        """All keys of a cluster, and what they hold."""
        prefix = f"swarm-galera/{cluster}/"
        return {
            key.removeprefix(prefix): base64.b64decode(each.value).decode()
            for key, each in self._keys.items()
            if key.startswith(prefix)
        }

    def expire(self) -> None:
        """All sessions end, and their keys with them."""
        with self._lock:
            for session in list(self.sessions):
                self._end(session)

    def forget_services(self) -> None:
        """What an agent does that has lost its data."""
        self.services.clear()
        self.checks.clear()

    def _answer(self, path: str, body: Any, token: str) -> Any:
        with self._lock:
            self.asked.append(path)
            if self.refuses:
                raise Refused(500, self.refuses)
            if token != TOKEN:
                raise Refused(403, "rpc error making call: ACL not found")
            place, _, query = path.partition("?")
            match place.removeprefix("/v1/").split("/"):
                case ["txn"]:
                    return self._transaction(body, query)
                case ["session", "create"]:
                    self._made += 1
                    name = f"session-{self._made}"
                    self.sessions[name] = body
                    return {"ID": name}
                case ["session", "renew", name]:
                    if name not in self.sessions:
                        raise Refused(404, f"Session id '{name}' not found")
                    return [{"ID": name, **self.sessions[name]}]
                case ["session", "destroy", name]:
                    self._end(name)
                    return True
                case ["agent", "service", "register"]:
                    self.services[body["ID"]] = body
                    self.checks[body["Check"]["CheckID"]] = body["Check"]["Status"], ""
                    return None
                case ["agent", "check", "update", name]:
                    if name not in self.checks:
                        raise Refused(404, f'Unknown check ID "{name}"')
                    self.checks[name] = body["Status"], body["Output"]
                    return None
        raise Refused(405, f"unknown path {path}")

    def _transaction(self, body: list[Mapping[str, Any]], query: str) -> dict[str, Any]:
        operations = [each["KV"] for each in body]
        errors = [
            {"OpIndex": number, "What": "Permission denied: token with AccessorID 'x' lacks permission"}
            for number, each in enumerate(operations)
            if each["Verb"] not in ("get-tree", "check-index") and not each["Key"].startswith(MAY_WRITE)
        ]
        reads = all(each["Verb"].startswith(("get", "check")) for each in operations)
        assert not reads or query == "consistent", "a read that may be old"
        keys, self._index = dict(self._keys), self._index + (not reads)
        results: list[dict[str, Any]] = []
        for number, each in enumerate(operations):
            what = self._operate(each, keys, results)
            errors += [{"OpIndex": number, "What": what}] if what else []
        if errors:
            raise Refused(409, json.dumps({"Results": None, "Errors": errors}))
        self._keys = keys
        return {"Results": results, "Errors": None}

    def _operate(self, each: Mapping[str, Any], keys: dict[str, Held], results: list[dict[str, Any]]) -> str:
        """Does one operation on `keys`; what is wrong with it, or nothing."""
        key = each["Key"]
        before = keys.get(key)
        match each["Verb"]:
            case "check-not-exists":
                return f'key "{key}" exists' if before else ""
            case "check-index":
                if before is None:
                    return f'key "{key}" doesn\'t exist'
                same = before.index == each["Index"]
                return "" if same else f'current modify index {before.index} for key "{key}" is another'
            case "get-tree":
                for name, held in sorted(keys.items()):
                    if name.startswith(key):
                        found = {"Key": name, "Value": held.value or None, "ModifyIndex": held.index}
                        results.append({"KV": found | ({"Session": held.session} if held.session else {})})
            case "delete":
                keys.pop(key, None)
            case "set":  # which keeps the lock
                keys[key] = Held(each["Value"], self._index, before.session if before else "")
            case "lock":
                if each["Session"] not in self.sessions:
                    return f'invalid session "{each["Session"]}"'
                if before and before.session not in ("", each["Session"]):
                    return f'failed to lock key "{key}", lock is already held'
                keys[key] = Held(each["Value"], self._index, each["Session"])
        return ""

    def _end(self, session: str) -> None:
        if self.sessions.pop(session, None) is not None:
            self._keys = {key: held for key, held in self._keys.items() if held.session != session}
