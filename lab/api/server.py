"""The API on a port: HTTP in, dispatch, faults that were asked for, HTTP out. And admin calls beside it.

One thread a connection, so a slow call holds up nobody. API faults travel with HTTP 200, as SoftLayer's do.
A bug of the lab itself is answered as SoftLayer answers its own ("Internal Error"), logged with its
traceback, and kept in `internal_errors`, so that it cannot pass for a fault. Admin calls (`/admin/…`, see
`admin.py`) are answered to the loopback interface only. Keys are never logged.
"""

from __future__ import annotations

import logging
import socket
import sys
import threading
import time
import traceback
from collections import deque
from dataclasses import asdict, dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from typing import Any, cast

from lab.api import admin, errors, faults, wire
from lab.api.card_filters import Guard
from lab.api.context import Call, Lab
from lab.api.credentials import Credentials
from lab.api.dispatch import Answer, Dispatcher
from lab.api.faults import FaultInjector, RateLimiter
from lab.api.locations import Networks
from lab.api.meter import Meter
from lab.api.records import Guest, InjectedFault
from lab.api.store import Store
from lab.api.transactions import Engine
from lab.hosts.backend import HostBackend

log = logging.getLogger("lab.api")

BASE_PATH = "/xmlrpc/v3.1/"
_OTHER_BASE_PATHS = ("/xmlrpc/v3/", "/mobile/v3.1/")
_MAX_BODY = 8 * 1024 * 1024
_MAX_CALLS = 20_000
_MAX_ERRORS = 100


@dataclass(frozen=True)
class SeenCall:
    """A call as the admin interface lists it: nothing of its parameters. `outcome` is `ok` or a fault's
    code.
    """

    at: float
    service: str
    method: str
    id: str | None
    outcome: str


class _Break(Exception):
    """Close the connection without an answer."""


class _HttpError(Exception):
    """Answer with a bare HTTP error."""

    def __init__(self, status: int) -> None:
        super().__init__(str(status))
        self.status = status


