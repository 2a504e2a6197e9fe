"""What the nodes' programs tell one another directly, over a small HTTP port on the overlay network.

Owns the port: `GET /status` (JSON: who this is, its cluster, the epoch of its data, its state) and `GET
/ready` (200 while clients are served, else 503). For load balancers it has `/writer` and `/reader`, whose
codes are those of `endpoints`. Whoever asks for `/departed` is asked back (`departure`); `/silent` has whom
this node misses (`silence`). The store tells more, and counts; this is for when it is away or has lost its
record. Nothing secret is told, and nothing can be changed through it.
"""

from __future__ import annotations

import http.client
import json
import socket
import threading
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from typing import TypeVar

PORT = 4569
TIMEOUT = 1.5  # seconds for one question
ENDPOINTS = ("/writer", "/reader", "/able")
AT_A_TIME = 16  # who connects and says nothing must not keep load balancers from their answer
SILENT = 2.0  # seconds after which such a one is left
SOON = 0.5  # seconds for the question whether a node is able; who is asked often answers at once

T = TypeVar("T")


@dataclass(frozen=True)
class Told:
    """What a node says of itself. `state` as in `store.Presence`.

    `departed`: the life of a mariadbd that has just died here (`ServerStatus.life`), else empty.
    """

    node: str = ""
    uuid: str = ""
    epoch: str = ""
    state: str = "starting"
    ready: bool = False
    departed: str = ""


class Teller:
    """Answers on the port; what it answers is what `told` was last set to."""

    def __init__(
        self,
        address: str,
        port: int = PORT,
        endpoint: Callable[[str], int] = lambda _path: 503,
        departed: Callable[[str], None] = lambda _address: None,
        silent: Callable[[], Collection[str]] = tuple,
    ) -> None:
        """Listen. Raises OSError when the port is taken.

        Args:
            endpoint: the code for one of `ENDPOINTS`.
            departed: called with the address of whoever asks for `/departed`; returns at once.
            silent: the lives that this node misses.
        """
        self.told, self._endpoint, self._departed, self._silent = Told(), endpoint, departed, silent
        self._socket = socket.create_server((address, port))
        for _ in range(AT_A_TIME):
            threading.Thread(target=self._serve, name="teller", daemon=True).start()

    @property
    def port(self) -> int:
        number: int = self._socket.getsockname()[1]
        return number

    def close(self) -> None:
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)  # wakes the threads
        self._socket.close()

    def _serve(self) -> None:
        while True:
            try:
                stream, _ = self._socket.accept()
            except OSError:
                return
            with stream, suppress(OSError):
                stream.settimeout(SILENT)
                self._answer(stream)

    def _answer(self, stream: socket.socket) -> None:
        words = stream.recv(4096).split(b"\r\n", 1)[0].split(b" ")
        told, path = self.told, words[1] if len(words) > 1 else b""
        if words[0] in (b"GET", b"HEAD") and path.decode(errors="replace") in ENDPOINTS:
            number = self._endpoint(path.decode())
            code, text = f"{number} {http.client.responses[number]}", ""
        elif words[0] in (b"GET", b"HEAD") and path == b"/departed":
            self._departed(str(stream.getpeername()[0]))
            code, text = "200 OK", ""
        elif words[0] in (b"GET", b"HEAD") and path == b"/silent":
            code, text = "200 OK", f"{json.dumps(sorted(self._silent()))}\n"
        elif words[0] not in (b"GET", b"HEAD") or path not in (b"/status", b"/ready"):
            code, text = "404 Not Found", ""
        elif path == b"/ready" and not told.ready:
            code, text = "503 Service Unavailable", f"{told.state}\n"
        else:
            code, text = "200 OK", f"{json.dumps(asdict(told))}\n" if path == b"/status" else "ready\n"
        body = text.encode()
        head = f"HTTP/1.0 {code}\r\nContent-Type: text/plain\r\nContent-Length: {len(body)}\r\n\r\n".encode()
        stream.sendall(head + (b"" if words[0] == b"HEAD" else body))


def ask(address: str, port: int = PORT, timeout: float = TIMEOUT) -> Told | None:
    """What the node at `address` says; None when it does not, as one of the version before."""
    try:
        values = json.loads(_got(address, "/status", port, timeout) or b"")
        told = Told(**{name: values[name] for name in Told.__dataclass_fields__ if name != "departed"})
        told = replace(told, departed=values.get("departed", ""))  # one of the version before does not say
    except (ValueError, TypeError, KeyError):
        return None
    words = (told.uuid, told.epoch, told.state, told.departed)
    return told if all(isinstance(each, str) for each in words) else None


def silences(addresses: Mapping[str, str], port: int = PORT) -> dict[str, frozenset[str] | None]:
    """The lives that each of these misses, by the same keys; None where one does not say."""
    told = _side_by_side(addresses.values(), lambda address: _silent(address, port))
    return {key: told.get(address) for key, address in addresses.items()}


def _silent(address: str, port: int) -> frozenset[str] | None:
    try:
        values = json.loads(_got(address, "/silent", port, SOON) or b"")
    except ValueError:
        return None
    return frozenset(map(str, values)) if isinstance(values, list) else None


def able(address: str, port: int = PORT, timeout: float = SOON) -> bool:
    """Whether the node at `address` says that it can take writes."""
    return _says_yes(address, "/able", port, timeout)


def any_writes(addresses: Iterable[str], port: int = PORT) -> bool:
    """Whether a node at one of these addresses says that it is the one that takes the writes."""
    return any(_says_yes(address, "/writer", port) for address in set(addresses))


def _says_yes(address: str, path: str, port: int, timeout: float = SOON) -> bool:
    return _got(address, path, port, timeout, "HEAD") is not None


def _got(address: str, path: str, port: int, timeout: float, method: str = "GET") -> bytes | None:
    """What is answered with 200; None for anything else, and for nothing."""
    connection = http.client.HTTPConnection(address, port, timeout=timeout)
    try:
        connection.request(method, path)
        response = connection.getresponse()
        return response.read(65536) if response.status == 200 else None
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def have_ask(addresses: Iterable[str], port: int = PORT) -> None:
    """Has the nodes at these addresses ask here what has departed. Does not wait for them."""
    for address in set(addresses):
        threading.Thread(target=_says_yes, args=(address, "/departed", port), daemon=True).start()


def ask_all(addresses: Iterable[str], port: int = PORT) -> dict[str, Told]:
    """What the nodes at these addresses say, asked side by side; who does not answer is left out."""
    return _side_by_side(addresses, lambda address: ask(address, port))


def _side_by_side(addresses: Iterable[str], question: Callable[[str], T | None]) -> dict[str, T]:
    """The answers by address; who gives none is left out."""
    found: dict[str, T] = {}

    def one(address: str) -> None:
        if (answer := question(address)) is not None:
            found[address] = answer

    threads = [threading.Thread(target=one, args=(address,), daemon=True) for address in set(addresses)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(2 * TIMEOUT)
    return dict(found)
