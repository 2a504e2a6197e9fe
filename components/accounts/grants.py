"""All that one user may do, as one resource: what is granted besides, anywhere, is seen and taken back.

Owns: the resource `Grants` and its provider. Leaves to others: the user (user.py), which rights there are
(rights.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
from pulumi.dynamic import CheckFailure, CheckResult, CreateResult, ReadResult, Resource, UpdateResult

from components.accounts import names, rights
from components.accounts import statements as sql
from components.accounts.provider import SECRET, AccountsProvider, taken, wrong
from components.accounts.quoting import account
from components.accounts.reach import AccountsFailed
from components.dynamic import is_unknown

NO_SUCH_GRANT = {1141, 1147, 1269, 1403}
"""Errors of who takes what nobody has any more: a call before, whose answer was lost, may have done it."""


class GrantsProvider(AccountsProvider):
    """Gives and takes rights until the user has those that are said, and no other."""

    REPLACE = frozenset({"user", "host"})
    UPDATE = frozenset({"beyond", "reach", "rights"})

    def same(self, key: str, old: Any, new: Any) -> bool:
        """Order, case and how rights are spread over entries mean nothing."""
        if key == "rights":
            return rights.parsed(old or []) == rights.parsed(new or [])
        return super().same(key, old, new)

    def check(self, _olds: dict[str, Any], news: dict[str, Any]) -> CheckResult:
        """Refuse what can't be granted here."""
        found = wrong(news, {"user": names.name_of_user, "host": names.host}) or taken(news, "user")
        if not is_unknown(news.get("rights")):
            found += [CheckFailure("rights", reason) for reason in rights.problems(news.get("rights") or [])]
        return CheckResult(news, found)

    def create(self, props: dict[str, Any]) -> CreateResult:
        """Give them; whatever else the user has is taken."""
        self._put_right(props, rights.parsed(props["rights"]))
        return CreateResult(f"{props['user']}@{props['host']}", _as_told(props))

    def read(self, id_: str, props: dict[str, Any]) -> ReadResult:
        """As they are; empty when the user has gone. `beyond`: in words, what has no place in `rights`."""
        root, who = self.root(props), (props["user"], props["host"])
        if not root.ask(sql.account_question(*who)):
            return ReadResult("", {})
        found, beyond = rights.told(rights.seen(root.ask(rights.question(*who))))
        wanted = props.get("rights") or []
        told = wanted if rights.parsed(wanted) == found else rights.listed(found)
        return ReadResult(id_, {**props, "rights": told, "beyond": beyond})

    def update(self, id_: str, _olds: dict[str, Any], news: dict[str, Any]) -> UpdateResult:
        """Give what is missing, then take what is too much; it counts for those who are connected, too."""
        self._put_right(news, rights.parsed(news["rights"]))
        return UpdateResult(_as_told(news))

    def delete(self, id_: str, props: dict[str, Any]) -> None:
        """Take all of them, if the user is there."""
        if self.root(props).ask(sql.account_question(props["user"], props["host"])):
            self._put_right(props, {})

    def _put_right(self, props: dict[str, Any], wanted: rights.Rights) -> None:
        root, who = self.root(props), (props["user"], props["host"])
        for last in (False, True):
            held = rights.seen(root.ask(rights.question(*who)))
            statements = rights.changes(wanted, held, account(*who))
            try:
                if statements:
                    root.ask(*statements)
                return
            except AccountsFailed as error:
                if last or error.number not in NO_SUCH_GRANT:
                    raise


def _as_told(props: dict[str, Any]) -> dict[str, Any]:
    return {**props, "beyond": []}


@dataclass(frozen=True)
class Right:
    """What is allowed on a database.

    Attributes:
        database: its name, or * for the few rights that look at the server.
        privileges: words of SQL; `rights.READ`, `WRITE` and `OWN` have those that belong together.
        table: one table of it, which must be there; all unless given.
    """

    database: pulumi.Input[str]
    privileges: Sequence[str]
    table: str = rights.ALL


@dataclass(frozen=True)
class GrantsArgs:
    """All rights of a user.

    Attributes:
        reach: what `reach.reach` gives of the cluster's outputs.
        user, host: whose; of the resource `User`, so that it is there first.
        rights: none for a user that may do nothing.
    """

    reach: pulumi.Input[dict[str, Any]]
    user: pulumi.Input[str]
    host: pulumi.Input[str]
    rights: Sequence[Right]


class Grants(Resource, module="swarm-galera", name="Grants"):
    """All rights of a user.

    Attributes:
        beyond: what it may do besides, found by a refresh and taken by the next `up`; in words.
    """

    beyond: pulumi.Output[list[str]]

    def __init__(self, name: str, args: GrantsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        props = {
            "reach": pulumi.Output.secret(args.reach),
            "user": args.user,
            "host": args.host,
            "rights": [
                {"database": each.database, "table": each.table, "privileges": list(each.privileges)}
                for each in args.rights
            ],
            "beyond": None,
        }
        own = pulumi.ResourceOptions(additional_secret_outputs=SECRET)
        super().__init__(GrantsProvider(), name, props, pulumi.ResourceOptions.merge(own, opts))
