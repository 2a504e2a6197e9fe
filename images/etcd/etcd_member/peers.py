"""What members say to one another on the peer port, over mutual TLS: asking, and answering while empty.

etcd itself answers `GET /members` there once it runs. A member that waits with an empty directory answers
the same question with an empty list, and remembers who asked: only empty members do.
Leaves to `formation` what follows from the answers.
"""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from urllib.parse import parse_qs, urlsplit

from .formation import Answer, Member
from .settings import Settings

TIMEOUT = 5.0  # seconds for one question
FRESH = 10.0  # seconds for which the word of one that asked counts


def context(settings: Settings, side: int) -> ssl.SSLContext:
    """TLS that shows this member's certificate and accepts only the stack's own.

    Host names are not compared: the authority signs nothing but members of this cluster.

    Args:
        side: `ssl.PROTOCOL_TLS_CLIENT` or `ssl.PROTOCOL_TLS_SERVER`.
    """
    made = ssl.SSLContext(side)
    made.check_hostname = False
    made.verify_mode = ssl.CERT_REQUIRED
    made.load_verify_locations(settings.ca_file)
    made.load_cert_chain(settings.cert_file, settings.key_file)
    return made


def members_at(url: str, name: str, tls: ssl.SSLContext, timeout: float = TIMEOUT, whom: str = "") -> Answer:
    """What the member at peer URL `url` says to the member `name`; None when it does not answer.

    `whom`: who should be there.
    """
    split = urlsplit(url)
    connection = http.client.HTTPSConnection(split.hostname or "", split.port, timeout=timeout, context=tls)
    try:
        connection.request("GET", f"/members?from={name}&to={whom}")
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


def ask_all(others: Mapping[str, str], name: str, tls: ssl.SSLContext) -> dict[str, Answer]:
    """What the members at these peer URLs say to `name`.

    Asked side by side: those that are off cost one time-out together.
    """
    found: dict[str, Answer] = dict.fromkeys(others)

    def ask(other: str) -> None:
        found[other] = members_at(others[other], name, tls, whom=other)

    threads = [threading.Thread(target=ask, args=(other,)) for other in found]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


class EmptySeat:
    """A member that waits with an empty directory: it asks the others, and answers them on the peer port
    until `close`, or until etcd takes its place.
    """

    def __init__(self, settings: Settings) -> None:
        """Listen. Raises OSError when the port is taken."""
        self.asked = threading.Event()  # set when somebody asks who had not for a while
        self.at_home = False  # this member's own peer URL leads to itself, as the last `answers` has seen
        self._settings = settings
        self._others = {name: url for name, url in settings.peers.items() if name != settings.name}
        self._heard: dict[str, float] = {}
        self._client = context(settings, ssl.PROTOCOL_TLS_CLIENT)
        self._server = context(settings, ssl.PROTOCOL_TLS_SERVER)
        self._socket = socket.create_server((settings.listen, settings.peer_port))
        threading.Thread(target=self._serve, name="empty seat", daemon=True).start()

    def answers(self) -> dict[str, Answer]:
        """What the other members say.

        This member's own URL is asked with them. A service that still has the addresses of former hosts may
        give this one the address of another, or of nobody: a seat taken there would stay nobody's.
        """
        self.asked.clear()
        self.at_home = False
        found = ask_all(self._settings.peers, self._settings.name, self._client)
        del found[self._settings.name]
        now = time.monotonic()
        for name, at in list(self._heard.items()):
            if found[name] is None and now - at < FRESH:
                # It has asked and answers no more, so it is starting its etcd: it was empty, as this one is.
                found[name] = []
        return found

    def close(self) -> None:
        """Answer no more."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)  # wakes the thread that accepts
        self._socket.close()

    def _serve(self) -> None:
        while True:
            try:
                raw, _address = self._socket.accept()
            except OSError:
                return
            # A stranger, a scan, an etcd that looks for its peer: none of them matters here.
            with raw, suppress(OSError):
                raw.settimeout(2.0)
                with self._server.wrap_socket(raw, server_side=True) as connection:
                    self._answer(connection)

    def _answer(self, connection: ssl.SSLSocket) -> None:
        request = connection.recv(4096).split(b"\r\n", 1)[0].decode(errors="replace").split(" ")
        split = urlsplit(request[1] if len(request) > 1 else "")
        if request[0] != "GET" or split.path != "/members":
            connection.sendall(b"HTTP/1.0 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n")
            return
        query = parse_qs(split.query)
        asking = set(query.get("from", ()))
        # Not only asked by itself: with exchanged addresses it meets itself under the other's name.
        self.at_home |= self._settings.name in asking and self._settings.name in query.get("to", ())
        for name in asking & set(self._others):
            before = self._heard.get(name, -FRESH)
            self._heard[name] = time.monotonic()
            if self._heard[name] - before >= FRESH:
                self.asked.set()
        connection.sendall(b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\n[]")
