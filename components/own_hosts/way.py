"""The way to a host of one's own: one SSH connection, its host key checked, and a script run over it.

Owns: logging in, whom to believe, sudo. Leaves to others: what is run, and what an answer means.

The host key that is pinned must be the one that Go's SSH client will be shown, because the command plugin
compares with just one. Where the settings give a key of another kind, the connection that this key vouches
for tells the host's other keys, and the one that Go would see is among them.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import asyncssh

from components.host_scripts.shell import script, sudo
from components.softlayer.guest_ready_provider import HOST_KEY_TYPES
from settings.own_hosts import OwnHost

CONNECT_TIMEOUT = 15.0
"""Seconds until a host that does not answer counts as unreachable."""
ANSWER_WITHIN = 60.0
"""Seconds for a look at a host."""


class Refused(Exception):
    """The host can't be used so; the text says why, and what to do."""


class Unreachable(Refused):
    """Nothing answers, or not to the end."""


class TooSlow(Refused):
    """It lets us in, and what is asked of it does not end."""


class NotLetIn(Refused):
    """It answers, and does not know the key, or not for this user."""


class AnotherKey(Refused):
    """Whoever answers there is not the host that is known."""


@dataclass(frozen=True)
class Way:
    """How to get in.

    Attributes:
        key: the private key's text; None where the SSH agent has it.
        believed: the host key that the settings give or that is pinned; None before the first contact.
    """

    host: str
    port: int
    user: str
    key: str | None = field(repr=False)
    believed: str | None

    @classmethod
    def to(cls, host: OwnHost, key: str | None, pinned: str | None) -> Way:
        """To a host of the settings."""
        return cls(host.reached_at, host.port, host.user, key, host.host_key or pinned)

    def __str__(self) -> str:
        return f"{self.user}@{self.host}" + (f" port {self.port}" if self.port != 22 else "")


@dataclass(frozen=True)
class Session:
    """A connection, and the host key that others will be shown."""

    connection: asyncssh.SSHClientConnection
    way: Way
    host_key: str

    async def run(self, text: str, limit: float | None = ANSWER_WITHIN) -> asyncssh.SSHCompletedProcess:
        """Run a script (shell text without the prologue) as root. Raises TooSlow, Unreachable."""
        command = script(text)
        return await self.plain(command if self.way.user == "root" else sudo(command), limit)

    async def plain(self, command: str, limit: float | None = ANSWER_WITHIN) -> asyncssh.SSHCompletedProcess:
        """Run a command line as who has logged in. Raises TooSlow, Unreachable."""
        try:
            return await self.connection.run(command, check=False, timeout=limit)
        except asyncssh.TimeoutError:
            what = f"{self.way} did not answer within {limit:.0f} s"
            raise TooSlow(f"{what}. Remedy: look what the host does, then repeat") from None
        except (OSError, asyncssh.Error) as error:
            raise Unreachable(f"the connection to {self.way} broke: {error}. Remedy: repeat") from None


@asynccontextmanager
async def session(way: Way) -> AsyncIterator[Session]:
    """Log in. Raises Refused with a remedy; Unreachable where nothing answers, AnotherKey for a stranger."""
    shown = await _shown(way)
    known = way.believed or shown
    connection = await _login(way, known)
    try:
        there = Session(connection, way, shown)
        if known != shown:
            await _vouched(there)
        yield there
    finally:
        connection.abort()


async def _shown(way: Way) -> str:
    """The host key that Go's client would be shown."""
    try:
        key = await asyncio.wait_for(
            asyncssh.get_server_host_key(
                way.host, way.port, server_host_key_algs=HOST_KEY_TYPES, config=None
            ),
            CONNECT_TIMEOUT,
        )
    except TimeoutError:
        raise Unreachable(_no_answer(way, f"no answer within {CONNECT_TIMEOUT:.0f} s")) from None
    except (OSError, asyncssh.Error) as error:
        raise Unreachable(_no_answer(way, str(error) or type(error).__name__)) from None
    if key is None:
        raise Unreachable(_no_answer(way, "it showed no host key"))
    return _line(key)


def _line(key: asyncssh.SSHKey) -> str:
    kind, text = key.export_public_key().decode().split()[:2]
    return f"{kind} {text}"


def _no_answer(way: Way, why: str) -> str:
    return (
        f"no SSH at {way.host} port {way.port} ({why}). Remedy: start it, and see that this machine reaches "
        "it there (a firewall; sshHost and port in servers.hosts)"
    )


async def _login(way: Way, known: str) -> asyncssh.SSHClientConnection:
    at = way.host if way.port == 22 else f"[{way.host}]:{way.port}"
    try:
        keys = None if way.key is None else [asyncssh.import_private_key(way.key)]
        return await asyncssh.connect(
            way.host,
            way.port,
            username=way.user,
            client_keys=keys,
            agent_path=None if keys else (),
            known_hosts=asyncssh.import_known_hosts(f"{at} {known}\n"),
            server_host_key_algs=[known.split(maxsplit=1)[0]] if "rsa" not in known else "default",
            config=None,
            connect_timeout=CONNECT_TIMEOUT,
            keepalive_interval=15,
        )
    except (asyncssh.HostKeyNotVerifiable, asyncssh.KeyExchangeFailed):
        raise AnotherKey(
            f"{way.host} shows another SSH host key than the one that is known ({known[:40]}…). Remedy: "
            "find out whether it was installed anew or is another machine; if it is the right one, set "
            f"hostKey in servers.hosts to its new key (`ssh-keyscan -t ed25519 {way.host}`, compared with "
            "what its console says)"
        ) from None
    except asyncssh.PermissionDenied:
        raise NotLetIn(
            f"{way} does not let this stack's key in. Remedy: add the public half to ~{way.user}/.ssh/"
            "authorized_keys there, or give the right key (ssh.privateKeyFile) or user"
        ) from None
    except (OSError, asyncssh.Error) as error:
        raise Unreachable(_no_answer(way, str(error) or type(error).__name__)) from None


async def _vouched(there: Session) -> None:
    """Raise Refused unless the host itself, whose key is known, calls the other one its own."""
    told = await there.plain("cat /etc/ssh/ssh_host_*_key.pub")
    lines = [" ".join(line.split()[:2]) for line in str(told.stdout or "").splitlines()]
    if there.host_key not in lines:
        raise Refused(
            f"{there.way.host} shows some clients a host key of another kind than the known one, and it is "
            f"none of its own in /etc/ssh ({there.host_key[:40]}…). Remedy: set hostKey in servers.hosts to "
            "that one, once its console has told that it is the host's"
        )
