"""The program's end, so that a stack of many hosts is previewed in linear time.

Owns: one turn of the event loop. Leaves to others: everything that is registered.

When the program has been read, the SDK (3.245, pulumi/runtime/stack.py) waits for the registrations under
way, then for all outputs. But registrations begin with the event loop's next turn, so there are none yet, and
it waits for outputs alone: one wait over all pending ones for each that resolves, quadratic in their number,
and for 99 hosts more than all the rest. After one turn every registration is under way and waited for first.
"""

from __future__ import annotations

import asyncio

# What the SDK itself does for every `invoke`; there is no public name for it.
from pulumi.runtime.sync_await import _sync_await


def begin() -> None:
    """Have all registrations under way. Call it last."""
    _sync_await(asyncio.sleep(0))
