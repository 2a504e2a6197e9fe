"""A user of the database, with one password or, while one takes the other's place, two.

Owns: the resource `User` and its provider. Leaves to others: what it may do (grants.py), drawing passwords
(account.py). Of passwords the database, the state and whatever crosses to a host have the stored form only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
from pulumi.dynamic import CheckFailure, CheckResult, CreateResult, ReadResult, Resource, UpdateResult

from components.accounts import names
from components.accounts import statements as sql
from components.accounts.provider import SECRET, AccountsProvider, taken, wrong
from components.accounts.reach import AccountsFailed
from components.dynamic import is_unknown
from components.host_scripts.account import stored


class UserProvider(AccountsProvider):
    """Makes the user, keeps it as it is said, drops it."""

    REPLACE = frozenset({"user", "host"})
    UPDATE = frozenset({"generations", "hashes", "locked", "reach", "require_tls"})
    IGNORE = frozenset({"adopt"})

    def same(self, key: str, old: Any, new: Any) -> bool:
        """A switch that is not set is off."""
        return bool(old) == bool(new) if key in ("locked", "require_tls") else super().same(key, old, new)

    def check(self, olds: dict[str, Any], news: dict[str, Any]) -> CheckResult:
        """Refuse names that can't be, and passwords that would lock out whoever has the present one."""
        found = wrong(news, {"user": names.name_of_user, "host": names.host}) or taken(news, "user")
        return CheckResult(news, [*found, *_without_overlap(olds, news)])

    def create(self, props: dict[str, Any]) -> CreateResult:
        """Make it. One that is there is taken over if it has this password, or by `adopt`."""
        who, root = _who(props), self.root(props)
        known = sql.account_known(root.ask(sql.account_question(*who)))
        if known is not None and not props.get("adopt") and not set(known.hashes) & set(props["hashes"]):
            raise AccountsFailed(
                f"The user {_id(props)} is there already, and not by this resource: nothing was changed. "
                "Remedy: choose another name, or say adopt=True to give it these passwords"
            )
        root.ask(*sql.account_made(*who, _wanted(props)))
        return CreateResult(_id(props), props)

    def read(self, id_: str, props: dict[str, Any]) -> ReadResult:
        """As it is; empty when it has gone."""
        known = sql.account_known(self.root(props).ask(sql.account_question(*_who(props))))
        if known is None:
            return ReadResult("", {})
        seen = {"hashes": list(known.hashes), "locked": known.locked, "require_tls": known.require_tls}
        return ReadResult(id_, {**props, **seen})

    def update(self, id_: str, _olds: dict[str, Any], news: dict[str, Any]) -> UpdateResult:
        """Passwords and switches; whoever is connected stays so."""
        self.root(news).ask(*sql.account_made(*_who(news), _wanted(news)))
        return UpdateResult(news)

    def delete(self, id_: str, props: dict[str, Any]) -> None:
        """Drop it, unless something in the database runs as it and could not without."""
        root = self.root(props)
        uses = [row[0] for row in root.ask(sql.definers_question(*_who(props)))]
        if uses:
            raise AccountsFailed(
                f"The user {id_} is not dropped: {', '.join(uses[:5])}{' …' if len(uses) > 5 else ''} would "
                "fail without it, as what runs with its rights. Remedy: make them anew with another DEFINER; "
                "or keep the user, with locked=True"
            )
        root.ask(*sql.account_gone(*_who(props)))


def _who(props: dict[str, Any]) -> tuple[str, str]:
    return props["user"], props["host"]


def _id(props: dict[str, Any]) -> str:
    return f"{props['user']}@{props['host']}"


def _wanted(props: dict[str, Any]) -> sql.Known:
    return sql.Known(tuple(props["hashes"]), bool(props.get("require_tls")), bool(props.get("locked")))


def _without_overlap(olds: dict[str, Any], news: dict[str, Any]) -> list[CheckFailure]:
    """Whether the newest password so far would be refused from this run on."""
    former, now = olds.get("generations"), news.get("generations")
    if not former or not now or is_unknown(former) or is_unknown(now) or former[0] in now:
        return []
    told, kept = f"{former[0]:.0f}", f"{former[0] + 1:.0f}"
    reason = (
        f"the password of generation {told} is the one that clients have, and would be refused at once. "
        f"Remedy: set generation {kept} and leave `ended` below {told}; run `up`, give clients the new one, "
        f"then end the former by `ended: {told}`"
    )
    return [CheckFailure("generations", reason)]


@dataclass(frozen=True)
class UserArgs:
    """A user.

    Attributes:
        reach: what `reach.reach` gives of the cluster's outputs.
        user: up to 64 letters, digits and _.
        passwords: one or more, each of which lets it in; secret.
        host: from where it may come: % (anywhere), an IPv4 address, or a network like 10.20.0.%.
        generations: whole numbers that tell the passwords apart, the newest first. With them, the newest of
            the run before must still be among them.
        locked: nobody gets in any more; who is in stays.
        require_tls: nobody gets in without TLS.
        adopt: take over a user that is there already.
    """

    reach: pulumi.Input[dict[str, Any]]
    user: pulumi.Input[str]
    passwords: Sequence[pulumi.Input[str]]
    host: pulumi.Input[str] = names.EVERYWHERE
    generations: Sequence[int] = ()
    locked: bool = False
    require_tls: bool = False
    adopt: bool = False


class User(Resource, module="swarm-galera", name="User"):
    """A user of the database.

    Attributes:
        user, host: what it is called, and from where it may come.
    """

    user: pulumi.Output[str]
    host: pulumi.Output[str]

    def __init__(self, name: str, args: UserArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        if not args.passwords:
            raise pulumi.RunError(f"The user {name} has no password. Remedy: give it at least one")
        hashes: pulumi.Output[list[str]] = pulumi.Output.all(*args.passwords).apply(
            lambda given: [stored(text) for text in given]
        )
        props = {
            "reach": pulumi.Output.secret(args.reach),
            "user": args.user,
            "host": args.host,
            "hashes": pulumi.Output.secret(hashes),  # type: ignore[arg-type]
            "generations": list(args.generations),
            "locked": args.locked,
            "require_tls": args.require_tls,
            "adopt": args.adopt,
        }
        own = pulumi.ResourceOptions(additional_secret_outputs=SECRET)
        super().__init__(UserProvider(), name, props, pulumi.ResourceOptions.merge(own, opts))
