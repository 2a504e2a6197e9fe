"""mariadbd as a child: start, recovery of the position, orderly stop.

Its words go straight to the container's log. Leaves what they mean to `sql` and `supervisor`.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path

MARIADBD = "/usr/sbin/mariadbd"
RECOVERED = re.compile(r"WSREP: Recovered position:?\s*([0-9a-fA-F-]{36}):(-?\d+)")


class RecoverError(Exception):
    """The position could not be recovered from InnoDB; mariadbd's own words are part of the message."""


def write_private(path: Path, text: str) -> None:
    """Writes a file that only this user can read."""
    path.unlink(missing_ok=True)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)


def recovered_position(output: str) -> tuple[str, int] | None:
    """UUID and seqno from mariadbd's words under --wsrep-recover, or None."""
    found = RECOVERED.findall(output)
    return (found[-1][0].lower(), int(found[-1][1])) if found else None


class Server:
    """One mariadbd at a time, with the option file `defaults`."""

    def __init__(self, defaults: Path) -> None:
        self.defaults = defaults
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def exit_code(self) -> int | None:
        """The exit code of the last one, negative for a signal; None while it runs."""
        return self._process.poll() if self._process is not None else None

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process is not None else None

    def recover(self) -> tuple[str, int]:
        """The position in InnoDB, after its own crash recovery. Raises RecoverError."""
        done = subprocess.run(
            [MARIADBD, f"--defaults-file={self.defaults}", "--wsrep-recover"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
        position = recovered_position(done.stdout)
        if position is None:
            raise RecoverError(
                f"mariadbd --wsrep-recover ended with {done.returncode} and names no position:\n{done.stdout}"
            )
        return position

    def start(self, options: Sequence[str] = ()) -> None:
        """Starts mariadbd with these further options."""
        self._process = subprocess.Popen(
            [MARIADBD, f"--defaults-file={self.defaults}", *options], stdin=subprocess.DEVNULL
        )

    def stop(self) -> None:
        """Asks it to stop in order; returns at once."""
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        """Ends it now and waits until it is gone."""
        self._signal(signal.SIGKILL)
        if self._process is not None:
            self._process.wait()

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(number)
