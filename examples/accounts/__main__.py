"""Another project that has a database of its own in the cluster: users, rights and passwords as code.

A shop has three users: one for its migrations, one for the application that serves, one that only reads. None
can do more, a right that somebody grants by hand is seen by `pulumi refresh`, and a password is changed while
clients still have the old one.

    cd examples/accounts
    pulumi stack init dev && pulumi up
    pulumi stack output web --show-secrets
    pulumi config set --path generation.web 2 && pulumi up      a new password; the old one counts as well
    pulumi config set --path ended.web 1 && pulumi up           once all clients have the new one

Owns: the database, its users and what each may do. Leaves to others: the cluster (the project above this
folder), giving a password to whoever connects with it (examples/service has one in a secret of the swarm).

The folders `components` and `settings` beside this file are those of the project above. In a repository of
your own, name a checkout of it in PYTHONPATH: `refresh` and `destroy` need it, too.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pulumi

from components.accounts import rights
from components.accounts.account import Account, AccountArgs
from components.accounts.database import Database, DatabaseArgs
from components.accounts.grants import Right
from components.accounts.reach import reach

CONTRACT = 2
"""The version of the outputs that this program was written for."""
USERS = {"migrate": rights.OWN, "web": rights.WRITE, "reports": rights.READ}
"""What each may do in the shop's database; outside of it, nothing."""


def agreed(version: object, name: str) -> None:
    """Raise RunError unless the outputs of stack `name` are what this program was written for."""
    if version is None:
        raise pulumi.RunError(
            f"Stack {name} has no output contractVersion: there is no such stack, its first `up` did not "
            "come to its end, or it was by a release older than this example. Remedy: correct the setting "
            "`cluster`, or run `up` there"
        )
    # Numbers of another stack's outputs arrive as 1.0.
    if version != CONTRACT:
        told = int(version) if isinstance(version, float) else version
        raise pulumi.RunError(
            f"Stack {name} has outputs of contract version {told}, and this program knows {CONTRACT}: what "
            "they mean may have changed. Remedy: read the changelog of swarm-galera, then change this program"
        )


def numbers(config: pulumi.Config, key: str) -> Mapping[str, int]:
    """A setting with a number for each of some users; raises RunError for users that there are not."""
    given = config.get_object(key) or {}
    unknown = sorted(given.keys() - USERS.keys())
    if unknown:
        raise pulumi.RunError(
            f"The setting {key} has {', '.join(unknown)}, which is no user here. "
            f"Remedy: use {', '.join(USERS)}"
        )
    return dict(given)


def endpoint(galera: Mapping[str, Any], balancer: Mapping[str, Any] | None) -> tuple[str, int]:
    """Where to connect on the overlay network: the load balancer if there is one, else the database."""
    if balancer:
        return balancer["service"], int(balancer["writerPort"])
    return galera["service"], int(galera["port"])


def main() -> None:
    """Read the outputs, have the database and its users, hand out what each connects with."""
    config = pulumi.Config()
    name = config.require("cluster")
    cluster = pulumi.StackReference(name)
    # Nothing is read before the version is known to be the right one.
    checked = cluster.get_output("contractVersion").apply(lambda version: agreed(version, name))

    def output(key: str, required: bool = True) -> pulumi.Output[Any]:
        read = cluster.require_output if required else cluster.get_output
        return checked.apply(lambda _: read(key))

    galera, balancer = output("galera"), output("loadBalancer", required=False)
    way = pulumi.Output.all(output("ssh"), galera, output("application", required=False)).apply(
        lambda known: reach(known[0], known[1], known[2])
    )
    wanted = config.require("database")
    shop = Database("database", DatabaseArgs(way, wanted, allow_drop=config.get_bool("allowDrop") or False))
    generation, ended = numbers(config, "generation"), numbers(config, "ended")
    where = pulumi.Output.all(galera, balancer).apply(lambda known: endpoint(known[0], known[1]))
    for user, privileges in USERS.items():
        account = Account(
            user,
            AccountArgs(
                way,
                f"{wanted}_{user}",
                [Right(shop.name, privileges)],
                generation=generation.get(user, 1),
                ended=ended.get(user, 0),
            ),
        )
        # The password is secret, so the whole is.
        pulumi.export(
            user,
            {
                "host": where.apply(lambda at: at[0]),
                "port": where.apply(lambda at: at[1]),
                "database": shop.name,
                "user": account.user,
                "password": account.password,
            },
        )


main()
