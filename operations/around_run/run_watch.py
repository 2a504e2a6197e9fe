"""Says, while Pulumi runs, which hosts do not answer any more, and which do again.

Owned here: asking every few seconds, and the words. Left to others: who answered before (care.py), when this
is done (stack.py), leaving a host out (left_out.py).
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from operations.around_run.care import Seen
from operations.messages import say

EVERY = 10.0
"""Seconds between two looks at whether hosts answer."""
SILENT = 45.0
"""Seconds without an answer after which it is said."""


@contextmanager
def watched(seen: Seen | None) -> Iterator[None]:
    """Say during the block when a host that has answered does not any more, and when it does again.

    Pulumi's own tries go on for minutes, because a host may only be rebooting.
    """
    if seen is None:
        yield
        return
    over = threading.Event()
    hosts = {
        host.name: (host.address, host.port) for host in seen.outputs.hosts if host.name not in seen.away
    }
    thread = threading.Thread(target=_watch, args=(hosts, over), daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _watch(hosts: Mapping[str, tuple[str, int]], over: threading.Event) -> None:
    silent: dict[str, float] = {}
    told: set[str] = set()
    while not over.wait(EVERY):
        for name, (address, port) in hosts.items():
            if answers(address, port):
                if name in told:
                    say(f"{name} answers again.")
                silent.pop(name, None)
                told.discard(name)
                continue
            since = silent.setdefault(name, time.monotonic())
            if name not in told and time.monotonic() - since >= SILENT:
                told.add(name)
                say(
                    f"{name} has not answered for {SILENT:.0f} s. If it is not just being rebooted: what "
                    "needs it is tried for some minutes more, Ctrl-C ends that at once, and the next `up` "
                    "leaves it out."
                )


def answers(address: str, port: int) -> bool:
    """Whether anything listens there."""
    try:
        socket.create_connection((address, port), timeout=5).close()
    except OSError:
        return False
    return True
