"""Databases, users and rights as resources: what each call asks of the database, and what it refuses.

The database is a list of answers here; tests/plugins/test_example_accounts.py has the real one.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import dill  # type: ignore[import-untyped]
import pytest
from pulumi.runtime import rpc

from components.accounts import rights
from components.accounts import statements as sql
from components.accounts.database import DatabaseProvider
from components.accounts.grants import GrantsProvider
from components.accounts.provider import AccountsProvider
from components.accounts.reach import AccountsFailed, Root
from components.accounts.user import UserProvider
from components.host_scripts.account import stored

pytestmark = pytest.mark.unit

OLD, NEW = stored("old"), stored("new")
REACH = {
    "hosts": [],
    "user": "root",
    "private_key": "KEY",
    "service": "galera",
    "taken": ["app", "wordpress"],
}
DATABASE = {
    "reach": REACH,
    "name": "shop",
    "character_set": None,
    "collation": None,
    "allow_drop": False,
    "adopt": False,
    "made_by": "shop/dev/database",
}
USER = {
    "reach": REACH,
    "user": "web",
    "host": "%",
    "hashes": [NEW],
    "generations": [2.0],
    "locked": False,
    "require_tls": False,
    "adopt": False,
}
GRANTS = {
    "reach": REACH,
    "user": "web",
    "host": "%",
    "rights": [{"database": "shop", "table": "*", "privileges": ["SELECT"]}],
    "beyond": None,
}
CREATED = [{**DATABASE}, {**USER}, {**GRANTS}]
PROVIDERS: list[type[AccountsProvider]] = [DatabaseProvider, UserProvider, GrantsProvider]
BOTH = list(zip(PROVIDERS, CREATED, strict=True))


class Answers(Root):
    """A database that answers questions, and notes what else it is told."""

    def __init__(self, answers: Mapping[str, list[tuple[str, ...]]]) -> None:
        self.answers, self.told, self.errors = dict(answers), list[str](), list[AccountsFailed]()

    def ask(self, *statements: str) -> list[tuple[str, ...]]:
        text = "\n".join(statements)
        if text in self.answers:
            return self.answers[text]
        assert not text.startswith("SELECT"), text
        if self.errors:
            raise self.errors.pop()
        self.told += statements
        return []


def beside(provider: AccountsProvider, answers: Mapping[str, list[tuple[str, ...]]]) -> Answers:
    """The provider's way leads to this database."""
    found = Answers(answers)
    provider._root = (REACH, found)
    return found


def refreshed(provider: AccountsProvider, id_: str, props: dict[str, Any]) -> dict[str, Any]:
    """What a refresh puts into the state."""
    seen = provider.read(id_, props)
    assert (seen.id, seen.outs is None) == (id_, False)
    return dict(seen.outs or {})


def known_user(*hashes: str, **more: Any) -> list[tuple[str, ...]]:
    first, *others = [{"plugin": sql.NATIVE, "authentication_string": each} for each in hashes]
    return [(json.dumps({"access": 0, **first, **({"auth_or": [{}, *others]} if others else {}), **more}),)]


ASKS_USER, ASKS_DATABASE = sql.account_question("web", "%"), sql.database_question("shop")
ASKS_RIGHTS, ASKS_DEFINERS = rights.question("web", "%"), sql.definers_question("web", "%")


@pytest.mark.parametrize(("provider", "props"), BOTH)
def test_every_property_is_declared_exactly_once(
    provider: type[AccountsProvider], props: dict[str, Any]
) -> None:
    tables = [*provider.REPLACE, *provider.UPDATE, *provider.IGNORE]
    assert sorted(tables) == sorted({*tables})
    assert props.keys() == set(tables)


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_provider_is_pickled_by_reference_and_knows_nothing_before_its_first_call(
    provider: type[AccountsProvider],
) -> None:
    assert vars(provider()) == {}
    assert len(dill.dumps(provider(), recurse=True)) < 250


def test_the_way_is_kept_for_one_cluster_and_made_anew_for_another() -> None:
    provider = UserProvider()
    first = provider.root({"reach": REACH})
    assert provider.root({"reach": dict(REACH)}) is first
    assert provider.root({"reach": {**REACH, "user": "admin"}}) is not first


# ---- a database


