"""What a client and a server of the store show one another, written as the containers get it.

Owned here: files and TLS contexts. Left to others: what is expected of them.
"""

from __future__ import annotations

import datetime as dt
import ssl
from pathlib import Path

from components import certificates
from components.certificates import Signed

NOW = dt.datetime.now(dt.UTC)
LONG_AGO = NOW - dt.timedelta(days=4000)
"""What is signed then has expired."""
AUTHORITY = certificates.new_authority("clients", NOW)
STRANGER = certificates.new_authority("clients", NOW)
PASSWORD = "of-galera"


def client(folder: Path, authority: Signed = AUTHORITY, when: dt.datetime = NOW) -> Path:
    """The four secrets of a Galera node; it trusts AUTHORITY."""
    signed = certificates.client_certificate("galera", authority, when)
    for name, text in (
        ("store-ca.crt", AUTHORITY.certificate),
        ("store-client.crt", signed.certificate),
        ("store-client.key", signed.private_key),
        ("store-token", PASSWORD),
    ):
        (folder / name).write_text(text)
    return folder


def server(folder: Path, authority: Signed = AUTHORITY, when: dt.datetime = NOW) -> ssl.SSLContext:
    """TLS of a server on the loopback that lets in whoever AUTHORITY has signed."""
    signed = certificates.peer_certificate("server", ["127.0.0.1", "localhost"], authority, when)
    for name, text in (
        ("server.crt", signed.certificate),
        ("server.key", signed.private_key),
        ("clients.crt", AUTHORITY.certificate),
    ):
        (folder / name).write_text(text)
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.verify_mode = ssl.CERT_REQUIRED
    made.load_verify_locations(folder / "clients.crt")
    made.load_cert_chain(folder / "server.crt", folder / "server.key")
    return made
