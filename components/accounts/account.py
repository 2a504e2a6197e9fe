"""A user with passwords that are drawn, changed with an overlap, and no right but those that are said.

Owns: which passwords there are and which of them count. Leaves to others: the user and its rights at the
database (user.py, grants.py), giving the password to whoever connects with it.

A password has a generation, a whole number. One more draws a new one, and the one before counts as well,
until `ended` names it: in between, clients get the new one, each in its own time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pulumi

from components.accounts import names
from components.accounts.grants import Grants, GrantsArgs, Right
from components.accounts.user import User, UserArgs
from components.password import Password


@dataclass(frozen=True)
class AccountArgs:
    """An account.

    Attributes:
        reach: what `reach.reach` gives of the cluster's outputs.
        user: what it is called: up to 64 letters, digits and _.
        rights: all that it may do.
        host: from where it may come; anywhere unless given.
        generation: of the password that clients are to have; one more draws a new one.
        ended: the last generation whose password no longer counts.
        locked: nobody gets in any more; who is in stays.
        require_tls: nobody gets in without TLS.
        adopt: take over a user that is there already, with new passwords.
    """

    reach: pulumi.Input[dict[str, Any]]
    user: pulumi.Input[str]
    rights: Sequence[Right]
    host: pulumi.Input[str] = names.EVERYWHERE
    generation: int = 1
    ended: int = 0
    locked: bool = False
    require_tls: bool = False
    adopt: bool = False


class Account(pulumi.ComponentResource):
    """An account, ready to connect.

    Attributes:
        user: what it is called, once it has its rights.
        password: the newest; secret.
        valid: generations whose passwords count, the newest first.
    """

    user: pulumi.Output[str]
    password: pulumi.Output[str]
    valid: list[int]

    def __init__(self, name: str, args: AccountArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("swarm-galera:accounts:Account", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        self.valid = counting(name, args.generation, args.ended)
        drawn = [Password(f"{name}-password-{number}", opts=child).value for number in self.valid]
        user = User(
            f"{name}-user",
            UserArgs(
                args.reach, args.user, drawn, args.host, self.valid, args.locked, args.require_tls, args.adopt
            ),
            child,
        )
        grants = Grants(f"{name}-grants", GrantsArgs(args.reach, user.user, user.host, args.rights), child)
        self.user = pulumi.Output.all(user.user, grants.id).apply(lambda known: str(known[0]))
        self.password = pulumi.Output.secret(drawn[0])
        self.register_outputs({"user": self.user})


def counting(name: str, generation: Any, ended: Any) -> list[int]:
    """Generations whose passwords count, the newest first: two at most. Raises RunError."""
    if not (isinstance(generation, int) and isinstance(ended, int) and 0 <= ended < generation):
        raise pulumi.RunError(
            f"The account {name} has generation {generation} and ended {ended}, so that no password would "
            "count. Remedy: give whole numbers, of which `generation` is at least 1 and `ended` is below it"
        )
    return [number for number in (generation, generation - 1) if number > max(ended, 0)]
