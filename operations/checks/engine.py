"""What must hold of the engines' API with TLS, asked from here, as the docker plugin and people do it.

Owns: asking, and the checks. Changes nothing. Leaves to others: certificates (components/engine_tls.py), all
else about engines (cluster.py).
"""

from __future__ import annotations

import asyncio
import datetime as dt
import http.client
import socket
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from cryptography import x509

from components import certificates, engine_choice
from components.engine_choice import ANSWERED, Shown
from operations.checks.check import Check
from operations.checks.tls import RENEWED, SOON
from operations.outputs import EngineAccess, Outputs
from settings.ports import ENGINE_PORT

RENEW = "`up` renews them; engines start anew for that, one host at a time"


@dataclass(frozen=True)
class Heard:
    """What came of asking one engine.

    Attributes:
        error: why it did not answer a client with the certificate; empty if it did.
        stranger: what one without is told; empty if it was let in.
        ends: when the certificate that it shows is no longer good; None if it showed none that is.
    """

    error: str = ""
    stranger: str = ""
    ends: dt.datetime | None = None


async def ask(found: Outputs) -> dict[str, Heard]:
    """Ask all engines, by host name; where they listened once and are not to, whether they still do."""
    if found.engine is not None:
        engine = found.engine
        asked = [asyncio.to_thread(heard, engine, address) for address in engine.addresses.values()]
        return dict(zip(engine.addresses, await asyncio.gather(*asked), strict=True))
    if not found.listened:
        return {}
    closed = [asyncio.to_thread(unheard, host.address) for host in found.hosts]
    return dict(zip((host.name for host in found.hosts), await asyncio.gather(*closed), strict=True))


def heard(engine: EngineAccess, address: str) -> Heard:
    """Of one engine; never raises."""
    try:
        context = engine.shown.context()
        with _connected(address, engine.port, context) as connection:
            shown = connection.sock.getpeercert(binary_form=True)
            ends = x509.load_der_x509_certificate(shown or b"").not_valid_after_utc
            try:
                status = _asked(connection, "/_ping")
            except ConnectionError:
                return Heard(error=engine_choice.ENDED, ends=ends)
        stranger = _stranger(engine.shown, address, engine.port)
    except ssl.SSLError as error:
        return Heard(error=engine_choice.told(error))
    except (OSError, http.client.HTTPException, ValueError) as error:
        return Heard(error=str(error) or type(error).__name__)
    return Heard("" if status == 200 else f"it answers with status {status}", stranger, ends)


def unheard(address: str) -> Heard:
    """Whether anything still listens where an engine did."""
    try:
        with socket.create_connection((address, ENGINE_PORT), timeout=ANSWERED):
            return Heard()
    except OSError as error:
        return Heard(error=error.strerror or str(error) or "no answer")


class _connected(http.client.HTTPSConnection):  # noqa: N801 - a context, read as a word
    """A connection that is there."""

    def __init__(self, address: str, port: int, context: ssl.SSLContext) -> None:
        super().__init__(address, port, timeout=ANSWERED, context=context)

    def __enter__(self) -> _connected:
        self.connect()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _asked(connection: http.client.HTTPSConnection, path: str) -> int:
    connection.request("GET", path)
    return connection.getresponse().status


def _stranger(shown: Shown, address: str, port: int) -> str:
    """What a client without a certificate is told; empty if it is let in."""
    try:
        with _connected(address, port, ssl.create_default_context(cadata=shown.authority)) as connection:
            _asked(connection, "/_ping")
    except (ssl.SSLError, OSError, http.client.HTTPException) as error:
        return engine_choice.told(error) if isinstance(error, ssl.SSLError) else "the end of the connection"
    return ""


def of_engines(found: Outputs, answers: Mapping[str, Heard], now: dt.datetime | None = None) -> list[Check]:
    """Every engine lets in who has the certificate and nobody else, and certificates are good for a while."""
    if found.engine is None:
        return [_silent(name, answer) for name, answer in answers.items()]
    now = now or dt.datetime.now(dt.UTC)
    checks = [
        check for name in found.engine.addresses for check in _of_host(found.engine, name, answers[name], now)
    ]
    return [*checks, _of_clients(found.engine, now)]


def _of_host(engine: EngineAccess, name: str, answer: Heard, now: dt.datetime) -> Iterator[Check]:
    yield Check(
        name,
        "engine answers clients with the certificate, and no others",
        not answer.error and bool(answer.stranger),
        answer.error
        or (f"at {engine.addresses[name]}:{engine.port}" if answer.stranger else "it lets in who has none"),
        remedy="`up` brings certificate and listener to the host; see that this machine reaches the port "
        "(ssh.allowedCidrs), and 'systemctl cat docker' there"
        if answer.error or not answer.stranger
        else "",
    )
    if answer.ends is not None:
        yield _good_until(name, "engine's certificate", answer.ends, now)


def _of_clients(engine: EngineAccess, now: dt.datetime) -> Check:
    shown = engine.shown
    ends = min(certificates.ends(shown.authority), certificates.ends(shown.certificate))
    former = ", and a former authority is trusted" if shown.authority.count("BEGIN CERTIFICATE") > 1 else ""
    return _good_until("cluster", "engines' authority and clients' certificate", ends, now, former)


def _good_until(where: str, whose: str, ends: dt.datetime, now: dt.datetime, also: str = "") -> Check:
    days = (ends - now).days
    return Check(
        where,
        f"{whose}: good for {SOON} days",
        days >= SOON,
        f"{days} days, until {ends:%Y-%m-%d}{also}",
        warns=days < RENEWED,
        remedy=RENEW if days < RENEWED else "",
    )


def _silent(name: str, answer: Heard) -> Check:
    return Check(
        name,
        "engine is reached over SSH alone",
        bool(answer.error),
        answer.error or f"something listens on port {ENGINE_PORT}",
        remedy="" if answer.error else "`up` ends it; if it stays: 'systemctl cat docker' there",
    )
