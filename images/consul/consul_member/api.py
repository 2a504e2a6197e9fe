"""The own agent's HTTP API, over mutual TLS on the loopback. Leaves to others what is asked and why."""

from __future__ import annotations

import http.client
import json
import ssl
from typing import Any

from .config import HTTPS
from .settings import FILES, MANAGEMENT, Settings

TIMEOUT = 5.0  # seconds for one question
NO_SERVERS = "No known Consul servers"  # Consul's words
EXPIRED = 10  # what is wrong with a certificate, in OpenSSL's numbers


class ApiError(Exception):
    """The agent refused or did not answer; the message is for the log.

    Attributes:
        status: of the answer; 0 if there was none.
    """

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.status = status


def refused(error: ssl.SSLCertVerificationError) -> str:
    """What is wrong with this member's own certificate, which its agent shows here and to all others."""
    if error.verify_code == EXPIRED:
        return (
            "this member's certificate (secret consul.crt) has expired. Remedy: `pulumi up` brings a new one"
        )
    return (
        "this member's certificate (secret consul.crt) is not one that its authority (secret consul-ca.crt) "
        f"has signed for it: {error.verify_message}. Remedy: `pulumi up` gives all members those of one "
        "authority"
    )


class AgentApi:
    """Questions to this host's agent, with the rights of the management token unless another is given."""

    def __init__(self, settings: Settings, timeout: float = TIMEOUT, port: int = HTTPS) -> None:
        authority, certificate, key = (str(settings.secrets / name) for name in FILES)
        self._tls = ssl.create_default_context(cafile=authority)
        self._tls.load_cert_chain(certificate, key)
        self._token = settings.secret(MANAGEMENT)
        self._timeout, self._port = timeout, port

    def ask(self, method: str, path: str, body: Any = None, token: str | None = None) -> Any:
        """The answer's JSON, None if it is empty. Raises ApiError."""
        connection = http.client.HTTPSConnection(
            "127.0.0.1", self._port, timeout=self._timeout, context=self._tls
        )
        try:
            text = None if body is None else json.dumps(body)
            connection.request(method, path, text, {"X-Consul-Token": token or self._token})
            response = connection.getresponse()
            answer = response.read().decode(errors="replace").strip()
            if response.status != 200:
                raise ApiError(f"{path}: {answer[:300]}", response.status)
            return json.loads(answer) if answer else None
        except ssl.SSLCertVerificationError as error:
            raise ApiError(f"{path}: {refused(error)}") from error
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise ApiError(f"{path}: the agent does not answer: {error}") from error
        finally:
            connection.close()

    def leader(self) -> str:
        """The leader's address as address:port, as this agent knows it; empty if there is none."""
        try:
            return str(self.ask("GET", "/v1/status/leader") or "")
        except ApiError as error:
            # Of an agent that is no server: none lets it in, or none is there.
            if error.status == 500 and NO_SERVERS in str(error):
                return ""
            raise

    def servers(self) -> list[dict[str, Any]]:
        """The servers that have a vote, or are about to: ID, Node, Address, Leader. Needs a majority."""
        listed: list[dict[str, Any]] = self.ask("GET", "/v1/operator/raft/configuration")["Servers"]
        return listed

    def members(self) -> list[dict[str, Any]]:
        """All that this agent has heard of: Name, Addr, Status (1 is alive)."""
        listed: list[dict[str, Any]] = self.ask("GET", "/v1/agent/members")
        return listed
