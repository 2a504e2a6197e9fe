"""All frames on a site's bridge, in a file: what whoever sits on the network reads."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from harness.image_containers import Site, wait_for

TAP = """
import socket, sys
tap = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
tap.setsockopt(socket.SOL_SOCKET, 33, 1 << 26)  # SO_RCVBUFFORCE: nothing is to be missed
with open(sys.argv[1], "wb", buffering=0) as file:
    file.write(b"begins ")
    while True:
        file.write(tap.recv(1 << 17)[54:])  # without the headers, so that a word goes on in the next frame
"""


@dataclass(frozen=True)
class Wiretap:
    """What was heard so far."""

    file: Path

    def heard(self, word: str) -> bool:
        """Whether a word crossed the network in plain."""
        return word.encode() in self.file.read_bytes()

    def size(self) -> int:
        """Bytes."""
        return self.file.stat().st_size


@contextlib.contextmanager
def listening(site: Site, name: str) -> Iterator[Wiretap]:
    """Hears all from now on."""
    file = site.folder / f"{name}.heard"
    argv = ("ip", "netns", "exec", site.network.switch, sys.executable, "-c", TAP, str(file))
    with subprocess.Popen(argv) as tap:
        wait_for(lambda: file.stat().st_size, "a tap on the network", 30)
        try:
            yield Wiretap(file)
        finally:
            tap.kill()
