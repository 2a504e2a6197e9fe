"""SSH connections that the plugins keep open and share.

Owns: one set of connections for each distinct way to a host, opened on first use, at most `SESSIONS` sessions
on each (sshd allows ten by default), opened anew when broken; dialling with retries; the verification of the
host's key. A handshake costs about a second on a slow host, a session on an open connection almost nothing.
Leaves to others: what is run over a connection. Nothing is run twice: what breaks midway is the caller's
error.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field, replace

import asyncssh

SESSIONS = 8  # on one connection; below sshd's default MaxSessions of 10

_KEEPALIVE = 15  # seconds between probes of an idle or silent host
_KEEPALIVE_MISSED = 8  # probes without an answer: dead; a crowded host may be silent for a minute
_LOGIN = 60  # seconds for handshake and login at least; a dial's own limit is for reaching the host

_FIRST_DELAY, _DELAY_FACTOR, _LONGEST_DELAY = 0.1, 1.5, 5.0  # seconds; the official provider's backoff


class SshError(Exception):
    """No connection, or no session on it; the text is for the user."""


@dataclass(frozen=True)
class Endpoint:
    """A host and how to get in; the fields are those of `command.remote.ConnectionArgs`.

    `dial_error_limit` failed attempts are repeated (-1: without end), each may take `per_dial_timeout`
    seconds to reach the host (0: without limit). With a `host_key` only that one is believed, with a
    `known_hosts_file` only what it lists; without both any host is.
    """

    host: str
    port: int = 22
    user: str = "root"
    password: str | None = field(default=None, repr=False)
    private_key: str | None = field(default=None, repr=False)
    private_key_password: str | None = field(default=None, repr=False)
    private_key_file: str | None = None
    agent_socket_path: str | None = None
    host_key: str | None = None
    known_hosts_file: str | None = None
    dial_error_limit: int = field(default=10, compare=False)
    per_dial_timeout: int = field(default=15, compare=False)
    proxy: Endpoint | None = None

    def __str__(self) -> str:
        return f"{self.user}@{self.host}" + (f":{self.port}" if self.port != 22 else "")


OnRetry = Callable[[str], Awaitable[None]]


@dataclass
class _Shared:
    """An open connection and the number of sessions on it."""

    connection: asyncssh.SSHClientConnection
    sessions: int = 0
    room: int = SESSIONS


@dataclass
class _Route:
    """The connections to one endpoint. `dialling` makes callers share one handshake."""

    dialling: asyncio.Lock = field(default_factory=asyncio.Lock)
    open: list[_Shared] = field(default_factory=list)


class ConnectionPool:
    """Connections by endpoint, for the life of the plugin."""

    def __init__(self) -> None:
        self._routes: dict[Endpoint, _Route] = {}

    @contextlib.asynccontextmanager
    async def session(
        self, endpoint: Endpoint, on_retry: OnRetry
    ) -> AsyncIterator[asyncssh.SSHClientConnection]:
        """A connection with room for one more session, reserved for the block. Raises `SshError`."""
        shared = await self._reserve(endpoint, on_retry)
        try:
            yield shared.connection
        finally:
            shared.sessions -= 1

    def refused(self, connection: asyncssh.SSHClientConnection) -> bool:
        """Note that the host refused another session on `connection`; whether a further one may be tried."""
        for route in self._routes.values():
            for shared in route.open:
                if shared.connection is connection:
                    # The caller's own, refused session is among those counted.
                    shared.room = max(1, shared.sessions - 1)
                    return shared.sessions > 1
        return False

    async def close(self) -> None:
        """Close all connections, without waiting for slow hosts."""
        connections = [s.connection for route in self._routes.values() for s in route.open]
        self._routes.clear()
        for connection in connections:
            connection.abort()

    async def _reserve(self, endpoint: Endpoint, on_retry: OnRetry) -> _Shared:
        route = self._routes.setdefault(endpoint, _Route())
        if shared := _with_room(route):
            return shared
        # One handshake at a time for a host: the callers that wait here use what the first one opened.
        async with route.dialling:
            if shared := _with_room(route):
                return shared
            shared = _Shared(await dial(endpoint, on_retry), sessions=1)
            route.open.append(shared)
            return shared


def _with_room(route: _Route) -> _Shared | None:
    route.open = [s for s in route.open if not s.connection.is_closed()]
    for shared in route.open:
        if shared.sessions < shared.room:
            shared.sessions += 1
            return shared
    return None


async def dial(endpoint: Endpoint, on_retry: OnRetry) -> asyncssh.SSHClientConnection:
    """Connect, again and again up to the endpoint's limit. `on_retry` is told why. Raises `SshError`."""
    tunnel = None
    if endpoint.proxy is not None:
        try:
            tunnel = await dial(endpoint.proxy, on_retry)
        except SshError as error:
            raise SshError(f"proxy: {error}") from error
    try:
        return await _dial(endpoint, tunnel, on_retry)
    except BaseException:
        if tunnel is not None:
            tunnel.abort()
        raise


