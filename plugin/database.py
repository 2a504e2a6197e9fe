"""The component `Database`: a database in a cluster that runs.

Owns: what other languages say of it.
Leaves to others: the database (swarm_galera.components.accounts.database).

No `from __future__ import annotations` here: Pulumi reads the types themselves.
"""

from typing import Any, NotRequired, TypedDict

import pulumi
from cluster import way
from swarm_galera.components.accounts import database


class DatabaseArgs(TypedDict):
    """What a database is made of."""

    cluster: pulumi.Input[dict[str, Any]]
    """All outputs of the cluster's stack: `outputs` of a StackReference."""
    name: pulumi.Input[str]
    """Up to 64 letters, digits and _. Another name is another database: the former would have to go."""
    character_set: NotRequired[pulumi.Input[str]]
    """Of tables that say nothing of it; the server's unless given."""
    collation: NotRequired[pulumi.Input[str]]
    """Of tables that say nothing of it; the character set's unless given."""
    allow_drop: NotRequired[bool]
    """Whether it may be dropped when this resource goes, from the next run on. It is protected otherwise."""
    adopt: NotRequired[bool]
    """Go on with a database that is there already, as it is."""


class Database(pulumi.ComponentResource):
    """A database in a cluster that runs, on all of its nodes; protected unless it may be dropped."""

    name: pulumi.Output[str]
    """What it is called, once it is there."""

    def __init__(self, name: str, args: DatabaseArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("swarm-galera:index:Database", name, None, opts)
        of_database = database.DatabaseArgs(
            way(args["cluster"]),
            args["name"],
            args.get("character_set"),
            args.get("collation"),
            allow_drop=bool(args.get("allow_drop")),
            adopt=bool(args.get("adopt")),
        )
        made = database.Database(f"{name}-database", of_database, pulumi.ResourceOptions(parent=self))
        self.name = made.name
        self.register_outputs({"name": self.name})
