"""What an account may do: wanted, held, and what is done about the difference."""

from __future__ import annotations

from typing import Any

import pytest

from components.accounts import rights
from components.accounts.rights import Held, Rights

pytestmark = pytest.mark.unit

WHO = "'web'@'%'"
SHOP: Rights = {("my_shop", "*"): frozenset({"SELECT", "INSERT"})}


def entry(database: str, *privileges: str, table: str = "*") -> dict[str, Any]:
    return {"database": database, "table": table, "privileges": list(privileges)}


def on_database(pattern: str, *privileges: str) -> set[Held]:
    return {Held("database", pattern, "", "", privilege) for privilege in privileges}


def test_entries_on_one_thing_are_one_whatever_their_order_and_case() -> None:
    one = rights.parsed(
        [entry("shop", "select"), entry("shop", "INSERT"), entry("shop", "UPDATE", table="t")]
    )
    other = rights.parsed([entry("shop", "UPDATE", table="t"), entry("shop", "INSERT", "SELECT")])
    assert one == other
    assert rights.listed(one) == [
        entry("shop", "INSERT", "SELECT"),
        entry("shop", "UPDATE", table="t"),
    ]


def test_a_new_account_is_given_what_is_wanted_on_that_database_alone() -> None:
    wanted = {**SHOP, ("my_log", "event"): frozenset({"INSERT"}), ("*", "*"): frozenset({"PROCESS"})}
    assert rights.changes(wanted, [], WHO) == [
        f"GRANT PROCESS ON *.* TO {WHO};",
        f"GRANT INSERT ON `my_log`.`event` TO {WHO};",
        f"GRANT INSERT, SELECT ON `my\\_shop`.* TO {WHO};",
    ]


def test_an_account_that_has_just_that_is_left_alone() -> None:
    assert rights.changes(SHOP, on_database("my\\_shop", "SELECT", "INSERT"), WHO) == []


def test_what_is_missing_is_given_before_what_is_too_much_is_taken() -> None:
    held = on_database("my\\_shop", "SELECT", "DROP")
    assert rights.changes(SHOP, held, WHO) == [
        f"GRANT INSERT ON `my\\_shop`.* TO {WHO};",
        f"REVOKE DROP ON `my\\_shop`.* FROM {WHO};",
    ]


@pytest.mark.parametrize(
    ("held", "taken", "words"),
    [
        (Held("server", "", "", "", "SUPER"), "REVOKE SUPER ON *.*", None),
        (Held("server", "", "", "", "GRANT OPTION"), "REVOKE GRANT OPTION ON *.*", "GRANT OPTION ON *.*"),
        (Held("database", "my_shop", "", "", "SELECT"), "REVOKE SELECT ON `my_shop`.*",
         "SELECT ON `my_shop`.*"),
        (Held("database", "my\\_shop", "", "", "GRANT OPTION"), "REVOKE GRANT OPTION ON `my\\_shop`.*",
         "GRANT OPTION ON `my\\_shop`.*"),
        (Held("table", "my_shop", "t", "", "DELETE"), "REVOKE DELETE ON `my_shop`.`t`", None),
        (Held("column", "my_shop", "t", "a", "UPDATE"), "REVOKE UPDATE (`a`) ON `my_shop`.`t`",
         "UPDATE (a) ON `my_shop`.`t`"),
        (Held("routine", "my_shop", "PROCEDURE p", "", "EXECUTE"),
         "REVOKE EXECUTE ON PROCEDURE `my_shop`.`p`",
         "EXECUTE ON PROCEDURE `my_shop`.`p`"),
        (Held("role", "boss", "", "", "ROLE"), "REVOKE `boss`", "role boss"),
        (Held("proxy", "root", "localhost", "", "PROXY"), "REVOKE PROXY ON 'root'@'localhost'",
         "PROXY ON 'root'@'localhost'"),
    ],
    ids=lambda value: value.kind if isinstance(value, Held) else "",
)  # fmt: skip
def test_a_right_granted_by_hand_is_told_and_taken_whatever_it_is(
    held: Held, taken: str, words: str | None
) -> None:
    own = on_database("my\\_shop", "SELECT", "INSERT")
    assert rights.changes(SHOP, own | {held}, WHO) == [f"{taken} FROM {WHO};"]
    found, beyond = rights.told(own | {held})
    assert beyond == ([] if words is None else [words])
    # What can be said as a right is said as one, and differs from what is wanted.
    assert (found != SHOP) is (words is None)


def test_the_databases_answer_is_read_with_all_kinds_of_rights() -> None:
    answer = [
        ("server", "", "", "", "USAGE", "NO"),
        ("database", "my\\_shop", "", "", "SELECT", "NO"),
        ("database", "log", "", "", "USAGE", "YES"),
        ("table", "my_shop", "t", "", "UPDATE", "NO"),
        ("column", "my_shop", "t", "a", "SELECT", "YES"),
        ("routine", "my_shop", "PROCEDURE p", "", "EXECUTE,GRANT", "NO"),
        ("role", "boss", "", "", "ROLE", "NO"),
    ]
    assert rights.seen(answer) == {
        Held("database", "my\\_shop", "", "", "SELECT"),
        Held("database", "log", "", "", "GRANT OPTION"),
        Held("table", "my_shop", "t", "", "UPDATE"),
        Held("column", "my_shop", "t", "a", "SELECT"),
        Held("table", "my_shop", "t", "", "GRANT OPTION"),
        Held("routine", "my_shop", "PROCEDURE p", "", "EXECUTE"),
        Held("routine", "my_shop", "PROCEDURE p", "", "GRANT OPTION"),
        Held("role", "boss", "", "", "ROLE"),
    }


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (entry("shop", "SUPER"), "SUPER is no right on a database that an account can have here"),
        (entry("shop", "GRANT OPTION"), "GRANT OPTION is no right on a database"),
        (entry("shop", "ALL PRIVILEGES"), "ALL PRIVILEGES is no right on a database"),
        (entry("shop", "EXECUTE", table="t"), "EXECUTE is no right on a table"),
        (entry("*", "SELECT"), "SELECT is no right on all databases"),
        (entry("*", "PROCESS", table="t"), "a table t of all databases can't be named"),
        (entry("shop"), "nothing is no right on a database"),
        (entry("mysql", "SELECT"), "'mysql' belongs to the server itself"),
        (entry("shop", "SELECT", table="a`b"), "'a`b' can't name a table"),
    ],
)
def test_a_right_that_cannot_be_given_is_refused(given: dict[str, Any], told: str) -> None:
    (reason,) = rights.problems([given])
    assert told in reason
    assert "Remedy: " in reason


def test_the_sets_of_rights_can_be_given_and_none_holds_up_all_nodes() -> None:
    sets = (rights.READ, rights.WRITE, rights.OWN)
    assert list(rights.problems(entry("shop", *privileges) for privileges in sets)) == []
    assert set(rights.READ) < set(rights.WRITE) < set(rights.OWN)
    assert "LOCK TABLES" not in rights.OWN
