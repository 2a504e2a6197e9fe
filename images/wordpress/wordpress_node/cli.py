"""The `wordpress-node` command: the container's process and its health check.

`run` looks at settings and secrets, then replaces itself with Apache, which handles signals on its own:
SIGWINCH stops it in order, SIGTERM at once. Leaves the site to WordPress, its settings to wp-config.php.
"""

from __future__ import annotations

import os
import socket
import sys
from typing import NoReturn

PROGRAM = "/usr/sbin/apache2"
CONFIG = "/etc/wordpress-node/apache2.conf"
PORT = 8080  # as apache2.conf has it
HEALTH = "/-/health"
USAGE = """usage: wordpress-node run     the container's process
       wordpress-node health  exit code 0 when Apache and PHP answer, whether or not there is a database"""


def log(message: str) -> None:
    """One line for a person."""
    print(f"wordpress-node: {message}", file=sys.stderr, flush=True)


def arguments() -> list[str]:
    """The complete command line of Apache."""
    return [PROGRAM, "-D", "FOREGROUND", "-f", CONFIG]


def run() -> NoReturn:
    """Becomes Apache. Passwords stay in their files: no argument or variable has one."""
    from . import settings

    variables = settings.load()
    argv = arguments()
    os.execve(argv[0], argv, {**os.environ, **variables})


def health(port: int = PORT, timeout: float = 20.0) -> int:
    """0 when a page of PHP comes, 1 otherwise. Without any database it is well: a restart brings none."""
    answer = b""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout) as connection:
            connection.sendall(f"GET {HEALTH} HTTP/1.0\r\nHost: localhost\r\n\r\n".encode())
            while part := connection.recv(4096):
                answer += part
    except OSError as error:
        print(f"Apache does not answer: {error}")
        return 1
    head, _, page = answer.partition(b"\r\n\r\n")
    status = head.split(b" ", 2)[1:2]
    if status != [b"200"] or page.strip() != b"well":
        print(f"Apache answers {answer[:60]!r}")
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
