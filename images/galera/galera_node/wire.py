"""The way to the store: one kept HTTP connection, with TLS on both sides, over the standard library alone.

Owns: connecting, who must show which certificate, and one clear sentence for each way in which that fails.
Leaves to others: what is asked (`etcd`, `consul`), which store it is (`stores`).

The connection is kept and made anew after an error, so that a name with several addresses, or a service's
virtual IP, can lead to another member.
"""

from __future__ import annotations

import http.client
import re
import ssl
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from enum import IntEnum
from pathlib import Path

from .network import Names
from .store import StoreError

REFUSALS = ("CERT", "UNKNOWN_CA", "HANDSHAKE_FAILURE", "ACCESS_DENIED")
"""What the names of alerts have in them by which a server turns away a client for its certificate."""
VALIDITY = re.compile(rb"(?:\x17\x0d|\x18\x0f)\d{12,14}Z(?:\x17\x0d|\x18\x0f)(\d{12,14})Z")
"""From when and until when, side by side, as every certificate has it (RFC 5280, 4.1.2.5)."""


class Wrong(IntEnum):
    """What may be wrong with a certificate, in OpenSSL's numbers; all others mean a foreign one."""

    NOT_YET = 9
    EXPIRED = 10
    OTHER_NAME = 62


class Wire:
    """One connection to a store.

    Args:
        name: of the store, for messages. host, port: where.
        names: bounds the wait for the host's name.
        timeout: seconds, for connecting and for one request.
        context: shows this node's certificate and knows whom to trust; None for plain HTTP.
        server_name: that the server's certificate must bear; the host's without.
        own: the file of this node's certificate, to say whether it has expired.
    """

    def __init__(
        self,
        name: str,
        host: str,
        port: int,
        names: Names,
        timeout: float = 5.0,
        context: ssl.SSLContext | None = None,
        server_name: str = "",
        own: Path | None = None,
    ) -> None:
        self.where = f"{name} at {host}:{port}"
        self._name, self._host, self._port, self._names = name, host, port, names
        self._timeout, self._context, self._server_name, self._own = timeout, context, server_name, own
        self._connection: http.client.HTTPConnection | None = None

    def another(self, timeout: float | None = None) -> Wire:
        """A second connection to the same store: for a thread, or with another patience."""
        patience = self._timeout if timeout is None else timeout
        name, place = self._name, (self._host, self._port)
        return Wire(name, *place, self._names, patience, self._context, self._server_name, self._own)

    def request(
        self, method: str, path: str, body: str | None = None, headers: Mapping[str, str] | None = None
    ) -> tuple[int, str]:
        """Status and text of the answer. Raises StoreError with what is wrong; the next one connects anew."""
        fresh = self._connection is None
        try:
            if self._connection is None:
                self._connection = self._connect()
            self._connection.request(method, path, body, dict(headers or {}))
            response = self._connection.getresponse()
            return response.status, response.read().decode(errors="replace")
        except (OSError, http.client.HTTPException) as error:
            self.drop()
            told = self._alert() if fresh and not _clear(error) else None
            raise StoreError(f"{self.where} {self._words(told or error)}") from error

    def drop(self) -> None:
        """Have the next request connect anew."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _connect(self) -> http.client.HTTPConnection:
        """A connection to the first of the store's addresses that takes one. Raises OSError."""
        failed = OSError("the name does not resolve")
        for address in self._names.addresses(self._host):
            connection = http.client.HTTPConnection(address, self._port, timeout=self._timeout)
            try:
                connection.connect()
                if self._context is not None:
                    name = self._server_name or self._host
                    connection.sock = self._context.wrap_socket(connection.sock, server_hostname=name)
            except OSError as error:
                connection.close()
                failed = error
                continue
            return connection
        raise failed

    def _alert(self) -> ssl.SSLError | None:
        """Why a server turns this node away, if it does.

        With TLS 1.3 it says so after the handshake, when the client's request may be under way; it then
        closes on unread data, and its word is lost with the connection. Who says nothing hears it.
        """
        with suppress(OSError):
            connection = self._connect()
            try:
                if connection.sock is not None:
                    connection.sock.settimeout(1.0)
                    connection.sock.recv(1)
            except ssl.SSLError as error:
                return error
            finally:
                connection.close()
        return None

    def _words(self, error: Exception) -> str:
        if isinstance(error, ssl.SSLCertVerificationError):
            return self._of_its_certificate(error)
        reason = (getattr(error, "reason", None) or "") if isinstance(error, ssl.SSLError) else ""
        if "ALERT" in reason and any(word in reason for word in REFUSALS):
            return f"refuses this node's certificate (secret store-client.crt): {self._own_words(reason)}"
        if reason in ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "PACKET_LENGTH_TOO_LONG"):
            return "speaks no TLS. Remedy: STORE must name the port that does"
        return f"does not answer: {error}"

    def _of_its_certificate(self, error: ssl.SSLCertVerificationError) -> str:
        """What is wrong with what the server shows."""
        match error.verify_code:
            case Wrong.EXPIRED:
                return (
                    "shows a certificate that has expired. Remedy: `pulumi up` brings a new one; look at the "
                    "clock of this host, too"
                )
            case Wrong.NOT_YET:
                return "shows a certificate that is not valid yet. Remedy: set the clocks of the hosts"
            case Wrong.OTHER_NAME:
                name = self._server_name or self._host
                return f"shows a certificate of others than {name}. Remedy: `pulumi up`, or look who answers"
        return (
            f"shows a certificate that the stack's authority (secret store-ca.crt) has not signed: "
            f"{error.verify_message}. It is not trusted and told nothing. Remedy: look who answers there; "
            "after a change of the authority, `pulumi up`"
        )

    def _own_words(self, reason: str) -> str:
        until = None if self._own is None else valid_until(self._own)
        if until is not None and until < datetime.now(UTC):
            return f"it expired on {until:%Y-%m-%d}. Remedy: `pulumi up` brings a new one"
        said = reason.rpartition("ALERT_")[2].replace("_", " ").lower()
        return (
            f"{said}. Another authority has signed it, or none that the store knows. Remedy: `pulumi up` "
            "gives both sides certificates of one authority"
        )


def _clear(error: Exception) -> bool:
    """Whether an error says all that there is to know; others may only follow from an alert that was lost."""
    if isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError):
        return False
    return isinstance(error, ssl.SSLError | TimeoutError | ConnectionRefusedError)


def valid_until(path: Path) -> datetime | None:
    """When the certificate in a PEM file ends; None if that is not to be seen."""
    try:
        begin, end = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
        text = path.read_text()
        first = text[text.index(begin) : text.index(end) + len(end)]
        found = VALIDITY.search(ssl.PEM_cert_to_DER_cert(first))
        if found is None:
            return None
        digits = found[1].decode()
        # Of a year only two digits are written until 2049.
        return datetime.strptime(("20" if len(digits) == 12 else "") + digits, "%Y%m%d%H%M%S").replace(
            tzinfo=UTC
        )
    except (OSError, ValueError):
        return None