async def _dial(
    endpoint: Endpoint, tunnel: asyncssh.SSHClientConnection | None, on_retry: OnRetry
) -> asyncssh.SSHClientConnection:
    options = _options(endpoint)
    failures, delay = 0, _FIRST_DELAY
    while True:
        try:
            if tunnel is not None:
                return await asyncssh.connect(endpoint.host, endpoint.port, tunnel=tunnel, options=options)
            # Reached here and not by asyncssh, whose timeout would count the handshake, too.
            reached = await asyncio.wait_for(_reach(endpoint), endpoint.per_dial_timeout or None)
            return await asyncssh.connect(endpoint.host, endpoint.port, sock=reached, options=options)
        except asyncssh.HostKeyNotVerifiable as error:
            # Trying again can't help, and this is the one failure nobody must overlook.
            place = endpoint.known_hosts_file or "the connection's hostKey"
            raise SshError(
                f"{endpoint} does not show the expected SSH host key ({error}): it is another machine, it "
                "was reinstalled, or someone is in between. If the change is wanted, put the new "
                f"key into {place}."
            ) from error
        except (OSError, asyncssh.Error, TimeoutError) as error:
            failures += 1
            reason = _reason(error, endpoint)
            if endpoint.dial_error_limit >= 0 and failures > endpoint.dial_error_limit:
                raise SshError(f"{endpoint}: after {failures} failed attempts: {reason}") from error
        limit = "inf" if endpoint.dial_error_limit < 0 else str(endpoint.dial_error_limit)
        await on_retry(f"Dial {failures}/{limit} failed: {reason}; retrying")
        await asyncio.sleep(delay)
        delay = min(delay * _DELAY_FACTOR, _LONGEST_DELAY)


async def _reach(endpoint: Endpoint) -> socket.socket:
    """A TCP connection to the host, by the first of its addresses that answers."""
    loop = asyncio.get_running_loop()
    addresses = await loop.getaddrinfo(endpoint.host, endpoint.port, type=socket.SOCK_STREAM)
    failure: OSError | None = None
    for family, kind, protocol, _, address in addresses:
        reached = socket.socket(family, kind, protocol)
        reached.setblocking(False)
        try:
            await loop.sock_connect(reached, address)
            return reached
        except OSError as error:
            reached.close()
            failure = error
        except BaseException:
            reached.close()
            raise
    raise failure or OSError(f"{endpoint.host} has no address")


def _options(endpoint: Endpoint) -> asyncssh.SSHClientConnectionOptions:
    keys = []
    if endpoint.private_key:
        try:
            keys.append(asyncssh.import_private_key(endpoint.private_key, endpoint.private_key_password))
        except (asyncssh.KeyImportError, asyncssh.KeyEncryptionError) as error:
            raise SshError(
                f"{endpoint}: the connection's privateKey can't be used: {error}. It must be a whole key in "
                "OpenSSH or PEM form; an encrypted one needs privateKeyPassword."
            ) from error
    agent = endpoint.agent_socket_path or os.environ.get("SSH_AUTH_SOCK") or None
    timeout = max(_LOGIN, endpoint.per_dial_timeout) if endpoint.per_dial_timeout else None
    return asyncssh.SSHClientConnectionOptions(
        username=endpoint.user,
        password=endpoint.password,
        client_keys=keys or None,
        agent_path=agent,
        config=None,  # the user's ~/.ssh/config has no say, as with the official provider
        known_hosts=_known_hosts(endpoint),
        connect_timeout=timeout,
        login_timeout=timeout or 0,
        keepalive_interval=_KEEPALIVE,
        keepalive_count_max=_KEEPALIVE_MISSED,
    )


def _known_hosts(
    endpoint: Endpoint,
) -> str | tuple[list[asyncssh.SSHKey], list[asyncssh.SSHKey], list[asyncssh.SSHKey]] | None:
    if endpoint.known_hosts_file:
        return endpoint.known_hosts_file
    if not endpoint.host_key:
        return None
    try:
        return [asyncssh.import_public_key(endpoint.host_key)], [], []
    except asyncssh.KeyImportError as error:
        raise SshError(
            f"{endpoint}: the connection's hostKey can't be used: {error}. It must be one public key as in "
            "/etc/ssh/ssh_host_ed25519_key.pub."
        ) from error


def _reason(error: Exception, endpoint: Endpoint) -> str:
    if isinstance(error, TimeoutError | asyncio.TimeoutError):
        return f"no answer within {endpoint.per_dial_timeout} s, or no login within {_LOGIN} s"
    if isinstance(error, asyncssh.PermissionDenied):
        return f"login refused ({error}); does {endpoint.host} have the key or password for {endpoint.user}?"
    return str(error) or type(error).__name__


def without_credentials(endpoint: Endpoint) -> Endpoint:
    """The endpoint as it may be shown."""
    return replace(endpoint, password=None, private_key=None, private_key_password=None, proxy=None)
