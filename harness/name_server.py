"""The engine's name server as a container meets it, and sockets in a container's network namespace.

Owns: what is made in the network namespace of another process, and the name server's answers for one name.
Leaves to others: the namespaces (`image_containers`), what the name stands for.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import socket
import struct
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
CLONE_NEWNET = 0x40000000
libc = ctypes.CDLL(None, use_errno=True)


def inside(namespace: str, make: Callable[[], T]) -> T:
    """What `make` gives in a network namespace; its sockets and threads stay there. Raises OSError."""

    def enter() -> T:
        descriptor = os.open(f"/run/netns/{namespace}", os.O_RDONLY)
        try:
            if libc.setns(descriptor, CLONE_NEWNET) != 0:
                raise OSError(ctypes.get_errno(), "setns")
        finally:
            os.close(descriptor)
        return make()

    # A namespace is a thread's own, and that of this one ends with it.
    with ThreadPoolExecutor(1) as alone:
        return alone.submit(enter).result()


def socket_in(namespace: str, kind: int = socket.SOCK_STREAM) -> socket.socket:
    """A socket that belongs to a network namespace, whoever uses it. Raises OSError."""
    return inside(namespace, lambda: socket.socket(socket.AF_INET, kind))


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
        """Nobody answers any more."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
