"""What databases, users and places may be called, and how names and answers get into and out of SQL."""

from __future__ import annotations

import pytest

from components.accounts import names, quoting

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    "place",
    ["%", "10.%", "10.20.%", "10.20.0.%", "10.20.0.7", "10.20.0.0/255.255.255.0"],
)
def test_a_place_that_a_user_may_come_from(place: str) -> None:
    assert names.host(place) == place


@pytest.mark.parametrize(
    "place",
    [
        "", "localhost", "web.example.com", "10.20.0", "10.20.0.300", "300.%", "%.%", "10.%.0.1", "1.2.3.4.%",
        "10.20.0.0/24", "10.20.0.7/255.255.255.0", "10.20.0.0/0.0.0.255.0", "x'@'%",
    ],
)  # fmt: skip
def test_a_place_that_no_node_can_compare_is_refused(place: str) -> None:
    reason = names.reason(names.host, place)
    assert reason is not None
    assert "Remedy: give %, an address like 10.20.0.7" in reason


@pytest.mark.parametrize(
    ("check", "value", "told"),
    [
        (names.name_of_user, "root", "belongs to the server itself"),
        (names.name_of_user, "monitor", "belongs to the server itself"),
        (names.name_of_database, "mysql", "belongs to the server itself"),
        (names.name_of_database, "my-shop", "use up to 64 letters, digits and _"),
        (names.name_of_user, "x'; DROP", "use up to 64 letters, digits and _"),
        (names.name_of_user, 7, "7 is no text"),
        (names.character_set, "utf8mb4; DROP", "give one like utf8mb4"),
        (names.table, "a b", "use up to 64 letters, digits, _ and $"),
    ],
)
def test_a_name_that_cannot_be_has_a_reason_with_a_remedy(check: object, value: object, told: str) -> None:
    reason = names.reason(check, value)  # type: ignore[arg-type]
    assert reason is not None
    assert told in reason
    assert "Remedy: " in reason


def test_names_that_can_be_have_none() -> None:
    assert names.reason(names.name_of_user, "shop_web") is None
    assert names.reason(names.table, "*") is None


def test_quotes_within_a_value_stay_within_it() -> None:
    assert quoting.text("it's \\ here") == "'it''s \\\\ here'"
    assert quoting.name("a`b") == "`a``b`"
    assert quoting.account("web", "10.20.0.%") == "'web'@'10.20.0.%'"


def test_a_database_in_a_grant_means_no_other_of_a_similar_name() -> None:
    assert quoting.pattern("my_app") == "my\\_app"
    assert quoting.matched_alone("my\\_app") == "my_app"
    assert quoting.matched_alone("my_app") is None
    assert quoting.matched_alone("my%") is None


def test_an_answer_is_read_as_the_client_writes_it() -> None:
    assert quoting.rows("a\tmy\\\\_app\nb\\tc\t\n") == [("a", "my\\_app"), ("b\tc", "")]
    assert quoting.rows("") == []
