"""The process that archives (`galera-node archive`), beside mariadbd, where there are to be backups.

Owns: that it runs, and ends before mariadbd. Leaves to others: what it does (`archive`). It is a process of
its own so that nothing that goes wrong there ends a database; its exit code means nothing.
"""

from __future__ import annotations

import subprocess
from collections.abc import Sequence

from .words import log

COMMAND = ("/usr/local/bin/galera-node", "archive")
AGAIN = 10.0  # seconds after its end until it is started again
PATIENCE = 3.0  # seconds that it has to end its children and give back its right


class Archiving:
    """Of one container. `wanted`: there are to be backups."""

    def __init__(self, wanted: bool, command: Sequence[str] = COMMAND) -> None:
        self._wanted, self._command = wanted, command
        self._process: subprocess.Popen[bytes] | None = None
        self._ended: float | None = None

    def look(self, now: float) -> None:
        """Starts it, or starts it again. `now`: monotonic seconds."""
        if not self._wanted:
            return
        if self._process is not None:
            if self._process.poll() is None:
                return
            log("the process that archives has ended; it is started again")
            self._process, self._ended = None, now
        if self._ended is None or now - self._ended >= AGAIN:
            self._process = subprocess.Popen(list(self._command), stdin=subprocess.DEVNULL)

    def stop(self) -> None:
        """Ends it, in order if that does not take long."""
        if self._process is None:
            return
        process, self._process = self._process, None
        process.terminate()
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
