"""Nodes that speak the load balancer's side of a Galera node, and the engine's name server, in this process.

Owns: sockets in network namespaces of others, what a node says on port 4569, sessions on port 3306, the name
`tasks.galera`. Leaves what is made of that to the tests. What real nodes say is for their own tests.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import socket
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

CLONE_NEWNET = 0x40000000
PORT, ASKED = 3306, 4569
libc = ctypes.CDLL(None, use_errno=True)


def socket_in(namespace: str, kind: int = socket.SOCK_STREAM) -> socket.socket:
    """A socket that belongs to a network namespace: it stays there, whoever uses it."""
    made: list[socket.socket] = []

    def make() -> None:
        descriptor = os.open(f"/run/netns/{namespace}", os.O_RDONLY)
        try:
            if libc.setns(descriptor, CLONE_NEWNET) != 0:
                raise OSError(ctypes.get_errno(), "setns")
            made.append(socket.socket(socket.AF_INET, kind))
        finally:
            os.close(descriptor)

    # A namespace is a thread's own, and that of this one ends with it.
    thread = threading.Thread(target=make)
    thread.start()
    thread.join()
    return made[0]


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


class NameServer:
    """127.0.0.11 of one namespace: the engine's own server, which knows one name.

    Attributes:
        addresses: that the name has; none for a name that there is not.
    """

    def __init__(self, namespace: str, name: str = "tasks.galera") -> None:
        self.addresses: list[str] = []
        self._question = b"".join(bytes([len(part)]) + part.encode() for part in name.split(".")) + b"\0"
        self._socket = socket_in(namespace, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.11", 53))
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                query, client = self._socket.recvfrom(4096)
                if not query:
                    return
                self._socket.sendto(self._answer(query), client)

    def _answer(self, query: bytes) -> bytes:
        end = 12 + len(self._question)
        known = query[12:end].lower() == self._question
        asked = struct.unpack("!H", query[end : end + 2])[0]
        found = self.addresses if known and asked == 1 else []
        code = 0 if known and self.addresses else 3
        head = query[:2] + struct.pack("!HHHHH", 0x8180 | code, 1, len(found), 0, 0)
        records = b"".join(
            b"\xc0\x0c" + struct.pack("!HHIH", 1, 1, 600, 4) + socket.inet_aton(address) for address in found
        )
        return head + query[12 : end + 4] + records

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
