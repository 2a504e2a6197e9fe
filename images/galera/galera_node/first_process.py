"""The container's first process: signals, waiting, and children, its own and those that others left behind.

Knows nothing of Galera or the store.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import time
from collections.abc import Callable

from .server import Server

LOOK_EVERY = 1.0  # seconds between looks while waiting or starting


class Stop(Exception):
    """SIGTERM has come."""


class Renew(Exception):
    """The container is to end, so that the engine starts a new one, with a start period of its own."""


class StartAnew(Exception):
    """The same, and mariadbd runs: it is to be stopped in order first."""


class FirstProcess:
    """Waits for what happens: a signal, a child's end, or time. mariadbd itself is left to `server`."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._attended: int | None = None
        self._stopping = False
        self._wake, self._woken = os.pipe()

    def take_signals(self) -> None:
        """From now on SIGTERM and SIGINT end waiting with Stop, and the end of a child ends it at once."""
        os.set_blocking(self._woken, False)
        signal.set_wakeup_fd(self._woken, warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        signal.signal(signal.SIGCHLD, lambda *_: None)

    def _stop(self, *_: object) -> None:
        self._stopping = True

    def pause(self, seconds: float) -> None:
        """Waits, but no longer than until a signal or a child's end. Raises Stop after SIGTERM."""
        if not self._stopping:
            self.nap(seconds)
        if self._stopping:
            raise Stop

    def rest(self, seconds: float) -> None:
        """Waits so long, whatever children do: the end of one that has just failed would end a `pause`."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            self.pause(left)

    def nap(self, seconds: float) -> None:
        """The same, for those who are stopping already."""
        if select.select([self._wake], [], [], seconds)[0]:
            os.read(self._wake, 4096)
        self._take_in()

    def attend(self, child: subprocess.Popen[bytes], every: float, meanwhile: Callable[[], object]) -> int:
        """Waits for a child; its exit code. `meanwhile` is called every so many seconds.

        What that raises, or Stop, ends the child.
        """
        self._attended = child.pid
        try:
            while child.poll() is None:
                meanwhile()
                self.pause(every)
            return child.returncode
        finally:
            if child.poll() is None:
                child.kill()
                child.wait()
            self._attended = None

    def _take_in(self) -> None:
        """Takes in children of others; the own ones are left to those who wait for them."""
        while True:
            try:
                info = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:
                return
            if info is None or info.si_pid in (self._server.pid, self._attended):
                return
            os.waitpid(info.si_pid, 0)
