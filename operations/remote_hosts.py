"""SSH to the hosts of a stack, side by side, with their host keys pinned.

Owned here: connections and running a script on each. Left to others: the scripts and what their answers mean.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import asyncssh

from components.host_scripts.shell import script, sudo
from components.ssh_files import known_as
from operations.errors import OperationsError
from operations.outputs import Host

CONNECT_TIMEOUT = 15.0
"""Seconds until a host that does not answer counts as unreachable."""
SCRIPT_TIMEOUT = 120.0
"""Seconds that a script may take."""
SCRIPTS = Path(__file__).with_name("host_scripts")
"""Folder of the scripts that only `operations` runs."""


@dataclass(frozen=True)
class Answer:
    """What a host said: standard output if all went well, else why not."""

    text: str = ""
    error: str = ""


class RemoteHosts:
    """Open connections by host name; `unreachable` says why a host has none."""

    def __init__(self) -> None:
        self._open: dict[str, asyncssh.SSHClientConnection] = {}
        self._users: dict[str, str] = {}
        self.unreachable: dict[str, str] = {}

    @property
    def reachable(self) -> list[str]:
        """Names of the hosts that answered."""
        return list(self._open)

    async def start(self, name: str, text: str) -> asyncssh.SSHClientProcess[bytes]:
        """Start a script on one host; its standard input and output are the caller's. Raises OSError."""
        if name in self.unreachable:
            raise OSError(self.unreachable[name])
        try:
            return await self._open[name].create_process(
                self._command(name, text), encoding=None, stderr=asyncssh.STDOUT, send_eof=True
            )
        except asyncssh.Error as error:
            raise OSError(f"no session on {name}: {error}") from error

    async def run(self, name: str, text: str, stdin: str = "", limit: float = SCRIPT_TIMEOUT) -> Answer:
        """Run a script (shell text without the prologue) on one host; never raises. `limit` is in seconds."""
        if name in self.unreachable:
            return Answer(error=self.unreachable[name])
        try:
            done = await self._open[name].run(
                self._command(name, text), input=stdin, check=False, timeout=limit
            )
        except asyncssh.TimeoutError:
            return Answer(error=f"no answer within {limit:.0f} s")
        except (OSError, asyncssh.Error) as error:
            return Answer(error=f"the connection broke: {error}")
        out, err = str(done.stdout or ""), str(done.stderr or "").strip()
        if done.exit_status != 0:
            return Answer(out, err.removeprefix("error: ") or f"exit code {done.exit_status}")
        return Answer(out)

    def _command(self, name: str, text: str) -> str:
        """What is run on a host so that it runs as root."""
        return script(text) if self._users.get(name, "root") == "root" else sudo(script(text))

    async def run_all(
        self, texts: Mapping[str, str], stdin: str = "", limit: float = SCRIPT_TIMEOUT
    ) -> dict[str, Answer]:
        """Run a script on each of several hosts at a time."""
        answers = await asyncio.gather(*(self.run(name, text, stdin, limit) for name, text in texts.items()))
        return dict(zip(texts, answers, strict=True))


def first_reachable(candidates: Sequence[Host], hosts: RemoteHosts) -> str | None:
    """The name of the first of these that answers; None if none does."""
    return next((host.name for host in candidates if host.name in hosts.reachable), None)


class Reachable(Protocol):
    """Hosts and how to log in to them; a stack's outputs are that. The key is None where the agent has it."""

    @property
    def hosts(self) -> Sequence[Host]: ...
    @property
    def private_key(self) -> str | None: ...


@contextlib.asynccontextmanager
async def connected(outputs: Reachable) -> AsyncIterator[RemoteHosts]:
    """Connections to all hosts of a stack at a time; hosts that do not answer are noted, not raised.

    Raises OperationsError if the private key cannot be read.
    """
    hosts = RemoteHosts()
    try:
        keys = None if outputs.private_key is None else [asyncssh.import_private_key(outputs.private_key)]
    except ValueError as error:  # KeyImportError is one; a key that wants a passphrase raises another
        raise OperationsError(
            f"The stack's private key cannot be read ({error}): give one without a passphrase, or load it "
            "into the SSH agent and leave ssh.privateKeyFile out."
        ) from None

    async def connect(host: Host) -> None:
        known = f"{known_as(host.address, host.port)} {host.host_key}\n"
        hosts._users[host.name] = host.user
        try:
            hosts._open[host.name] = await asyncssh.connect(
                host.address,
                host.port,
                username=host.user,
                client_keys=keys,
                agent_path=None if keys else (),
                known_hosts=asyncssh.import_known_hosts(known),
                config=None,
                connect_timeout=CONNECT_TIMEOUT,
                keepalive_interval=15,
            )
        except asyncssh.HostKeyNotVerifiable:
            hosts.unreachable[host.name] = f"{host.address} shows another host key than the pinned one"
        except (OSError, asyncssh.Error) as error:
            reason = str(error) or type(error).__name__
            hosts.unreachable[host.name] = f"no SSH at {host.address}: {reason}"

    await asyncio.gather(*(connect(host) for host in outputs.hosts))
    try:
        yield hosts
    finally:
        for connection in hosts._open.values():
            connection.abort()
        await asyncio.gather(*(c.wait_closed() for c in hosts._open.values()), return_exceptions=True)
