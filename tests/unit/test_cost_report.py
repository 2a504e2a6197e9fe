"""The cost table of the preview."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from components.cost_report import table
from components.softlayer.cost import NOTHING, Estimate, Price

pytestmark = pytest.mark.unit

SMALL, LARGE = Price(Decimal("0.041"), Decimal("25.5")), Price(Decimal("0.2"), Decimal("130"))


def estimate(hosts: dict[str, Price], before: Price = NOTHING, **changes: tuple[str, ...]) -> Estimate:
    total = Price(
        sum((price.hourly for price in hosts.values()), Decimal(0)),
        sum((price.monthly for price in hosts.values()), Decimal(0)),
    )
    told: dict[str, Any] = {"adds": (), "removes": (), "resized": ()} | changes
    return Estimate(hosts=hosts, total=total, currency="USD", before=before, **told)


def test_each_price_and_the_sum_are_shown_in_the_accounts_currency() -> None:
    hosts = {"galera-1": SMALL, "galera-2": SMALL, "galera-3": SMALL, "galera-4": LARGE}
    lines = table(estimate(hosts, adds=tuple(hosts))).splitlines()
    assert lines[0] == "Estimated cost in USD:"
    assert lines[2].split()[-2:] == ["0.041", "25.50"]
    assert "each of galera-1, galera-2, galera-3" in lines[2]
    assert lines[3].split()[-2:] == ["0.200", "130.00"]
    assert lines[4].split() == ["in", "all", "(4)", "0.323", "206.50"]
    assert lines[5] == "  will be ordered: galera-1, galera-2, galera-3, galera-4"


def test_a_change_is_shown_beside_what_is_paid_now() -> None:
    text = table(estimate({"galera-1": LARGE}, before=SMALL, removes=("galera-2",), resized=("galera-1",)))
    assert "now" in text
    assert "25.50" in text
    assert "will be resized: galera-1" in text
    assert "will be cancelled: galera-2" in text
    assert "ordered" not in text


def test_many_hosts_stay_readable() -> None:
    text = table(estimate({f"galera-{n}": SMALL for n in range(1, 100)}))
    assert "each of galera-1 … galera-99 (99)" in text
    assert max(len(line) for line in text.splitlines()) < 80
