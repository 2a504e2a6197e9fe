"""mariadb-backup and mbstream as children of a transfer: none is left behind, their last words are kept."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import IO

BACKUP = "/usr/bin/mariadb-backup"
MBSTREAM = "/usr/bin/mbstream"
_CHILDREN: list[subprocess.Popen[bytes]] = []


def start(
    argv: Sequence[str],
    stdin: int = subprocess.DEVNULL,
    stdout: int | IO[bytes] | None = None,
    stderr: int | IO[bytes] | None = None,
) -> subprocess.Popen[bytes]:
    """Starts one; arguments as for Popen."""
    child = subprocess.Popen(argv, stdin=stdin, stdout=stdout, stderr=stderr)
    _CHILDREN.append(child)
    return child


def kill_all() -> None:
    """Ends those that still run."""
    for child in _CHILDREN:
        if child.poll() is None:
            child.kill()


def pipe(stream: IO[bytes] | None) -> IO[bytes]:
    """A child's pipe, which subprocess types as optional."""
    if stream is None:
        raise AssertionError("the child was started with this pipe")
    return stream


def tail(path: Path, lines: int = 40) -> str:
    """The last words of a program, for the log."""
    try:
        text = path.read_text(errors="replace").splitlines()[-lines:]
    except OSError:
        return ""
    return "".join(f"\n  {line}" for line in text)
