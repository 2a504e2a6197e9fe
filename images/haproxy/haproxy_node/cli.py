"""The `haproxy-node` command: the container's process and its health check.

`run` reads settings and the password, then replaces itself with HAProxy, which handles signals on its own:
SIGUSR1 stops it in order, SIGTERM at once. Owns no rule of which node serves: haproxy.cfg says whom to ask.
"""

from __future__ import annotations

import os
import socket
import sys
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:  # the health check must not pay for it
    from .settings import Settings

PROGRAM = "/usr/sbin/haproxy"
CONFIG = "/etc/haproxy/haproxy.cfg"
SOCKET = "/tmp/haproxy.sock"  # as haproxy.cfg has it
USAGE = """usage: haproxy-node run     the container's process
       haproxy-node health  exit code 0 when this process answers, whether or not there is a database"""


def log(message: str) -> None:
    """One line for a person."""
    print(f"haproxy-node: {message}", file=sys.stderr, flush=True)


def users(settings: Settings) -> str:
    """The configuration's part with who may see the statistics."""
    return f"userlist operators\n  user {settings.user} insecure-password '{settings.password}'\n"


def arguments(descriptor: int) -> list[str]:
    """The complete command line of HAProxy. Args: descriptor: of an open file with `users`."""
    # -W: HAProxy ends itself by SIGTERM, which does nothing to a container's first process. In this mode that
    # is the master, and the one with the connections is another.
    return [PROGRAM, "-W", "-db", "-f", CONFIG, "-f", f"/dev/fd/{descriptor}"]


def run() -> NoReturn:
    """Becomes HAProxy. The password goes there in memory: no file, argument or variable has it."""
    from . import settings as settings_module

    settings = settings_module.load()
    descriptor = os.memfd_create("users", 0)
    os.write(descriptor, users(settings).encode())
    os.lseek(descriptor, 0, os.SEEK_SET)
    argv = arguments(descriptor)
    os.execve(argv[0], argv, {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), **settings.variables})


def health(path: str = SOCKET, timeout: float = 4.0) -> int:
    """0 when HAProxy answers, 1 otherwise. Without any database it is well: a restart would bring none."""
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(timeout)
            connection.connect(path)
            connection.sendall(b"show info\n")
            answer = connection.recv(64)
    except OSError as error:
        print(f"HAProxy does not answer: {error}")
        return 1
    if not answer.startswith(b"Name: HAProxy"):
        print(f"HAProxy answers {answer[:40]!r}")
        return 1
    print("answers")
    return 0


def main(argv: list[str]) -> int:
    """Runs one command; returns the exit code."""
    if argv == ["health"]:
        return health()
    if argv == ["run"]:
        from .settings import SettingsError

        try:
            run()
        except SettingsError as error:
            log(str(error))
            return 2
    print(USAGE, file=sys.stderr)
    return 2