def test_a_database_is_made_with_a_mark_of_who_made_it() -> None:
    provider = DatabaseProvider()
    database = beside(provider, {ASKS_DATABASE: []})
    made = provider.create({**DATABASE, "character_set": "utf8mb4"})
    assert made.id == "shop"
    assert database.told[0] == (
        "CREATE DATABASE IF NOT EXISTS `shop` CHARACTER SET utf8mb4 COMMENT 'shop/dev/database';"
    )


def test_a_database_that_somebody_else_has_made_is_left_alone() -> None:
    provider = DatabaseProvider()
    database = beside(provider, {ASKS_DATABASE: [("utf8mb4", "utf8mb4_general_ci", "")]})
    with pytest.raises(
        AccountsFailed, match=r"there already, and not by this resource.*Remedy: .*adopt=True"
    ):
        provider.create(DATABASE)
    assert database.told == []


@pytest.mark.parametrize(
    ("comment", "adopt"), [("shop/dev/database", False), ("somebody's", True)], ids=["interrupted", "adopted"]
)
def test_a_database_of_an_interrupted_run_or_one_that_is_adopted_is_gone_on_with(
    comment: str, adopt: bool
) -> None:
    provider = DatabaseProvider()
    database = beside(provider, {ASKS_DATABASE: [("utf8mb4", "utf8mb4_general_ci", comment)]})
    provider.create({**DATABASE, "adopt": adopt, "collation": "utf8mb4_bin"})
    assert database.told[-1] == "ALTER DATABASE `shop` COLLATE utf8mb4_bin;"


def test_a_refresh_sees_that_a_database_has_gone_or_has_another_collation() -> None:
    provider = DatabaseProvider()
    wanted = {**DATABASE, "collation": "utf8mb4_bin"}
    database = beside(provider, {ASKS_DATABASE: [("utf8mb4", "utf8mb4_general_ci", "")]})
    seen = refreshed(provider, "shop", wanted)
    assert provider.diff("shop", seen, wanted).changes
    # What is not said is the server's to choose.
    assert refreshed(provider, "shop", DATABASE) == DATABASE
    database.answers[ASKS_DATABASE] = []
    assert provider.read("shop", DATABASE).id == ""


def test_a_database_is_dropped_only_if_the_last_run_has_allowed_it() -> None:
    provider = DatabaseProvider()
    database = beside(provider, {})
    with pytest.raises(AccountsFailed, match=r"shop is not dropped.*Remedy: say allow_drop=True, run `up`"):
        provider.delete("shop", DATABASE)
    assert database.told == []
    provider.delete("shop", {**DATABASE, "allow_drop": True})
    assert database.told == ["DROP DATABASE IF EXISTS `shop`;"]


def test_another_name_is_another_database_and_another_collation_is_not() -> None:
    provider = DatabaseProvider()
    assert provider.diff("shop", DATABASE, {**DATABASE, "name": "store"}).replaces == ["name"]
    changed = provider.diff("shop", DATABASE, {**DATABASE, "collation": "utf8mb4_bin"})
    assert changed.changes
    assert changed.replaces == []
    assert not provider.diff("shop", DATABASE, {**DATABASE, "made_by": "shop/prod/database"}).changes


# ---- a user


def test_a_user_is_made_with_its_passwords_stored_form_alone() -> None:
    provider = UserProvider()
    database = beside(provider, {ASKS_USER: []})
    made = provider.create({**USER, "hashes": [NEW, OLD], "generations": [2.0, 1.0]})
    ways = f"mysql_native_password USING '{NEW}' OR mysql_native_password USING '{OLD}'"
    words = f"'web'@'%' IDENTIFIED VIA {ways} REQUIRE NONE ACCOUNT UNLOCK;"
    assert made.id == "web@%"
    assert database.told == [f"CREATE USER IF NOT EXISTS {words}", f"ALTER USER {words}"]


def test_a_user_that_is_locked_and_needs_tls() -> None:
    provider = UserProvider()
    database = beside(provider, {ASKS_USER: []})
    provider.create({**USER, "locked": True, "require_tls": True})
    assert database.told[-1].endswith("REQUIRE SSL ACCOUNT LOCK;")


