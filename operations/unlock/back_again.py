"""Waiting until what runs on hosts that were opened or unlocked is back.

Owns: the looks, their lines of progress, when it is given up. Leaves to others: whom that concerns and what
was done to them (locked.py, locked_disks.py), the look itself (around_run/care.py).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection

from operations.around_run import care
from operations.around_run.care import Seen
from operations.facts.cluster import HostFacts
from operations.messages import say
from operations.pulumi_cli import Pulumi

WITHIN = 300.0
"""Seconds for which `up` waits; what is not back then is said and left."""
EVERY, TELL = 2.0, 10.0
"""Seconds between looks, and between lines of progress."""


def until_well(
    pulumi: Pulumi,
    seen: Seen,
    names: Collection[str],
    done: str,
    another_s: Callable[[HostFacts], bool] = lambda _: False,
) -> tuple[Seen, bool]:
    """The hosts once these are well, and True; as they are after `WITHIN` seconds, and False.

    Args:
        done: what has been done to them, as the line begins that says that it is given up.
        another_s: whether a host that is not well is another's matter, and not waited for.
    """
    began, told = time.monotonic(), -TELL
    while True:
        seen = care.look(pulumi) or seen
        waiting = {
            name: why
            for name, why in seen.unwell.items()
            if name in names and not another_s(seen.facts.get(name, HostFacts()))
        }
        now = time.monotonic() - began
        if not waiting:
            return seen, True
        words = "; ".join(f"{name}: {why}" for name, why in waiting.items())
        if now >= WITHIN:
            say(f"{done}, and not well after {WITHIN:.0f} s: {words}. Going on.")
            return seen, False
        if now - told >= TELL:
            told = now
            say(f"waiting for what runs there: {words}")
        time.sleep(EVERY)
