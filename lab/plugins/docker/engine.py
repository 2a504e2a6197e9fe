"""The connection to the Docker engine: one for the provider's life, over SSH where the host is remote.

Owns: the SSH connection, of its own or the `ssh` program's, the engine's socket forwarded into a private
folder, docker's client on it, the threads that its calls run on, and turning connection errors into words.
The official plugin runs `docker system dial-stdio` on the host for every connection, a fork each; forwarding
costs the host nothing.
Leaves to others: what is called.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

import asyncssh
import docker
import docker.errors
import docker.tls
import requests.exceptions

from lab.plugins import ssh
from lab.plugins.docker.settings import EngineAddress, Material
from lab.plugins.provider import Log, ResourceError

T = TypeVar("T")
Client: TypeAlias = Any  # docker.APIClient; its stubs leave out types of the swarm's half

_SIDE_BY_SIDE = 32  # calls at once; each has a thread
_ANSWER = 120  # seconds for the engine to answer one call; creating a service may ask every manager

_FOLDER = "pulumi-resource-docker"

_REACHED = 300  # seconds for the `ssh` program to reach a host; a configuration of its own may have it wait
_FORWARDED = b"forwarded\n"

_BROKEN = (requests.exceptions.ConnectionError, ConnectionError)


class Engine:
    """Calls to one engine. Connects on first use, and anew when the connection broke."""

    def __init__(self, address: EngineAddress) -> None:
        self.address = address
        self._threads = ThreadPoolExecutor(_SIDE_BY_SIDE, thread_name_prefix="engine")
        self._opening = asyncio.Lock()
        self._client: docker.APIClient | None = None
        self._connection: asyncssh.SSHClientConnection | None = None
        self._program: asyncio.subprocess.Process | None = None
        self._folder: Path | None = None

    async def read(self, log: Log, call: Callable[[Client], T]) -> T:
        """Call something that changes nothing; tried once more if the connection breaks."""
        try:
            return await self._call(log, call)
        except _BROKEN:
            return await self.write(log, call)

    async def write(self, log: Log, call: Callable[[Client], T]) -> T:
        """Call something that may change the engine's state; never repeated.

        Raises docker's own errors (`docker.errors.APIError`), and `ResourceError` for the connection's.
        """
        try:
            return await self._call(log, call)
        except _BROKEN as error:
            raise ResourceError(
                f"the connection to the Docker engine on {self.address} broke during a call; its outcome "
                f"is unknown ({error}). See how the host is, then run `pulumi up` again"
            ) from error
        except requests.exceptions.Timeout as error:
            raise ResourceError(
                f"the Docker engine on {self.address} gave no answer within {_ANSWER} s; does the "
                "swarm lack a leader (`docker node ls`)?"
            ) from error

    async def close(self) -> None:
        """Give up the connection and everything that belongs to it."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        await self._drop()

    async def _call(self, log: Log, call: Callable[[Client], T]) -> T:
        client = await self._open(log)
        work = asyncio.get_running_loop().run_in_executor(self._threads, call, client)
        # A call that was sent takes effect: an interruption waits for its outcome, or it would be forgotten.
        return await _finished(work)

    async def _open(self, log: Log) -> docker.APIClient:
        async with self._opening:
            if self._client is not None and not self._is_closed():
                return self._client
            await self._drop()
            try:
                url = self.address.url
                if self.address.endpoint:
                    url = await self._forward(log)
                elif self.address.arguments:
                    url = await self._forward_by_program()
                loop = asyncio.get_running_loop()
                tls = None if self.address.material is None else self._material(self.address.material)
                self._client = await loop.run_in_executor(self._threads, _connect, url, tls)
            except ssh.SshError as error:
                raise ResourceError(f"no way to the Docker engine: {error}") from error
            except (docker.errors.DockerException, requests.exceptions.RequestException, OSError) as error:
                raise ResourceError(self._unreachable(error)) from error
            return self._client

    async def _forward(self, log: Log) -> str:
        """Bring the host's engine socket here; the path's folder is only for this user."""
        assert self.address.endpoint is not None

        async def on_retry(message: str) -> None:
            await log("info", message, status=True)

        endpoint = await asyncio.to_thread(_with_key, self.address.endpoint)
        self._connection = await ssh.dial(endpoint, on_retry)
        self._folder = _private_folder()
        socket = self._folder / "engine.sock"
        await self._connection.forward_local_path(str(socket), self.address.socket)
        return f"unix://{socket}"

    async def _forward_by_program(self) -> str:
        """The same by the `ssh` program, which ends when this process does: it reads until then."""
        self._folder = _private_folder()
        socket = self._folder / "engine.sock"
        words = ["-T", "-o", "ExitOnForwardFailure=yes", "-L", f"{socket}:{self.address.socket}"]
        pipe = asyncio.subprocess.PIPE
        program = self._program = await asyncio.create_subprocess_exec(
            "ssh",
            *words,
            *self.address.arguments,
            "echo forwarded; exec cat",
            stdin=pipe,
            stdout=pipe,
            stderr=pipe,
            start_new_session=True,  # a Ctrl-C is for this process to act on
        )
        assert program.stdout is not None
        assert program.stderr is not None
        try:
            said = await asyncio.wait_for(program.stdout.readline(), _REACHED)
        except TimeoutError:
            raise ssh.SshError(f"{self.address}: no answer within {_REACHED} s") from None
        if said != _FORWARDED:
            why = (await program.stderr.read()).decode(errors="replace").strip()
            raise ssh.SshError(f"{self.address}: {why or f'ssh ended after it said {said!r}'}")
        return f"unix://{socket}"

    def _material(self, material: Material) -> docker.tls.TLSConfig:
        """Docker's client takes files, and reads them at each connection."""
        self._folder = _private_folder()
        paths = []
        for name, text in (("ca", material.authority), ("cert", material.certificate), ("key", material.key)):
            path = self._folder / f"{name}.pem"
            path.write_text(text)
            paths.append(str(path))
        authority, *shown = paths
        return docker.tls.TLSConfig(
            client_cert=(shown[0], shown[1]),
            ca_cert=authority if material.authority else None,
            verify=bool(material.authority),
        )

    def _is_closed(self) -> bool:
        if self._program is not None:
            return self._program.returncode is not None
        return self._connection is not None and self._connection.is_closed()

    async def _drop(self) -> None:
        program, self._program = self._program, None
        client, self._client = self._client, None
        connection, self._connection = self._connection, None
        folder, self._folder = self._folder, None
        if client is not None:
            client.close()
        if connection is not None:
            connection.abort()
        if program is not None and program.returncode is None:
            program.kill()
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)

    def _unreachable(self, error: Exception) -> str:
        if self.address.endpoint or self.address.arguments:
            return (
                f"the Docker engine on {self.address} does not answer at {self.address.socket} ({error}). "
                "Does it run (`systemctl status docker`), may this user open its socket, and does sshd "
                "allow its forwarding (AllowStreamLocalForwarding)?"
            )
        return f"the Docker engine at {self.address} does not answer ({error}). Does it run?"


