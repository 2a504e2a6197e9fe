"""The longest chain of dependent steps, as a bench prints it."""

from __future__ import annotations

import pytest

from bench.chain import Chain, longest

pytestmark = pytest.mark.unit


def test_steps_that_wait_for_nothing_are_as_long_as_the_longest_of_them() -> None:
    assert longest({"a": 3.0, "b": 5.0, "c": 1.0}, {}) == Chain(5.0, ("b",))


def test_a_step_begins_when_the_last_of_those_it_waits_for_ends() -> None:
    durations = {"order": 1.0, "disk": 4.0, "packages": 9.0, "engine": 2.0}
    after = {"disk": ["order"], "packages": ["order"], "engine": ["disk", "packages"]}
    assert longest(durations, after) == Chain(12.0, ("order", "packages", "engine"))


def test_three_hosts_side_by_side_are_as_long_as_the_slowest_and_what_joins_them() -> None:
    durations = {"host 1": 10.0, "host 2": 20.0, "host 3": 15.0, "init": 2.0, "join 2": 1.0, "join 3": 7.0}
    after = {"init": ["host 1"], "join 2": ["init", "host 2"], "join 3": ["init", "host 3"]}
    assert longest(durations, after) == Chain(22.0, ("host 3", "join 3"))


def test_a_step_that_was_not_measured_passes_on_what_it_waits_for() -> None:
    chain = longest({"service": 4.0, "ready": 6.0}, {"component": ["service"], "ready": ["component"]})
    assert chain == Chain(10.0, ("service", "ready"))


def test_the_order_in_which_steps_are_given_does_not_matter() -> None:
    after = {"c": ["b"], "b": ["a"]}
    assert longest({"c": 1.0, "a": 1.0, "b": 1.0}, after) == longest({"a": 1.0, "b": 1.0, "c": 1.0}, after)


def test_no_steps_are_a_chain_of_no_length() -> None:
    assert longest({}, {}) == Chain(0.0, ())


def test_steps_that_wait_for_one_another_in_a_circle_are_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"circle: .*a.*b"):
        longest({"a": 1.0, "b": 1.0}, {"a": ["b"], "b": ["a"]})