def test_a_user_that_somebody_else_has_made_is_left_alone() -> None:
    provider = UserProvider()
    database = beside(provider, {ASKS_USER: known_user(OLD)})
    with pytest.raises(AccountsFailed, match=r"web@% is there already.*Remedy: .*adopt=True"):
        provider.create(USER)
    assert database.told == []
    provider.create({**USER, "adopt": True})
    assert database.told


def test_a_user_of_an_interrupted_run_has_our_password_and_is_gone_on_with() -> None:
    provider = UserProvider()
    database = beside(provider, {ASKS_USER: known_user(NEW)})
    provider.create(USER)
    assert database.told[-1].startswith("ALTER USER 'web'@'%'")


@pytest.mark.parametrize(
    ("found", "changed"),
    [
        (known_user(NEW), False),
        (known_user(NEW, account_locked=False, ssl_type=0), False),
        (known_user(OLD), True),
        (known_user(NEW, OLD), True),
        (known_user(NEW, account_locked=True), True),
        (known_user(NEW, ssl_type=1), True),
        ([('{"plugin":"ed25519","authentication_string":"x"}',)], True),
    ],
    ids=[
        "as it was",
        "as it was, in other words",
        "password",
        "further password",
        "locked",
        "tls",
        "ed25519",
    ],
)
def test_a_refresh_sees_what_somebody_has_changed_of_a_user(
    found: list[tuple[str, ...]], changed: bool
) -> None:
    provider = UserProvider()
    beside(provider, {ASKS_USER: found})
    assert provider.diff("web@%", refreshed(provider, "web@%", USER), USER).changes is changed


def test_a_refresh_sees_that_a_user_has_gone() -> None:
    provider = UserProvider()
    beside(provider, {ASKS_USER: []})
    assert provider.read("web@%", USER).id == ""


def test_a_user_is_dropped_unless_something_runs_as_it() -> None:
    provider = UserProvider()
    database = beside(provider, {ASKS_DEFINERS: [(f"view shop.v{n}",) for n in range(6)]})
    with pytest.raises(AccountsFailed, match=r"view shop\.v0, .*… would fail without it.*Remedy: .*DEFINER"):
        provider.delete("web@%", USER)
    assert database.told == []
    database.answers[ASKS_DEFINERS] = []
    provider.delete("web@%", USER)
    assert database.told == ["DROP USER IF EXISTS 'web'@'%';"]


def test_another_name_or_place_is_another_user_and_a_password_is_changed_in_place() -> None:
    provider = UserProvider()
    assert provider.diff("web@%", USER, {**USER, "host": "10.20.0.%"}).replaces == ["host"]
    changed = provider.diff("web@%", USER, {**USER, "hashes": [OLD]})
    assert changed.changes
    assert changed.replaces == []
    database = beside(provider, {})
    provider.update("web@%", USER, {**USER, "hashes": [OLD]})
    assert f"'{OLD}'" in database.told[-1]


def refusals(provider: AccountsProvider, olds: dict[str, Any], news: dict[str, Any]) -> list[str]:
    return [failure.reason for failure in provider.check(olds, news).failures]


@pytest.mark.parametrize(
    ("former", "now", "allowed"),
    [
        ([1.0], [1.0], True),
        ([1.0], [2.0, 1.0], True),
        ([2.0, 1.0], [2.0], True),
        ([2.0], [3.0, 2.0], True),
        ([1.0], [2.0], False),
        ([1.0], [3.0, 2.0], False),
        ([2.0], [1.0], False),
        ([], [5.0], True),
        ([1.0], [], True),
        ([1.0], rpc.UNKNOWN, True),
    ],
)
def test_the_password_that_clients_have_is_never_refused_from_one_run_to_the_next(
    former: list[float], now: Any, allowed: bool
) -> None:
    found = refusals(UserProvider(), {**USER, "generations": former}, {**USER, "generations": now})
    assert (found == []) is allowed
    for reason in found:
        assert "Remedy: set generation" in reason
        assert ".0" not in reason


