"""Waiting that shows that it waits, ends, and stops when nobody is left who asked, or who wants it.

Owns: the rhythm of polls, lines of progress, the time limit, the check that Pulumi still runs and
that the user has not interrupted the run.
Leaves to others: what is waited for.
"""

from __future__ import annotations

import os
import re
import socket
import sys
import time
from collections.abc import Callable
from typing import TypeVar

from components.softlayer.errors import SoftLayerFailed, WaitedTooLong

T = TypeVar("T")

INTERRUPTION = "SWARM_GALERA_INTERRUPTION"
"""Environment variable: a file that is there once the user has interrupted the run."""
EVERY = 30.0
"""Seconds between two lines of progress."""
SOONEST = 0.25
"""Seconds to the next poll in the first moments of a wait. With four waits at a time that is below twenty
requests a second."""
_ADDRESS = re.compile(r"127\.0\.0\.1:\d+")


def say(line: str) -> None:
    """A line for the user: Pulumi shows what a provider prints."""
    print(line, flush=True)


def pause_after(elapsed: float) -> float:
    """Seconds to the next poll: `SOONEST` at first, later a tenth of the time waited, never above five."""
    return min(max(elapsed / 10, SOONEST), 5.0)


def pulumi_gone() -> bool:
    """Whether the Pulumi that started this provider has died.

    A provider outlives a killed Pulumi and would go on with what it was asked: nothing it orders then would
    get into any state. Pulumi's address is the provider's last argument; outside of a provider process
    (tests, other programs) there is none, and nothing is gone.
    """
    address = next((a for a in reversed(sys.argv[1:]) if _ADDRESS.fullmatch(a)), None)
    if address is None:
        return False
    host, port = address.split(":")
    try:
        socket.create_connection((host, int(port)), timeout=5).close()
    except ConnectionRefusedError:
        return True
    except OSError:
        return False
    return False


def require_pulumi() -> None:
    """Stop here if nobody waits for the result any more.

    Raises:
        SoftLayerFailed: Pulumi is gone.
    """
    if pulumi_gone():
        raise SoftLayerFailed("Pulumi has ended; run the same command again to go on from here.")


def interrupted() -> bool:
    """Whether the user has interrupted the run.

    Pulumi then lets what is under way come to its end, and tells dynamic providers nothing that would reach
    them. `python -m operations` makes the file that the variable names; without it, nobody is interrupted.
    """
    file = os.environ.get(INTERRUPTION)
    return bool(file) and os.path.exists(str(file))


def wait_for(
    what: str,
    look: Callable[[], tuple[T | None, str]],
    timeout: float,
    remedy: str,
    *,
    pause: Callable[[float], float] = pause_after,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> T:
    """Poll until `look` returns something.

    Args:
        what: what is waited for, e.g. `galera-1: waiting until it is provisioned`.
        look: returns (result, "") when done, else (None, what it is doing now).
        timeout: seconds.
        remedy: what to do when the time is over.

    Raises:
        WaitedTooLong: the time is over; says what was last seen.
        SoftLayerFailed: Pulumi is gone, or the run was interrupted.
    """
    start = clock()
    told = start - EVERY + 10.0  # the first line after ten seconds
    while True:
        result, seen = look()
        if result is not None:
            return result
        if interrupted():
            raise SoftLayerFailed(f"{what}: interrupted; run the same command again to go on from here")
        elapsed = clock() - start
        if elapsed >= timeout:
            raise WaitedTooLong(f"{what}: not after {elapsed:.0f} s (last seen: {seen}); {remedy}")
        if clock() - told >= EVERY:
            told = clock()
            say(f"{what}: {seen} ({elapsed:.0f} s of at most {timeout:.0f} s)")
            require_pulumi()
        sleep(min(pause(elapsed), max(timeout - elapsed, 0.0) + 0.01))
