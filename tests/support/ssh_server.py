"""An SSH server on loopback for the plugins' tests: a shell behind it, SFTP, forwarding, and faults to order.

Owns: the server and its thread. It runs what clients ask for as the current user; never listen elsewhere.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import threading
from collections.abc import Coroutine, Mapping
from typing import Any, TypeVar, cast

import asyncssh

from tests.support.plugin_process import Secret

PASSWORD = "correct horse battery"
T = TypeVar("T")


class SshServer:
    """The server. To order: `accepts_environment`, `room` (sessions on a connection), `refused_logins`, and
    `user` (who may log in; empty for anybody).
    """

    def __init__(self, shell: str = "/bin/sh", environment: Mapping[str, str] | None = None) -> None:
        """
        Args:
            shell: runs the commands.
            environment: what they find in it.
        """
        self.shell, self.environment = shell, dict(environment or {"PATH": "/usr/bin:/bin"})
        self.key = asyncssh.generate_private_key("ssh-ed25519")
        # Every export differs in its check bytes; a test needs one text for one key.
        self.private_key = self.key.export_private_key().decode()
        self.host_keys = [asyncssh.generate_private_key(a) for a in ("ecdsa-sha2-nistp256", "ssh-ed25519")]
        self.accepts_environment = True
        self.room = 10
        self.refused_logins = 0
        self.user = ""
        self.logins = 0
        self.sockets: dict[str, str] = {}  # where forwarded sockets really are
        self.most_sessions = 0
        self.port = 0
        self._logins: list[_Login] = []
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, daemon=True).start()
        self.start()

    def start(self) -> None:
        """Listen, on the same port as before if there was one."""
        self._do(self._listen())

    def stop(self) -> None:
        """Stop listening and cut all connections, as a host that goes down."""
        self._do(self._close())

    def cut(self) -> None:
        """Cut all connections; new ones are taken."""
        self._do(self._cut())

    @property
    def host_key(self) -> str:
        """The ed25519 host key as a public key line; the server has another one, too."""
        return self.host_keys[1].export_public_key().decode()

    def connection(self, **changes: Any) -> Secret:
        """A `connection` input that works."""
        key = self.private_key
        return Secret(
            {"host": "127.0.0.1", "port": self.port, "privateKey": key, "hostKey": self.host_key, **changes}
        )

    def _do(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout=30)

    async def _listen(self) -> None:
        self._acceptor = await asyncssh.listen(
            "127.0.0.1",
            self.port,
            server_host_keys=self.host_keys,
            server_factory=lambda: _Login(self),
            encoding=None,
        )
        self.port = self._acceptor.get_port()

    async def _close(self) -> None:
        self._acceptor.close()
        await self._cut()

    async def _cut(self) -> None:
        for login in self._logins:
            login.connection.abort()
        self._logins.clear()

    def logged_in(self, login: _Login) -> None:
        self.logins += 1
        self._logins.append(login)


class _Login(asyncssh.SSHServer):
    """One client's connection."""

    connection: asyncssh.SSHServerConnection

    def __init__(self, server: SshServer) -> None:
        self._server = server
        self.sessions = 0

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self.connection = conn

    def auth_completed(self) -> None:
        self._server.logged_in(self)

    def password_auth_supported(self) -> bool:
        return True

    def validate_password(self, username: str, password: str) -> bool:
        return password == PASSWORD

    def public_key_auth_supported(self) -> bool:
        return True

    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        if self._server.refused_logins > 0:
            self._server.refused_logins -= 1
            return False
        if self._server.user not in ("", username):
            return False
        return key == self._server.key.convert_to_public()

    def session_requested(self) -> Any:
        if self.sessions >= self._server.room:
            return False
        self.sessions += 1
        self._server.most_sessions = max(self._server.most_sessions, self.sessions)
        return _Shell(self, self._server)

    def connection_requested(self, *_: object) -> bool:
        return True

    def unix_connection_requested(self, dest_path: str) -> Any:
        return self._forward(self._server.sockets.get(dest_path, dest_path))

    async def _forward(self, path: str) -> Any:
        try:
            forwarder = await self.connection.forward_unix_connection(path)
        except OSError as error:
            raise asyncssh.ChannelOpenError(asyncssh.OPEN_CONNECT_FAILED, str(error)) from error
        return forwarder


class _Shell(asyncssh.SSHServerProcess[bytes]):
    """One session: a command under the server's shell, or SFTP."""

    def __init__(self, login: _Login, server: SshServer) -> None:
        super().__init__(self._run, lambda channel: asyncssh.SFTPServer(cast(Any, channel)), 3, False)
        self._login, self._server = login, server
        self._child: asyncio.subprocess.Process | None = None

    def connection_made(self, chan: Any) -> None:
        super().connection_made(chan)
        if not self._server.accepts_environment:
            # asyncssh takes every variable; sshd without AcceptEnv takes none.
            getattr(chan, "_orig_chan", chan)._process_env_request = lambda packet: False

    def connection_lost(self, exc: Exception | None) -> None:
        self._login.sessions -= 1
        super().connection_lost(exc)

    def signal_received(self, signal_name: str) -> None:
        if self._child is not None and self._child.returncode is None:
            os.killpg(self._child.pid, signal.Signals[f"SIG{signal_name}"])

    async def _run(self, process: asyncssh.SSHServerProcess[bytes]) -> None:
        child = self._child = await asyncio.create_subprocess_exec(
            self._server.shell,
            "-c",
            process.command or "true",
            env={**self._server.environment, **process.env},
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
        feeding = asyncio.create_task(_feed(process.stdin, child.stdin))
        await asyncio.gather(_pump(child.stdout, process.stdout), _pump(child.stderr, process.stderr))
        status = await child.wait()
        feeding.cancel()
        if status < 0:
            process.exit_with_signal(signal.Signals(-status).name.removeprefix("SIG"))
        else:
            process.exit(status)


async def _feed(source: asyncssh.SSHReader[bytes], target: asyncio.StreamWriter | None) -> None:
    assert target is not None
    try:
        with contextlib.suppress(OSError, asyncssh.Error):
            while data := await source.read(32768):
                target.write(data)
                await target.drain()
    finally:
        target.close()


async def _pump(source: asyncio.StreamReader | None, target: asyncssh.SSHWriter[bytes]) -> None:
    assert source is not None
    # The client may be gone; what the command still prints then goes nowhere.
    with contextlib.suppress(OSError, asyncssh.Error):
        while data := await source.read(32768):
            target.write(data)
            await target.drain()
