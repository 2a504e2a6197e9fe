"""The component `Account`: a user of a database, what it may do, and passwords that change without a gap.

Owns: what other languages say of it.
Leaves to others: the account (swarm_galera.components.accounts.account).

No `from __future__ import annotations` here: Pulumi reads the types themselves.
"""

from collections.abc import Sequence
from typing import Any, NotRequired, TypedDict

import pulumi
from cluster import way, whole
from swarm_galera.components.accounts import account, names, rights
from swarm_galera.components.accounts.grants import Right

SETS = {"READ": rights.READ, "WRITE": rights.WRITE, "OWN": rights.OWN}
"""Rights that go together, by the word for them."""


class RightArgs(TypedDict):
    """What an account may do with a database, or a table of it."""

    database: pulumi.Input[str]
    """Its name; `*` with rights that look at the server, as PROCESS."""
    privileges: list[str]
    """Words of SQL (SELECT, INSERT, …), or READ, WRITE, OWN: what reports, applications, migrations need."""
    table: NotRequired[str]
    """All tables unless given; one that is given must be there."""


class AccountArgs(TypedDict):
    """What an account is made of."""

    cluster: pulumi.Input[dict[str, Any]]
    """All outputs of the cluster's stack: `outputs` of a StackReference."""
    user: pulumi.Input[str]
    """What it is called: up to 64 letters, digits and _."""
    rights: list[RightArgs]
    """All that it may do: others that somebody grants by hand are taken away again."""
    host: NotRequired[pulumi.Input[str]]
    """From where it may come: an address, a network, `10.20.0.%`; anywhere unless given."""
    generation: NotRequired[int]
    """Of the password that clients are to have; 1 unless given, one more draws a new one."""
    ended: NotRequired[int]
    """The last generation whose password no longer counts; until it is given, the one before counts, too."""
    locked: NotRequired[bool]
    """Nobody gets in any more; who is in stays."""
    require_tls: NotRequired[bool]
    """Nobody gets in without TLS."""
    adopt: NotRequired[bool]
    """Take over a user that is there already, with new passwords."""


class Account(pulumi.ComponentResource):
    """A user in a cluster that runs, with no right but those that are said, and a password that is drawn."""

    user: pulumi.Output[str]
    """What it is called, once it has its rights."""
    password: pulumi.Output[str]
    """The newest; secret."""

    def __init__(self, name: str, args: AccountArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("swarm-galera:index:Account", name, None, opts)
        of_account = account.AccountArgs(
            way(args["cluster"]),
            args["user"],
            [
                Right(each["database"], in_full(each["privileges"]), each.get("table") or rights.ALL)
                for each in args["rights"]
            ],
            args.get("host") or names.EVERYWHERE,
            whole(args, "generation", 1),
            whole(args, "ended", 0),
            bool(args.get("locked")),
            bool(args.get("require_tls")),
            bool(args.get("adopt")),
        )
        made = account.Account(name, of_account, pulumi.ResourceOptions(parent=self))
        self.user, self.password = made.user, made.password
        self.register_outputs({"user": self.user})


def in_full(privileges: Sequence[str]) -> list[str]:
    """Privileges with those of the sets in place of their words."""
    return list(dict.fromkeys(each for word in privileges for each in SETS.get(word.upper(), (word,))))
