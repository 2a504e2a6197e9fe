"""What the store keeps for people alone: no rule of a node goes by it.

Leaves to others: reading and writing it (`store`), when that is done (`membership`, `commands`).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Decided:
    """What a person has decided that is nobody else's, and that may have cost rows.

    `what`: the command. `by`: who, in the words of whoever called it. `at`: in UTC. `lost`: what it has left
    behind, as far as was known then.
    """

    what: str
    by: str
    at: str
    lost: str = ""


@dataclass(frozen=True)
class Published:
    """When a member published the position `seqno`: `at`, in UTC; for people alone.

    A node that does not write this may have published another position since.
    """

    seqno: int
    at: str