class ApiServer:
    """A lab's API: store, engine and listener. Use `start` and `stop`, or as a context manager."""

    def __init__(
        self,
        state: Path,
        backend: HostBackend,
        credentials: Credentials,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        networks: Networks | None = None,
    ) -> None:
        """Open the state directory and the port (0: any free one). Raises OSError when either cannot be
        had.
        """
        self.credentials = credentials
        self.backend = backend
        self._listener = _Listener((host, port), self)
        try:
            self.store = Store(state / "api.sqlite")
        except BaseException:
            self._listener.server_close()
            raise
        self.internal_errors: deque[str] = deque(maxlen=_MAX_ERRORS)
        """Tracebacks of the lab's own bugs, the last 100 of them: of calls, admin calls and transactions."""
        self._stopping = False
        networks = networks or Networks()
        self.faults = FaultInjector(self.store)
        self.engine = Engine(self.store, backend, self.faults, networks, self.internal_error)
        self._meter = Meter(self.store, backend, self.internal_error)
        self.lab = Lab(
            store=self.store,
            engine=self.engine,
            faults=self.faults,
            meter=self._meter,
            networks=networks,
            username=credentials.username,
            power=backend.state,
            images=getattr(backend, "images", None),
        )
        self._guard = Guard(self.store, backend, self.internal_error)
        self._dispatch = Dispatcher(self.lab)
        self._limiter = RateLimiter()
        self._calls: deque[SeenCall] = deque(maxlen=_MAX_CALLS)
        self._stale: dict[tuple[str, ...], Answer] = {}
        self._thread: threading.Thread | None = None

    @property
    def address(self) -> str:
        """Host and port it listens on."""
        host, port = self._listener.server_address[:2]
        return f"{host!s}:{port}"

    @property
    def endpoint(self) -> str:
        """What clients use as endpoint URL."""
        return f"http://{self.address}{BASE_PATH.rstrip('/')}"

    def start(self) -> None:
        """Go on with running transactions and answer calls, in threads of its own."""
        self._guard.start()
        self.engine.start()
        self._meter.start()
        self._thread = threading.Thread(target=self._listener.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End. Transactions stay as they are, for the next start."""
        self._stopping = True
        if self._thread is not None:
            self._listener.shutdown()
            self._thread.join()
        self._listener.server_close()
        self.engine.stop()
        self._meter.stop()
        self.store.close()

    def __enter__(self) -> ApiServer:
        self.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()

    def calls(self) -> list[dict[str, Any]]:
        """The calls answered so far, oldest first (at most the last 20,000)."""
        return [asdict(call) for call in list(self._calls)]

    def forget_calls(self) -> None:
        """Begin the list of calls anew."""
        self._calls.clear()

    def internal_error(self, what: str) -> None:
        """Log and keep the exception being handled: a bug of the lab's in `what`."""
        if self._stopping:
            # What was under way finds the store closed, as if the API had been killed.
            log.debug("broken off by the end of the API: %s", what, exc_info=True)
            return
        log.exception("internal error: %s", what)
        self.internal_errors.append(f"{what}\n{traceback.format_exc()}")

    def answer(self, path: str, body: bytes, authorization: str | None) -> tuple[bytes, int | None]:
        """The body of the answer to an API request and its `softlayer-total-items`.

        Raises _Break or _HttpError when no proper answer is to be given.
        """
        try:
            service, method, headers, arguments = wire.decode(path, body)
        except wire.Unreadable as error:
            log.warning("unreadable request for %s: %s", path, error)
            return wire.encode_fault(errors.Fault("-32700", "parse error. not well formed")), None
        outcome, identifier = "ok", None
        try:
            wire.authenticate(self.credentials, headers, authorization)
            limit = self.engine.settings().rate_limit
            if self._limiter.exceeded(limit):
                raise errors.rate_limited(limit)
            call = wire.to_call(service, method, headers, arguments)
            identifier = None if call.identifier is None else str(call.identifier)
            result = self._carry_out(call)
            return wire.encode_value(result.value), result.total
        except errors.Fault as fault:
            outcome = fault.code
            log.info("%s::%s(%s): %s", service, method, identifier or "", fault)
            return wire.encode_fault(fault), None
        except (_Break, _HttpError) as error:
            outcome = f"injected {type(error).__name__.strip('_').lower()} {error}".strip()
            raise
        except Exception:
            outcome = "internal error"
            if self._stopping:
                raise _Break from None
            self.internal_error(f"{service}::{method}")
            return wire.encode_fault(errors.Fault(errors.PUBLIC, "Internal Error")), None
        finally:
            self._calls.append(SeenCall(time.time(), service, method, identifier, outcome))

    def _carry_out(self, call: Call) -> Answer:
        rules = self.faults.for_call(call.service, call.method, self._hostnames(call))
        failure: InjectedFault | None = None
        for rule in rules:
            if rule.kind == "delay":
                time.sleep(rule.seconds)
            else:
                failure = rule
        if failure is None:
            return self._dispatch(call)
        log.warning("fault %d: %s for %s::%s", failure.id, failure.kind, call.service, call.method)
        if failure.kind == "stale-list":
            asked = (failure.id, call.service, call.method, call.mask, call.filter, call.limit, call.offset)
            key = tuple(map(repr, asked))
            if key not in self._stale:
                self._stale[key] = self._dispatch(call)
            return self._stale[key]
        if failure.after or failure.kind == "lost-response":
            self._dispatch(call)
        if failure.kind in {"lost-response", "drop"}:
            raise _Break
        if failure.kind.startswith("http-"):
            raise _HttpError(int(failure.kind.removeprefix("http-")))
        raise faults.to_fault(failure) or errors.Fault(errors.PUBLIC, failure.kind)

    def _hostnames(self, call: Call) -> list[str]:
        """The host names a call is about: in its parameters, or of the guest it names."""
        found = _named(call.args)
        if call.service == "Virtual_Guest" and str(call.identifier or "").isdigit():
            guest = self.store.get(Guest, int(str(call.identifier)))
            if guest is not None:
                found.append(guest.hostname)
        return found


def _named(value: Any) -> list[str]:
    if isinstance(value, dict):
        own = [str(value["hostname"])] if value.get("hostname") else []
        return own + [name for item in value.values() for name in _named(item)]
    if isinstance(value, list | tuple):
        return [name for item in value for name in _named(item)]
    return []


class _Listener(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], api: ApiServer) -> None:
        self.api = api
        super().__init__(address, _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        if isinstance(sys.exception(), OSError):
            # A client that went away is not worth a stack trace on standard error.
            log.debug("connection of %s broke off", client_address, exc_info=True)
        else:
            self.api.internal_error(f"connection of {client_address}")


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "SoftLayerLab"
    sys_version = ""
    disable_nagle_algorithm = True
    wbufsize = -1

    @property
    def _api(self) -> ApiServer:
        return cast(_Listener, self.server).api

    def do_POST(self) -> None:
        body = self._body()
        if body is None:
            return
        if self.path.startswith("/admin/"):
            self._admin("POST", body)
            return
        service = self._service()
        if service is None:
            self._reply(404, b"Not Found\n", "text/plain")
            return
        try:
            answer, total = self._api.answer(service, body, self.headers.get("Authorization"))
        except _Break:
            self._break()
        except _HttpError as error:
            self._reply(error.status, b"Injected by the lab.\n", "text/plain")
        else:
            extra = {} if total is None else {"softlayer-total-items": str(total)}
            self._reply(200, answer, "text/xml; charset=iso-8859-1", extra)

    def do_GET(self) -> None:
        if self.path.startswith("/admin/"):
            self._admin("GET", b"")
        else:
            self._reply(405, b"Use POST.\n", "text/plain", {"Allow": "POST"})

    def do_DELETE(self) -> None:
        body = self._body()
        if body is not None:
            self._admin("DELETE", body)

    def _service(self) -> str | None:
        for base in (BASE_PATH, *_OTHER_BASE_PATHS):
            if self.path.startswith(base):
                return self.path.removeprefix(base).split("?")[0].strip("/")
        return None

    def _body(self) -> bytes | None:
        try:
            length = int(self.headers.get("Content-Length") or 0)
        except ValueError:
            length = -1
        if not 0 <= length <= _MAX_BODY:
            self.close_connection = True
            self._reply(413, b"Too large.\n", "text/plain")
            return None
        return self.rfile.read(length)

    def _admin(self, verb: str, body: bytes) -> None:
        if not ip_address(self.client_address[0]).is_loopback:
            self._reply(403, b"Admin calls come from the lab's own loopback interface.\n", "text/plain")
            return
        if not self.path.startswith("/admin/"):
            self._reply(404, b"Not Found\n", "text/plain")
            return
        try:
            status, answer = admin.handle(self._api, verb, self.path.removeprefix("/admin/").strip("/"), body)
        except Exception:
            self._api.internal_error(f"admin call {verb} {self.path}")
            status, answer = 500, b'{"error": "Internal error: a bug of the lab. See the API\'s log."}\n'
        self._reply(status, answer, "application/json")

    def _reply(self, status: int, body: bytes, kind: str, extra: dict[str, str] | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        for name, value in (extra or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    def _break(self) -> None:
        """Cut the connection so that the client sees it end without an answer."""
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    def log_message(self, format: str, *args: Any) -> None:
        log.debug("%s %s", self.address_string(), format % args)
