"""The cost table of the preview."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from components.cost_report import table
from components.softlayer.cost import NOTHING, Estimate, Price

pytestmark = pytest.mark.unit

SMALL, LARGE = Price(Decimal("0.041"), Decimal("25.5")), Price(Decimal("0.2"), Decimal("130"))


def estimate(hosts: dict[str, Price], before: Price = NOTHING, **changes: Any) -> Estimate:
    total = Price(
        sum((price.hourly for price in hosts.values()), Decimal(0)),
        sum((price.monthly for price in hosts.values()), Decimal(0)),
    )
    return Estimate(hosts=hosts, total=total, currency="USD", before=before, **changes)


def test_each_price_and_the_sum_are_shown_in_the_accounts_currency() -> None:
    hosts = {"galera-1": SMALL, "galera-2": SMALL, "galera-3": SMALL, "galera-4": LARGE}
    lines = table(estimate(hosts, adds=tuple(hosts))).splitlines()
    assert lines[0] == "Estimated cost in USD:"
    assert lines[2].split()[-2:] == ["0.041", "25.50"]
    assert "each of galera-1, galera-2, galera-3" in lines[2]
    assert lines[3].split()[-2:] == ["0.200", "130.00"]
    assert lines[4].split() == ["in", "all", "(4)", "0.323", "206.50"]
    assert lines[5] == "  will be ordered: galera-1, galera-2, galera-3, galera-4"


def test_what_a_change_adds_and_removes_is_shown_with_its_price() -> None:
    plan = estimate(
        {"galera-1": LARGE, "galera-3": SMALL},
        before=SMALL + SMALL,
        adds=("galera-3",),
        removes=("galera-2",),
        resized=("galera-1",),
        added=SMALL,
        removed=SMALL,
    )
    lines = [" ".join(line.split()) for line in table(plan).splitlines()]
    assert lines[-7:] == [
        "now 0.082 51.00",
        "added +0.041 +25.50",
        "removed -0.041 -25.50",
        "change +0.159 +104.50",
        "will be ordered: galera-3",
        "will be resized: galera-1",
        "will be cancelled: galera-2",
    ]


def test_a_plan_that_changes_nothing_says_so_and_no_more() -> None:
    lines = table(estimate({"galera-1": SMALL}, before=SMALL)).splitlines()
    assert [" ".join(line.split()) for line in lines[-2:]] == ["now 0.041 25.50", "change +0.000 +0.00"]


def test_adopted_hosts_are_named_and_not_counted() -> None:
    text = table(estimate({"galera-1": SMALL}), ["galera-2"])
    assert "in all (1)" in text
    assert "adopted and not counted: galera-2" in text


def test_many_hosts_stay_readable() -> None:
    text = table(estimate({f"galera-{n}": SMALL for n in range(1, 100)}))
    assert "each of galera-1 … galera-99 (99)" in text
    assert max(len(line) for line in text.splitlines()) < 80