async def _finished(work: asyncio.Future[T]) -> T:
    """The result of `work`; of a task cancelled meanwhile still the result, and then the cancellation."""
    try:
        return await asyncio.shield(work)
    except asyncio.CancelledError:
        if not work.done():
            await asyncio.wait([work])
        task = asyncio.current_task()
        assert task is not None
        if not work.cancelled() and work.exception() is None:
            # Raised again at the caller's next wait, once the result has been taken note of.
            asyncio.get_running_loop().call_soon(task.cancel)
            return work.result()
        raise


def _private_folder() -> Path:
    """A folder for this process's socket, which only this user can enter.

    Pulumi ends its plugins with SIGKILL, so the folders of those before could not be removed then; now they
    are.
    """
    for left in Path(tempfile.gettempdir()).glob(f"{_FOLDER}-*"):
        owner = left.name.removeprefix(f"{_FOLDER}-").partition("-")[0]
        if owner.isdigit() and not Path("/proc", owner).exists():
            shutil.rmtree(left, ignore_errors=True)
    return Path(tempfile.mkdtemp(prefix=f"{_FOLDER}-{os.getpid()}-"))


class _Client(docker.APIClient):
    """Trusts whom it is told to trust, whatever authorities the environment names for others."""

    @property
    def trust_env(self) -> bool:
        return False

    @trust_env.setter
    def trust_env(self, _value: bool) -> None: ...


def _connect(url: str, tls: docker.tls.TLSConfig | None) -> docker.APIClient:
    return _Client(
        base_url=url, version="auto", timeout=_ANSWER, max_pool_size=_SIDE_BY_SIDE, tls=tls or False
    )


def _with_key(endpoint: ssh.Endpoint) -> ssh.Endpoint:
    """The endpoint with its key and known hosts read from their files, now that they must exist."""
    changes: dict[str, Any] = {}
    if endpoint.private_key_file:
        changes["private_key"] = _text(endpoint.private_key_file, "private key (-i)")
    if endpoint.known_hosts_file:
        _text(endpoint.known_hosts_file, "UserKnownHostsFile")
    return replace(endpoint, **changes)


def _text(path: str, what: str) -> str:
    try:
        return Path(path).read_text()
    except OSError as error:
        raise ssh.SshError(f"the {what} of the docker provider's 'sshOpts' can't be read: {error}") from error
