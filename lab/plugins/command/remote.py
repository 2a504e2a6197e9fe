"""Runs a command on a host over SSH, and copies files to it.

Owns: sessions on the pool's connections, their environment, standard input, end and interruption. Leaves to
others: the connections (`lab.plugins.ssh`), what is shown (`output`), which command to run when (`provider`).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import asyncssh
from asyncssh.packet import String

from lab.plugins.command.output import Output
from lab.plugins.provider import ResourceError
from lab.plugins.ssh import ConnectionPool, Endpoint, OnRetry, SshError

_STOP_GRACE = 3.0  # seconds for a command to end after SIGTERM

_ACCEPT_ENV = (
    "Unable to set '{name}'. This only works if your SSH server is configured to accept these variables via "
    "AcceptEnv. Alternatively, if a Bash-like shell runs the command on the remote host, you could prefix "
    "the command itself with the variables in the form 'VAR=value command'"
)

Warn = Callable[[str], Awaitable[None]]


@dataclass(frozen=True)
class Job:
    """A command to run. A refused variable of `environment` is an error, of `optional` only a warning."""

    command: str
    stdin: str = ""
    environment: Mapping[str, str] | None = None
    optional: Mapping[str, str] | None = None


class _Refused(Exception):
    """The host did not open the session, so nothing of the command has run."""


async def run(
    pool: ConnectionPool, endpoint: Endpoint, job: Job, output: Output, on_retry: OnRetry, warn: Warn
) -> None:
    """Run `job` to its end. Raises `ResourceError` when it fails, can't start or loses its connection.

    A command that may have started is never started again.
    """
    while True:
        try:
            async with pool.session(endpoint, on_retry) as connection:
                try:
                    await _run_on(connection, endpoint, job, output, warn)
                except _Refused as refused:
                    # A broken connection is dropped by the pool, a full one used less; then once more.
                    if not connection.is_closed() and not pool.refused(connection):
                        raise ResourceError(
                            f"{endpoint} opens no session: {refused}. Does {endpoint.user} have a shell "
                            "there, and does sshd's MaxSessions allow one?"
                        ) from refused
                else:
                    return
        except SshError as error:
            raise ResourceError(str(error)) from error


async def _run_on(
    connection: asyncssh.SSHClientConnection, endpoint: Endpoint, job: Job, output: Output, warn: Warn
) -> None:
    session = _Session(job, output, warn)
    try:
        channel, _ = await connection.create_session(lambda: session, job.command, encoding=None)
    except (asyncssh.Error, OSError) as error:
        if not session.opened:
            raise _Refused(str(error)) from error
        raise ResourceError(
            output.failure(
                f"the connection broke before the command's start was confirmed ({error})",
                job.command,
                str(endpoint),
            )
        ) from error
    try:
        if job.stdin:
            channel.write(job.stdin.encode())
        channel.write_eof()
        await session.closed.wait()
    except asyncio.CancelledError:
        await _stop(channel, session)
        raise
    except OSError:
        # The command ended, or closed its input, before reading all of it; its exit status says how it went.
        await session.closed.wait()
    if failure := session.failure():
        raise ResourceError(output.failure(failure, job.command, str(endpoint)))


async def _stop(channel: asyncssh.SSHClientChannel[bytes], session: _Session) -> None:
    """End an interrupted command: ask it first, then drop its channel."""
    with contextlib.suppress(OSError, asyncssh.Error, TimeoutError):
        channel.send_signal("TERM")
        await asyncio.wait_for(session.closed.wait(), _STOP_GRACE)
    channel.abort()


class _Session(asyncssh.SSHClientSession[bytes]):
    """One command's session: hands on its output and remembers how it ended."""

    def __init__(self, job: Job, output: Output, warn: Warn) -> None:
        self._job, self._output, self._warn = job, output, warn
        self._status: int | None = None
        self._signal: str | None = None
        self._lost: Exception | None = None
        self.opened = False
        self.closed = asyncio.Event()

    def connection_made(self, chan: asyncssh.SSHClientChannel[bytes]) -> None:
        self.opened = True
        if self._job.environment or self._job.optional:
            _ask_for_environment(chan, self._set_environment)

    def data_received(self, data: bytes, datatype: asyncssh.DataType) -> None:
        self._output.write("stderr" if datatype == asyncssh.EXTENDED_DATA_STDERR else "stdout", data)

    def exit_status_received(self, status: int) -> None:
        self._status = status

    def exit_signal_received(self, signal: str, core_dumped: bool, msg: str, lang: str) -> None:
        self._signal = signal

    def connection_lost(self, exc: Exception | None) -> None:
        self._lost = exc
        self.closed.set()

    def failure(self) -> str | None:
        """Why the command failed, None when it did not."""
        if self._status == 0:
            return None
        if self._status is not None:
            return f"Process exited with status {self._status}"
        if self._signal is not None:
            return f"Process exited from signal {self._signal}"
        cause = f" ({self._lost})" if self._lost else ""
        return (
            f"the connection broke while the command was running{cause}; it may have done all, part or "
            "nothing of its work and is not run again by itself. See how the host is, then `pulumi up` again"
        )

    async def _set_environment(self, ask: Callable[..., Awaitable[bool | None]]) -> None:
        for name, value in (self._job.environment or {}).items():
            if not await ask(b"env", String(name), String(value)):
                raise ResourceError(
                    f'could not set environment variable "{name}": {_ACCEPT_ENV.format(name=name)}'
                )
        for name, value in (self._job.optional or {}).items():
            if not await ask(b"env", String(name), String(value)):
                await self._warn(_ACCEPT_ENV.format(name=name))


def _ask_for_environment(chan: Any, set_environment: Callable[..., Awaitable[None]]) -> None:
    """Have the variables set, and every answer seen, just before the command is started.

    asyncssh sends variables without asking whether the server takes them; most take none, and a command that
    misses its variables must not start. There is no public way in between "opened" and "started".
    """
    ask = chan._make_request

    async def make_request(request: bytes, *arguments: bytes) -> bool | None:
        if request == b"exec":
            await set_environment(ask)
        result: bool | None = await ask(request, *arguments)
        return result

    chan._make_request = make_request


async def copy(
    pool: ConnectionPool, endpoint: Endpoint, source: Path | str, remote_path: str, on_retry: OnRetry
) -> None:
    """Copy a file or a folder (`Path`) or a text (`str`) to `remote_path`; what is there is overwritten.

    A folder goes into `remote_path` under its own name; with `remote_path` missing it is made first. A file
    goes into `remote_path` when that is a folder. Raises `ResourceError`.
    """
    try:
        async with pool.session(endpoint, on_retry) as connection, connection.start_sftp_client() as sftp:
            if isinstance(source, Path):
                await _copy_path(sftp, source, PurePosixPath(remote_path))
            elif await sftp.isdir(remote_path):
                raise ResourceError(
                    f"remote path {remote_path} is a directory; a text needs a path to a file"
                )
            else:
                async with sftp.open(remote_path, "wb") as file:
                    await file.write(source.encode())
    except SshError as error:
        raise ResourceError(str(error)) from error
    except (asyncssh.Error, OSError) as error:
        raise ResourceError(f"copying to {remote_path} on {endpoint} failed: {error}") from error


async def _copy_path(sftp: asyncssh.SFTPClient, source: Path, target: PurePosixPath) -> None:
    is_folder = await sftp.isdir(str(target))
    if not source.is_dir():
        await sftp.put(str(source), str(target / source.name if is_folder else target))
        return
    if not is_folder:
        await sftp.makedirs(str(target))
    await sftp.put(str(source), str(target), recurse=True)
