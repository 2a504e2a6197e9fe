"""What answers as an engine's API with TLS does, on this machine; and a stack's certificates for it.

Owns: certificates from the stack's own providers, a server that lets in whom its authority has signed, and
says what an engine says of its swarm. Leaves to others: what is expected of who asks.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import http.server
import json
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from components import certificates
from components.certificates import Signed
from components.client_certificate import ClientCertificateProvider
from components.engine_certificate import EngineCertificateProvider
from components.engine_choice import Shown
from components.peer_authority import PeerAuthorityProvider

LEADS: dict[str, Any] = {"LocalNodeState": "active", "ControlAvailable": True}


class EngineCertificates:
    """One generation's, in the shape of the state.

    Attributes:
        authority, engine, client: properties.
    """

    def __init__(
        self, before: EngineCertificates | None = None, addresses: tuple[str, ...] = ("127.0.0.1",)
    ) -> None:
        """`before`: what this generation takes over from, as the stack's state does."""
        self.generation: int = 1 if before is None else before.generation + 1
        asked = {"name": "engines-authority", "generation": self.generation}
        authority, engine, client = (
            PeerAuthorityProvider(),
            EngineCertificateProvider(),
            ClientCertificateProvider(),
        )
        made = authority.create(asked) if before is None else authority.update("x", before.authority, asked)
        self.authority: dict[str, Any] = made.outs or {}
        by = {"authority": self.authority["certificate"], "authority_key": self.authority["private_key"]}
        of_engine = {"name": "galera-1-engine-certificate", "addresses": list(addresses), **by}
        of_client = {"called": "swarm-galera", "user": True, **by}
        self.engine: dict[str, Any]
        self.client: dict[str, Any]
        if before is None:
            self.engine = engine.create(of_engine).outs or {}
            self.client = client.create(of_client).outs or {}
        else:
            self.engine = engine.update("x", before.engine, of_engine).outs or {}
            self.client = client.update("x", before.client, of_client).outs or {}

    @property
    def shown(self) -> Shown:
        """What a client has."""
        client = self.client
        return Shown(client["ca_certificate"], client["certificate"], client["private_key"])

    @property
    def files(self) -> dict[str, str]:
        """What an engine has, by the files' names."""
        engine = self.engine
        contents = engine["ca_certificate"], engine["certificate"], engine["private_key"]
        return dict(zip(("ca.pem", "cert.pem", "key.pem"), contents, strict=True))

    def another(
        self, *, name: str = "127.0.0.1", ago: dt.timedelta = dt.timedelta(), of_client: bool = False
    ) -> Signed:
        """Of the same authority for another name, signed so long ago, or of the other kind."""
        by = Signed(self.authority["certificate"], self.authority["private_key"])
        now = dt.datetime.now(dt.UTC) - ago
        if of_client:
            return certificates.client_certificate("x", by, now, user=True)
        return certificates.server_certificate("x", [name], by, now)


class Server(http.server.ThreadingHTTPServer):
    """To which whoever is not let in is no error."""

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass


@contextlib.contextmanager
def answering(
    files: dict[str, str],
    folder: Path,
    swarm: dict[str, Any],
    *,
    leader: bool = True,
    open_to_all: bool = False,
) -> Iterator[int]:
    """A server with these files; its port.

    Args:
        leader: whether it can list nodes. open_to_all: it asks for no certificate.
    """

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            nodes = leader and bool(swarm.get("ControlAvailable"))
            status = 503 if self.path == "/nodes" and not nodes else 200
            text = json.dumps({"Swarm": swarm, "ApiVersion": "1.41"}).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_: object) -> None:
            pass

    for name, text in files.items():
        (folder / name).write_text(text)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    context.load_verify_locations(folder / "ca.pem")
    context.verify_mode = ssl.CERT_NONE if open_to_all else ssl.CERT_REQUIRED
    server = Server(("127.0.0.1", 0), Handler)
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
