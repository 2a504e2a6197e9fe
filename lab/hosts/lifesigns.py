"""Whether a kernel whose process is there is dead: its console says so, and it answers nobody any more.

Owns: the words, and how long silence after them is waited for. Leaves to others: what is done about it
(`keeper.py`), the question itself (`mconsole.py`).

A panic ends user-mode Linux, with SIGABRT. One that begins on the stack of its signals ("Received SIGSEGV in
SIGSEGV handler") has been seen to end nothing: process and console stayed as they were for hours. The words
alone prove nothing: a trace of calls may have them, too, and whoever may write to /dev/kmsg.
"""

from __future__ import annotations

import re
import time
from pathlib import Path

from lab.hosts import mconsole

LAST_WORDS = re.compile(rb"(?:Kernel panic - not syncing|Received SIGSEGV in SIGSEGV handler)[^\r\n]*")
PATIENCE = 15.0
"""Seconds of silence after which it is dead: the machine may be short of CPU."""
ANSWER = 2.0
"""Seconds for one answer. It takes an interrupt and no process of the host."""
LINE = 1024
"""Bytes of a line that are remembered until its rest has come."""


class LifeSigns:
    """Those of one boot. words: the console's last that speak of a death, empty if there are none."""

    def __init__(self, console: Path, socket: Path) -> None:
        self._console, self._socket = console, socket
        self._read_to = console.stat().st_size
        self._line = b""
        self._silent_since: float | None = None
        self.words = ""

    def lost(self) -> bool:
        """Whether it is dead. To be asked every few seconds; asks the kernel only after such words."""
        self.read()
        if not self.words:
            return False
        try:
            mconsole.ask(self._socket, "version", ANSWER)
        except mconsole.MconsoleError:
            now = time.monotonic()
            self._silent_since = self._silent_since or now
            return now - self._silent_since > PATIENCE
        self.words, self._silent_since = "", None
        return False

    def read(self) -> None:
        """What the console has said since; nothing where somebody has taken it away."""
        try:
            with self._console.open("rb") as file:
                file.seek(self._read_to)
                fresh = file.read()
        except OSError:
            return
        self._read_to += len(fresh)
        text = self._line + fresh
        for found in LAST_WORDS.finditer(text):
            self.words = found[0].decode(errors="replace")
        self._line = text.rpartition(b"\n")[2][-LINE:]
