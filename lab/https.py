"""HTTPS to a service of the lab, from outside of its namespace, with the lab's authority."""

from __future__ import annotations

import http.client
import socket
import ssl
from pathlib import Path

from lab import network


class Connection(http.client.HTTPSConnection):
    """To `address` through the namespace; the certificate must bear `host`."""

    def __init__(self, namespace: str, authority: Path, host: str, address: str, port: int) -> None:
        self._context = ssl.create_default_context(cafile=str(authority))
        super().__init__(host, port, timeout=10, context=self._context)
        self._namespace, self._address = namespace, address

    def connect(self) -> None:
        plain: socket.socket = network.connect(self._namespace, self._address, self.port, 10)
        self.sock = self._context.wrap_socket(plain, server_hostname=self.host)
