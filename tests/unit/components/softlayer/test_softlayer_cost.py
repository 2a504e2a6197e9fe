"""Sums of prices."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from components.softlayer.cost import NOTHING, Estimate, Price, paid_for, price_of
from components.softlayer.errors import SoftLayerFailed
from components.softlayer.guest_spec import priced
from settings.server import Server


def test_fees_are_strings_and_may_be_absent() -> None:
    prices = [{"hourlyRecurringFee": "0.02"}, {"hourlyRecurringFee": ".013"}, {"recurringFee": "5"}, {}]
    assert price_of(prices, hourly=True).hourly == Decimal("0.033")
    assert price_of(prices, hourly=False).monthly == Decimal(5)


def test_an_hourly_server_costs_730_hours_a_month_and_a_monthly_one_the_same_by_the_hour() -> None:
    assert price_of([{"hourlyRecurringFee": "0.1"}], hourly=True).monthly == Decimal(73)
    assert price_of([{"recurringFee": "73"}], hourly=False).hourly == Decimal("0.1")


def test_no_price_or_a_garbled_one_is_an_error_rather_than_nothing() -> None:
    with pytest.raises(SoftLayerFailed, match="no price"):
        price_of([], hourly=True)
    with pytest.raises(SoftLayerFailed, match="no number"):
        price_of([{"recurringFee": "free"}], hourly=False)


def test_cancelled_children_are_not_paid_for() -> None:
    item = {
        "hourlyRecurringFee": "0.02",
        "children": [
            {"hourlyRecurringFee": "0.01", "cancellationDate": ""},
            {"hourlyRecurringFee": "9", "cancellationDate": "2026-01-01T00:00:00+00:00"},
        ],
    }
    assert paid_for({"billingItem": item, "hourlyBillingFlag": True}).hourly == Decimal("0.03")


def test_the_output_tells_of_the_stack_as_it_stands_not_of_what_a_run_changes() -> None:
    one = Price(Decimal("0.1"), Decimal(73))
    plan = Estimate({"a": one, "b": one}, one + one, "USD", adds=("a", "b"), added=one + one)
    assert plan.as_output() == {
        "hourly": 0.2,
        "monthly": 146.0,
        "currency": "USD",
        "hosts": {name: {"hourly": 0.1, "monthly": 73.0} for name in ("a", "b")},
    }
    next_run = replace(plan, before=one + one, adds=(), added=NOTHING)
    assert next_run.as_output() == plan.as_output()


def test_a_price_asks_for_what_the_order_will_ask_for() -> None:
    server = Server.of(
        domain="example.com", datacenter="tor01", disks=(25, 100), private_only=True, transient=True
    )
    template = priced(server)
    assert [disk["device"] for disk in template["blockDevices"]] == ["0", "2"]
    assert template["privateNetworkOnlyFlag"] is template["transientGuestFlag"] is True
    assert "transientGuestFlag" not in priced(Server.of(domain="example.com", datacenter="tor01"))
