"""The section `swarm`: the swarm itself, beside its hosts and networks.

Owns: its settings, and what of them must fit together. Leaves to others: turning autolock on and off and
rotating its key (components/autolock.py), unlocking managers (operations/unlock/locked.py).
"""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field, model_validator

from settings import values
from settings.section import Section


class Swarm(Section):
    """The swarm of all hosts.

    Attributes:
        autolock: managers are locked whenever their engine or host has restarted, until they are given the
            unlock key, which is in the output `unlockKey`. They run no containers until then, and if a
            majority of them is lost for good, the last one can't go on alone (docs/how-to/autolock.md).
        unlock_key_generation: one more rotates the unlock key. Never back.
        oldest_unlock_key: the generation of the oldest key that stays in the output. Raise it once no manager
            is down any more that has not heard of a newer one.
        join_token_generation: one more rotates both join tokens, of managers and of workers: with the former
            ones nobody joins any more. Nodes that are in the swarm do not notice. Never back.
    """

    title: ClassVar[str] = "swarm"
    autolock: bool = False
    unlock_key_generation: int = Field(1, ge=1, le=10_000)
    oldest_unlock_key: int = Field(1, ge=1, le=10_000)
    join_token_generation: int = Field(1, ge=1, le=10_000)

    @model_validator(mode="after")
    def _keeps_the_key_in_use(self) -> Swarm:
        if self.oldest_unlock_key > self.unlock_key_generation:
            raise values.Refused(
                f"oldestUnlockKey is {self.oldest_unlock_key}, and the key in use is of generation "
                f"{self.unlock_key_generation}",
                f"set it to {self.unlock_key_generation} at the most",
            )
        return self
