"""Nodes that speak the load balancer's side of a Galera node, in this process.

Owns: what a node says on port 4569, sessions on port 3306. Leaves what is made of that to the tests. What
real nodes say is for their own tests.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from harness.name_server import socket_in

PORT, ASKED = 3306, 4569


class Listener:
    """A TCP port in a namespace; each connection is served by a thread."""

    def __init__(self, namespace: str, port: int, serve: Callable[[socket.socket], None]) -> None:
        self._socket = socket_in(namespace)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.bind(("0.0.0.0", port))
        self._socket.listen(64)
        self._serve = serve
        self._open: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._socket.accept()
                self._open.append(connection)
                threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            self._serve(connection)

    def close(self) -> None:
        for each in (self._socket, *self._open):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()


@dataclass
class FakeNode:
    """A node by the contract.

    Attributes:
        says: status by path; 0 for no answer at all, as of a program that hangs.
    """

    name: str
    namespace: str
    address: str
    says: dict[str, int] = field(default_factory=lambda: {"/writer": 503, "/reader": 503})
    asked: int = 0

    def start(self) -> None:
        self._listeners = [
            Listener(self.namespace, PORT, self._session),
            Listener(self.namespace, ASKED, self._status),
        ]

    def stop(self) -> None:
        """As a dead process: nobody listens."""
        for listener in self._listeners:
            listener.close()

    def _status(self, connection: socket.socket) -> None:
        request = b""
        while b"\r\n\r\n" not in request:
            if not (more := connection.recv(4096)):
                return
            request += more
        self.asked += 1
        if status := self.says.get(request.split(b" ")[1].decode(), 404):
            connection.sendall(b"HTTP/1.0 %d Word\r\nContent-Length: 0\r\n\r\n" % status)
        else:
            connection.recv(1)  # until the one who asks goes away

    def _session(self, connection: socket.socket) -> None:
        """Says who it is, then whatever it is told."""
        connection.sendall(f"{self.name}\n".encode())
        while said := connection.recv(4096):
            connection.sendall(said)
