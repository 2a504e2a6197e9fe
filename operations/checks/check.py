"""One statement of a check. Owned here: its shape. Left to others: what is checked."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Check:
    """One statement about the cluster.

    Attributes:
        where: a host's name, or `cluster`.
        warns: it holds, but not for long.
        remedy: what to do if it does not hold, or warns; empty where that is plain.
    """

    where: str
    what: str
    ok: bool
    found: str
    warns: bool = False
    remedy: str = ""
