"""Questions to the other members: their peer port (mutual TLS) and the cluster's client API.

Leaves to `formation` what follows from the answers.
"""

from __future__ import annotations

import http.client
import json
import ssl
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from .formation import Member
from .settings import Settings

TIMEOUT = 5.0  # seconds for one question


class ApiError(Exception):
    """The cluster refused or did not answer; the message is for the log."""


def tls(settings: Settings) -> ssl.SSLContext:
    """A context that shows this member's certificate and trusts only the peers' own CA.

    Host names are not compared: the CA signs nothing but members of this cluster.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.load_verify_locations(settings.ca_file)
    context.load_cert_chain(settings.cert_file, settings.key_file)
    return context


def members_at(url: str, context: ssl.SSLContext, timeout: float = TIMEOUT) -> list[Member] | None:
    """The member list as the member at peer URL `url` sees it; None when it does not answer."""
    split = urlsplit(url)
    connection = http.client.HTTPSConnection(
        split.hostname or "", split.port, timeout=timeout, context=context
    )
    try:
        connection.request("GET", "/members")
        response = connection.getresponse()
        body = response.read()
        if response.status != 200:
            return None
        return [
            Member(
                id=int(item["id"]),
                name=item.get("name", ""),
                peer_urls=tuple(item.get("peerURLs") or ()),
                client_urls=tuple(item.get("clientURLs") or ()),
            )
            for item in json.loads(body)
        ]
    except (OSError, http.client.HTTPException, ValueError, KeyError):
        return None
    finally:
        connection.close()


class ClusterApi:
    """The cluster's membership through its client URL, at which any live member answers."""

    def __init__(self, url: str, timeout: float = TIMEOUT) -> None:
        split = urlsplit(url)
        self._host, self._port, self._timeout = split.hostname or "", split.port or 2379, timeout

    def _post(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        connection = http.client.HTTPConnection(self._host, self._port, timeout=self._timeout)
        try:
            connection.request("POST", path, json.dumps(body))
            response = connection.getresponse()
            text = response.read().decode(errors="replace")
            if response.status != 200:
                raise ApiError(f"{path}: {text.strip()}")
            answer: dict[str, Any] = json.loads(text)
            return answer
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise ApiError(f"{path} at {self._host}:{self._port}: {error}") from error
        finally:
            connection.close()

    def members(self) -> list[Member]:
        """The cluster's seats. Raises ApiError."""
        return [
            Member(
                id=int(item["ID"]),
                name=item.get("name", ""),
                peer_urls=tuple(item.get("peerURLs", ())),
                client_urls=tuple(item.get("clientURLs", ())),
            )
            for item in self._post("/v3/cluster/member/list", {}).get("members", [])
        ]

    def remove(self, member_id: int) -> None:
        """Takes a seat away. Raises ApiError, e.g. when the cluster would lose its quorum."""
        self._post("/v3/cluster/member/remove", {"ID": str(member_id)})

    def add(self, peer_url: str) -> None:
        """Adds a seat for the member at `peer_url`. Raises ApiError."""
        self._post("/v3/cluster/member/add", {"peerURLs": [peer_url]})
