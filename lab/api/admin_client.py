"""The other end of the admin calls: JSON over HTTP to a lab's API, wherever its network namespace is."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

TIMEOUT = 10.0
"""Seconds to wait for the API."""


class AdminError(Exception):
    """The API cannot be reached or refused a call; the text says why and what to do."""


class AdminClient:
    """Admin calls over connections that `connect` makes, one for each call."""

    def __init__(self, connect: Callable[[], socket.socket], where: str) -> None:
        """`where` names the API in messages."""
        self._connect = connect
        self._where = where

    @classmethod
    def at(cls, url: str) -> AdminClient:
        """A client for an API that this process can reach, by any URL on its port. Raises AdminError."""
        parts = urlsplit(url)
        if parts.scheme != "http" or not parts.hostname:
            raise AdminError(f"'{url}' is not the URL of a lab's API; expected http://HOST:PORT.")
        address = (parts.hostname, parts.port or 80)
        return cls(lambda: socket.create_connection(address, TIMEOUT), url)

    def call(self, verb: str, path: str, body: Any = None) -> Any:
        """Make a call and return its answer. Raises AdminError."""
        connection = http.client.HTTPConnection("lab")
        try:
            connection.sock = self._connect()
            connection.request(verb, f"/admin/{path}", json.dumps(body) if body is not None else None)
            response = connection.getresponse()
            answer = json.loads(response.read() or b"{}")
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise AdminError(
                f"The lab's API at {self._where} cannot be reached: {error}. Is the lab up? See `lab status`."
            ) from None
        finally:
            connection.close()
        if response.status != 200:
            raise AdminError(str(answer.get("error", response.reason)))
        return answer
