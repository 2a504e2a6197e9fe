"""Several hosts with data are not reloaded in one run; what an earlier run has reloaded does not count."""

from __future__ import annotations

from typing import Any

import pytest

from components import plan
from components.softlayer.errors import SettingInvalid
from settings import Settings, parse
from tests.unit.settings.test_settings import config

pytestmark = pytest.mark.unit

POOLS = [{"name": "rows", "count": 2, "labels": {"galera": "true"}}]
ONE, TWO = "galera-rows-1", "galera-rows-2"
LAST: dict[str, Any] = {"hosts": []}


def settings(tokens: dict[str, str], replace: tuple[str, ...] = ()) -> Settings:
    return parse(config(servers={"reloadToken": tokens, "replace": list(replace), "pools": POOLS}))


def state(patch: pytest.MonkeyPatch, **tokens: str) -> None:
    def resources() -> dict[str, Any]:
        head = "urn:pulumi:dev::p::pulumi-python:dynamic/softlayer:VirtualGuest::"
        return {
            f"{head}galera-rows-{name}-guest": {"outputs": {"reload_token": tokens[f"of{name}"]}}
            for name in "12"
            if f"of{name}" in tokens
        }

    patch.setattr(plan, "last_resources", resources)


@pytest.mark.parametrize(
    "tokens",
    [
        pytest.param({"of1": "a", "of2": "b"}, id="both are over"),
        pytest.param({"of1": "a", "of2": "before"}, id="one changes"),
        pytest.param({"of1": "before"}, id="the other one is ordered now"),
    ],
)
def test_tokens_of_reloads_that_are_over_may_stay(
    tokens: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    state(monkeypatch, **tokens)
    plan.refuse_reloads_at_once(settings({ONE: "a", TWO: "b"}), LAST)


@pytest.mark.parametrize(
    ("tokens", "replace"),
    [
        pytest.param({ONE: "a", TWO: "b"}, (), id="two tokens are new"),
        pytest.param({ONE: "a"}, (TWO,), id="one is new, and another host may be replaced"),
        pytest.param({ONE: "a"}, ("galera-1",), id="or a manager"),
    ],
)
def test_two_at_once_are_refused(
    tokens: dict[str, str], replace: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    state(monkeypatch, of1="", of2="before")
    with pytest.raises(SettingInvalid, match="in the same run, and each has data"):
        plan.refuse_reloads_at_once(settings(tokens, replace), LAST)


def test_a_token_of_a_manager_that_stays_keeps_no_host_with_data_from_being_replaced(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    head = "urn:pulumi:dev::p::pulumi-python:dynamic/softlayer:VirtualGuest::"
    known = {f"{head}galera-1-guest": {"outputs": {"reload_token": "of last year"}}}
    monkeypatch.setattr(plan, "last_resources", lambda: known)
    plan.refuse_reloads_at_once(settings({"galera-1": "of last year"}, (ONE,)), LAST)


def test_the_state_is_not_asked_where_there_is_nothing_to_compare(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "last_resources", None)
    plan.refuse_reloads_at_once(settings({ONE: "a", TWO: "b"}), {})
    plan.refuse_reloads_at_once(settings({ONE: "a"}), LAST)
    plan.refuse_reloads_at_once(settings({}, (ONE,)), LAST)
