"""Whom the member lets in: users alone, or, until all have come over, clients of the version before as well.

Those came without TLS and without a name, to PLAIN_PORT. etcd itself no longer listens there. In a store
that an older version has made, each member opens a door for them (`PlainDoor`) and closes it once users are
turned on: by `secure`, which the stack's `up` runs after the last of Galera's nodes has come over. A store
that is formed by this version has never had such clients: users are turned on as soon as it serves.

Users are turned on in the store, once for all members, and stay so. What a member itself remembers (MARK) is
that the door is to stay shut, also while nobody can be asked.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from .alone import sync
from .api import LocalMember
from .certificate import valid_until
from .ctl import ApiError, Etcdctl
from .formation import Start
from .settings import CERTIFICATES, Settings
from .users import set_right

MARK = "users-only"
PLAIN_PORT = 2379
PAUSE = 2.0  # seconds between looks
CAME_ANEW = 30.0  # seconds in which the users of a store that has just formed will be there
PATIENCE = 60.0  # seconds of an election, or of a member that is slow
PUBLISHED = 15.0  # seconds in which a member that has just been changed says where its clients go


def leave_mark(data_dir: Path) -> None:
    """Says, durably, that nobody is let in without TLS any more."""
    (data_dir / MARK).touch()
    sync(data_dir)


def take_mark(data_dir: Path) -> None:
    """Takes that back: the member is about to join a store that may be older."""
    (data_dir / MARK).unlink(missing_ok=True)
    sync(data_dir)


def has_mark(data_dir: Path) -> bool:
    """Whether that has been said."""
    return (data_dir / MARK).exists()


class PlainDoor:
    """Clients without TLS, handed to the own member, until `close`."""

    def __init__(self, listen: str, port: int, member: tuple[str, int]) -> None:
        """Raises OSError when the port is taken."""
        self._member, self._lock = member, threading.Lock()
        self._open: set[socket.socket] = set()
        self._socket = socket.create_server((listen, port))
        threading.Thread(target=self._serve, name="plain door", daemon=True).start()

    def close(self) -> None:
        """Let nobody in any more, and send away who is there."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)  # wakes the thread that accepts
        self._socket.close()
        with self._lock:
            for stream in self._open:
                with suppress(OSError):
                    stream.shutdown(socket.SHUT_RDWR)

    def _serve(self) -> None:
        while True:
            try:
                client, _address = self._socket.accept()
            except OSError:
                return
            try:
                inside = socket.create_connection(self._member, timeout=5)
                inside.settimeout(None)
            except OSError:
                client.close()
                continue
            with self._lock:
                self._open |= {client, inside}
            for one, other in ((client, inside), (inside, client)):
                threading.Thread(target=self._pass_on, args=(one, other), daemon=True).start()

    def _pass_on(self, one: socket.socket, other: socket.socket) -> None:
        with suppress(OSError):
            while part := one.recv(65536):
                other.sendall(part)
        with self._lock:
            # Whoever of the two ends first ends both; the sockets go once nobody reads them.
            for stream in (one, other):
                with suppress(OSError):
                    stream.shutdown(socket.SHUT_RDWR)
            self._open.discard(one)
        one.close()


def ways(settings: Settings) -> tuple[LocalMember, Etcdctl]:
    """To the own member: as nobody, and as root."""
    host = settings.loopback
    return (
        LocalMember(settings.local_port, host, timeout=30.0),
        Etcdctl([f"https://{host}:{settings.client_port}"], settings.secrets),
    )


def keep(settings: Settings, start: Start, log: Callable[[str], None]) -> None:
    """Sees to the users and the door beside etcd, and returns once nothing is left to do.

    Args:
        start: how the member has started. One that came anew cannot know how old the store is, and waits a
            little for its users before it opens the door.
    """
    member, root = ways(settings)
    while not member.serves():
        time.sleep(PAUSE)
    door, said, came = None, "", time.monotonic()
    wait = CAME_ANEW if start is Start.REJOIN else 0.0
    while True:
        try:
            users = member.has_users()
            if users or has_mark(settings.data_dir):
                break
            if door is None and time.monotonic() - came >= wait:
                door = PlainDoor(
                    settings.listen, settings.plain_port, (settings.loopback, settings.local_port)
                )
                log(f"clients of the version before are let in at port {settings.plain_port}, for now")
        except (ApiError, OSError) as error:
            said = _once(said, f"the users are not seen to yet: {error}", log)
        time.sleep(PAUSE)
    if start is Start.NEW:
        # One of all is enough to make the users; the others then find them.
        time.sleep(2 * PAUSE * sorted(settings.peers).index(settings.name))
    if door is not None:
        door.close()
        log(f"port {settings.plain_port} is closed: clients come with TLS and as users")
    while True:
        try:
            turned_on(settings, member, root, log)
            leave_mark(settings.data_dir)
            return
        except (ApiError, OSError) as error:
            said = _once(said, f"the users are not seen to yet: {error}", log)
        time.sleep(PAUSE)


def _once(said: str, text: str, log: Callable[[str], None]) -> str:
    if text != said:
        log(text)
    return text


def turned_on(settings: Settings, member: LocalMember, root: Etcdctl, log: Callable[[str], None]) -> None:
    """The users as they are to be, and nobody else let in. Raises ApiError; then it may be repeated."""
    for what in set_right(settings, root, member):
        log(f"set right: {what}")
    if not member.has_users():
        root.tell("auth", "enable")
        log("users are turned on: who is none is refused")


def secure(settings: Settings, log: Callable[[str], None]) -> str:
    """Turns users on, for good; what there is to say. Raises ApiError with the reason if that cannot be.

    To be run once no client of the version before is left: it would be refused from then on.
    """
    member, root = ways(settings)
    began = time.monotonic()
    while True:
        patience = PATIENCE
        try:
            if member.has_users():
                return "clients are users already"
            seats = member.members()
            old = sorted(seat.name for seat in seats if any(u.startswith("http:") for u in seat.client_urls))
            if not old:
                turned_on(settings, member, root, log)
                return "clients are users from now on"
            patience = PUBLISHED
            error = f"{', '.join(old)} still run an older image, which knows no users. Remedy: `pulumi up`"
        except ApiError as problem:
            error = str(problem)
        if time.monotonic() - began > patience:
            raise ApiError(error)
        time.sleep(PAUSE)


def told(settings: Settings) -> str:
    """For `verify`: `users`, until when the certificates last and nothing else; or what is wrong."""
    member, root = ways(settings)
    ends = {name: end for name in CERTIFICATES if (end := valid_until(settings.secrets / name)) is not None}
    for name, end in ends.items():
        if end < datetime.now(UTC):
            return f"{name} expired on {end:%Y-%m-%d}. Remedy: `pulumi up` brings a new one"
    try:
        if not member.has_users():
            if has_mark(settings.data_dir):
                return (
                    "clients need no user: somebody has turned users off, which no `pulumi up` sees. Remedy: "
                    "`etcd-member secure` in this container"
                )
            return "clients need no user: an unfinished change. Remedy: `pulumi up`"
        root.tell("endpoint", "status")
    except ApiError as error:
        return f"root is not let in: {error}"
    with suppress(OSError), socket.create_connection((settings.loopback, settings.plain_port), timeout=2):
        return f"clients are let in without TLS at port {settings.plain_port}. Remedy: restart this member"
    return f"users until {min(ends.values()):%Y-%m-%d}" if ends else "users"
