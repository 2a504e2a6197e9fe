"""mariadbd as a child: start, recovery of the position, orderly stop, and whether it works at all.

Its words go straight to the container's log. Leaves what they mean to `sql`, `own_data` and `watch`.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

MARIADBD = "/usr/sbin/mariadbd"
TIME = re.compile(r"^\d{4}-\d\d-\d\d +\d+:\d\d:\d\d +\d+ +")
REASON = 300  # characters of its words that are told
RECOVERED = re.compile(r"WSREP: Recovered position:?\s*([0-9a-fA-F-]{36}):(-?\d+)")


# What counts as work, in steps that a server which only waits (for its group, for a disk) does not make in
# minutes, though it wakes up now and then: measured 0.4 s of CPU and no byte within two minutes.
CPU_STEP = 2.0  # seconds
DISK_STEP = 1 << 20  # bytes


class RecoverError(Exception):
    """The position could not be recovered from InnoDB; mariadbd's own words are part of the message.

    Attributes:
        brief: how mariadbd ended and why, in one line.
    """

    def __init__(self, message: str, brief: str = "") -> None:
        super().__init__(message)
        self.brief = brief or message


def work(pid: int) -> tuple[int, int]:
    """What a process has done so far, in steps of CPU time and of bytes from and to disks; zeros if gone."""
    cpu, disk = 0.0, 0
    with suppress(OSError):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        cpu = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    with suppress(OSError):  # a kernel may not account for it
        counters = Path(f"/proc/{pid}/io").read_text()
        disk = sum(map(int, re.findall(r"^(?:read|write)_bytes: (\d+)$", counters, re.MULTILINE)))
    return int(cpu / CPU_STEP), disk // DISK_STEP


def recovered_position(output: str) -> tuple[str, int] | None:
    """UUID and seqno from mariadbd's words under --wsrep-recover, or None."""
    found = RECOVERED.findall(output)
    return (found[-1][0].lower(), int(found[-1][1])) if found else None


def reason(output: str) -> str:
    """Why mariadbd has ended, from its words: its first error, for others follow from it; else its last line.

    Without the time, so that the same reason is the same text.
    """
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    errors = [line.partition("[ERROR] ")[2] for line in lines if "[ERROR] " in line]
    said = errors[0] if errors else TIME.sub("", lines[-1]) if lines else "it has said nothing"
    return said[:REASON]


class Server:
    """One mariadbd at a time, with the option file `defaults`."""

    def __init__(self, defaults: Path) -> None:
        self.defaults = defaults
        self._words = defaults.with_name("recover.log")
        self._process: subprocess.Popen[bytes] | None = None
        self._told = False

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def exit_code(self) -> int | None:
        """The exit code of the last one, negative for a signal; None while it runs."""
        return self._process.poll() if self._process is not None else None

    @property
    def ended_by_itself(self) -> bool:
        """Whether the last one was not told to end, by `stop` or `kill`, while it ran."""
        return not self._told

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process is not None else None

    def work(self) -> tuple[int, int]:
        """What mariadbd has done so far; see `work`."""
        return work(self._process.pid) if self._process is not None else (0, 0)

    def recover(self) -> subprocess.Popen[bytes]:
        """Starts InnoDB's own crash recovery, which ends by itself; see `recovered`."""
        with open(self._words, "wb") as words:
            return subprocess.Popen(
                [MARIADBD, f"--defaults-file={self.defaults}", "--wsrep-recover"],
                stdin=subprocess.DEVNULL,
                stdout=words,
                stderr=subprocess.STDOUT,
            )

    def recovered(self, code: int) -> tuple[str, int]:
        """The position that the recovery has found. `code`: its exit code. Raises RecoverError."""
        words = self._words.read_text(errors="replace")
        position = recovered_position(words)
        if position is None:
            ended = f"mariadbd --wsrep-recover ended with {code} and names no position"
            raise RecoverError(f"{ended}:\n{words}", f"{ended}: {reason(words)}")
        return position

    def start(self, options: Sequence[str] = ()) -> None:
        """Starts mariadbd with these further options."""
        self._told = False
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
            self._told = True
            self._process.send_signal(number)
