"""Secrets that have generations: one more draws new ones, and those before count until they are ended.

Owns: what can be said of that. Leaves to others: which step a run may take beside the last one
(components/rotation.py), drawing them and bringing them to whoever has them (the components).
"""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field, model_validator

from settings import values
from settings.section import Section


class Rotation(Section):
    """Generations. What each setting means is with the sections that are one."""

    generation: int = Field(1, ge=1, le=10_000)
    ended: int = Field(0, ge=0, le=10_000)

    @model_validator(mode="after")
    def _something_counts(self) -> Rotation:
        if self.ended >= self.generation:
            raise values.Refused(
                f"ended is {self.ended} and generation {self.generation}, so that nothing would count any "
                "more",
                f"set ended to {self.generation - 1} at the most",
            )
        return self

    @property
    def counting(self) -> list[int]:
        """The generations that count, the newest first: two at most."""
        return [each for each in (self.generation, self.generation - 1) if each > self.ended]

    @property
    def rotated(self) -> bool:
        """Whether it was ever said: a stack that never said so has nothing that tells of it."""
        return self.generation > 1 or self.ended > 0


class Passwords(Rotation):
    """Passwords of the database's accounts `root`, `monitor` and the one that is called like the database.

    Attributes:
        generation: one more draws new passwords, which are in the output `passwords` then. Those before count
            as well, on every node. One step a run, and never back.
        ended: passwords of this generation and those before it no longer count. Raise it in a later run, once
            all clients have the new ones.
    """

    title: ClassVar[str] = "galera.passwords"


class AccountPasswords(Rotation):
    """Passwords of the application's account in the database.

    Attributes:
        generation: one more draws a new password, which its containers get one after the other. The one
            before counts as well. One step a run, and never back.
        ended: the password of this generation and those before it no longer count. In a later run.
    """

    title: ClassVar[str] = "application.database.passwords"


class Certificates(Rotation):
    """Certificates of the key-value store: of its members among one another, and of its clients.

    Attributes:
        generation: one more makes new authorities and new certificates. Members and nodes go over to them one
            by one; they trust the authorities before as well. One step a run, and never back.
        ended: authorities of this generation and those before it are trusted no longer. Raise it in a later
            run, once consumers have what the output `discoveryAccess` says.
    """

    title: ClassVar[str] = "discovery.certificates"
