"""A database in a cluster that runs, as a resource that nobody drops by mistake.

Owns: the resource `Database` and its provider. Leaves to others: who may do what in it (grants.py).
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import pulumi
from pulumi.dynamic import CheckResult, CreateResult, ReadResult, Resource, UpdateResult

from components.accounts import names
from components.accounts import statements as sql
from components.accounts.provider import SECRET, AccountsProvider, taken, wrong
from components.accounts.reach import AccountsFailed


class DatabaseProvider(AccountsProvider):
    """Makes the database, and drops it only when it is told that it may."""

    REPLACE = frozenset({"name"})
    UPDATE = frozenset({"allow_drop", "character_set", "collation", "reach"})
    IGNORE = frozenset({"adopt", "made_by"})

    def check(self, _olds: dict[str, Any], news: dict[str, Any]) -> CheckResult:
        """Refuse names that can't be, or are the cluster's own."""
        found = wrong(
            news,
            {
                "name": names.name_of_database,
                "character_set": names.character_set,
                "collation": names.character_set,
            },
        )
        return CheckResult(news, found or taken(news, "name"))

    def create(self, props: dict[str, Any]) -> CreateResult:
        """Make it. One that is there is taken over if an interrupted run has made it, or by `adopt`."""
        name, root = props["name"], self.root(props)
        known = sql.database_known(root.ask(sql.database_question(name)))
        if known is not None and not props.get("adopt") and known.comment != props["made_by"]:
            raise AccountsFailed(
                f"The database {name} is there already, and not by this resource: nothing was changed. "
                "Remedy: choose another name, or say adopt=True to go on with it and all that is in it"
            )
        root.ask(*sql.database_made(name, *_characters(props), props["made_by"]), *self._put_right(props))
        return CreateResult(name, props)

    def read(self, id_: str, props: dict[str, Any]) -> ReadResult:
        """As it is; empty when it has gone."""
        known = sql.database_known(self.root(props).ask(sql.database_question(id_)))
        if known is None:
            return ReadResult("", {})
        # What is not said is the server's to choose, whatever that is.
        seen = {"character_set": known.character_set, "collation": known.collation}
        return ReadResult(id_, {**props, **{key: value for key, value in seen.items() if props.get(key)}})

    def update(self, id_: str, _olds: dict[str, Any], news: dict[str, Any]) -> UpdateResult:
        """What further tables have by default; made anew where it has gone."""
        self.root(news).ask(
            *sql.database_made(id_, *_characters(news), news["made_by"]), *self._put_right(news)
        )
        return UpdateResult(news)

    def delete(self, id_: str, props: dict[str, Any]) -> None:
        """Drop it with all its rows, if the last run has said that this may be."""
        if not props.get("allow_drop"):
            raise AccountsFailed(
                f"The database {id_} is not dropped: that would lose its rows on all nodes. Remedy: say "
                "allow_drop=True, run `up`, then remove it; or have this project forget it "
                "(`pulumi state delete URN`)"
            )
        self.root(props).ask(*sql.database_gone(id_))

    def _put_right(self, props: dict[str, Any]) -> list[str]:
        return sql.database_changed(props["name"], *_characters(props))


def _characters(props: dict[str, Any]) -> tuple[str | None, str | None]:
    return props.get("character_set"), props.get("collation")


@dataclass(frozen=True)
class DatabaseArgs:
    """A database.

    Attributes:
        reach: what `reach.reach` gives of the cluster's outputs.
        name: up to 64 letters, digits and _. Another name is another database: the former would have to go.
        character_set, collation: of tables that say nothing of it; the server's unless given.
        allow_drop: whether it may be dropped when this resource goes, from the next run on.
        adopt: go on with a database that is there already, as it is.
    """

    reach: pulumi.Input[dict[str, Any]]
    name: pulumi.Input[str]
    character_set: pulumi.Input[str] | None = None
    collation: pulumi.Input[str] | None = None
    allow_drop: bool = False
    adopt: bool = False


class Database(Resource, module="swarm-galera", name="Database"):
    """A database; protected unless it may be dropped.

    Attributes:
        name: of it.
    """

    name: pulumi.Output[str]

    def __init__(self, name: str, args: DatabaseArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        own = pulumi.ResourceOptions(additional_secret_outputs=SECRET, protect=not args.allow_drop)
        made_by = f"{pulumi.get_project()}/{pulumi.get_stack()}/{name}"
        props = {field.name: getattr(args, field.name) for field in fields(args)}
        super().__init__(
            DatabaseProvider(),
            name,
            {**props, "reach": pulumi.Output.secret(args.reach), "made_by": made_by},
            pulumi.ResourceOptions.merge(own, opts),
        )