@pytest.mark.parametrize(
    ("provider", "props", "told"),
    [
        (DatabaseProvider(), {**DATABASE, "name": "app"}, "belongs to the cluster's own stack"),
        (UserProvider(), {**USER, "user": "wordpress"}, "belongs to the cluster's own stack"),
        (GrantsProvider(), {**GRANTS, "user": "app"}, "belongs to the cluster's own stack"),
        (DatabaseProvider(), {**DATABASE, "name": "my-shop"}, "can't name a database"),
        (DatabaseProvider(), {**DATABASE, "collation": "x;"}, "no name of a character set"),
        (UserProvider(), {**USER, "user": "root"}, "belongs to the server itself"),
        (UserProvider(), {**USER, "host": "localhost"}, "no place that a user can come from"),
        (
            GrantsProvider(),
            {**GRANTS, "rights": [{"database": "shop", "table": "*", "privileges": ["SUPER"]}]},
            "SUPER is no right",
        ),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_done(
    provider: AccountsProvider, props: dict[str, Any], told: str
) -> None:
    (reason,) = refusals(provider, {}, props)
    assert told in reason
    assert "Remedy: " in reason


@pytest.mark.parametrize(("provider", "props"), BOTH)
def test_what_is_not_known_yet_is_not_refused(
    provider: type[AccountsProvider], props: dict[str, Any]
) -> None:
    assert refusals(provider(), {}, props) == []
    unknown = {**dict.fromkeys(props, rpc.UNKNOWN)}
    assert refusals(provider(), {}, unknown) == []


# ---- rights

SELECT = ("database", "shop", "", "", "SELECT", "NO")


def test_rights_are_given_once_and_then_left_alone() -> None:
    provider = GrantsProvider()
    database = beside(provider, {ASKS_RIGHTS: []})
    made = provider.create(GRANTS)
    assert (made.id, made.outs) == ("web@%", {**GRANTS, "beyond": []})
    assert database.told == ["GRANT SELECT ON `shop`.* TO 'web'@'%';"]
    database = beside(provider, {ASKS_USER: known_user(NEW), ASKS_RIGHTS: [SELECT]})
    assert not provider.diff("web@%", refreshed(provider, "web@%", GRANTS), GRANTS).changes
    assert provider.update("web@%", GRANTS, GRANTS).outs == {**GRANTS, "beyond": []}
    assert database.told == []


@pytest.mark.parametrize(
    "by_hand",
    [("role", "boss", "", "", "ROLE", "NO"), ("database", "app", "", "", "SELECT", "NO")],
    ids=["role", "database"],
)
def test_a_refresh_sees_a_right_granted_by_hand_and_the_next_run_takes_it(by_hand: tuple[str, ...]) -> None:
    provider = GrantsProvider()
    database = beside(provider, {ASKS_USER: known_user(NEW), ASKS_RIGHTS: [SELECT, by_hand]})
    seen = refreshed(provider, "web@%", GRANTS)
    assert provider.diff("web@%", seen, GRANTS).changes
    provider.update("web@%", seen, GRANTS)
    assert len(database.told) == 1
    assert database.told[0].startswith("REVOKE ")


def test_a_right_that_a_lost_answer_has_taken_already_is_no_error() -> None:
    provider = GrantsProvider()
    database = beside(provider, {ASKS_RIGHTS: [SELECT]})
    database.errors = [AccountsFailed("no such grant", 1141)]
    provider.update("web@%", GRANTS, {**GRANTS, "rights": []})
    assert database.told == ["REVOKE SELECT ON `shop`.* FROM 'web'@'%';"]
    database.errors = [AccountsFailed("no such table", 1146)]
    with pytest.raises(AccountsFailed, match="no such table"):
        provider.update("web@%", GRANTS, {**GRANTS, "rights": []})
    database.errors = [AccountsFailed("still not", 1141), AccountsFailed("no such grant", 1141)]
    with pytest.raises(AccountsFailed, match="still not"):
        provider.update("web@%", GRANTS, {**GRANTS, "rights": []})


def test_rights_that_go_are_taken_if_the_user_is_still_there() -> None:
    provider = GrantsProvider()
    database = beside(provider, {ASKS_USER: known_user(NEW), ASKS_RIGHTS: [SELECT]})
    provider.delete("web@%", GRANTS)
    assert database.told == ["REVOKE SELECT ON `shop`.* FROM 'web'@'%';"]
    database = beside(provider, {ASKS_USER: []})
    provider.delete("web@%", GRANTS)
    assert database.told == []
    assert provider.read("web@%", GRANTS).id == ""
