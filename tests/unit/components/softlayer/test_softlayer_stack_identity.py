"""The stack's identity: drawn once, and what of it knows whether there is an account to ask."""

from __future__ import annotations

from typing import Any

import pytest

from components.softlayer.stack_identity import NO_ACCOUNT, StackIdentityProvider

pytestmark = pytest.mark.unit

NAMES: dict[str, Any] = {"project": "swarm-galera", "stack": "own", "owner": None}


class Unasked(StackIdentityProvider):
    """One that must not ask the account."""

    def api(self, backoff: Any = None) -> Any:
        raise AssertionError("the account is asked")


def test_a_stack_that_has_never_ordered_gives_its_identity_up_without_asking_anybody() -> None:
    provider = Unasked()
    made = provider.create({**NAMES, NO_ACCOUNT: True})
    told = made.outs or {}
    assert str(told["owner"]).startswith("swarm-galera/own/")
    provider.delete(str(made.id), told)
    with pytest.raises(AssertionError, match="the account is asked"):
        provider.delete("x", {**told, NO_ACCOUNT: False})
    with pytest.raises(AssertionError, match="the account is asked"):
        provider.delete("x", {**NAMES, "owner": told["owner"]})


def test_that_something_was_ordered_is_noted_once_and_for_good() -> None:
    provider = Unasked()
    own, ordered = {**NAMES, NO_ACCOUNT: True}, dict(NAMES)
    assert not provider.diff("x", own, own).changes
    assert provider.diff("x", own, ordered).changes
    now = provider.update("x", {**own, "owner": "swarm-galera/own/0123"}, ordered).outs or {}
    assert (now["owner"], now[NO_ACCOUNT]) == ("swarm-galera/own/0123", False)
    # All that was ordered has gone again: the account may still have something of it.
    assert not provider.diff("x", now, own).changes
    assert not provider.diff("x", ordered, own).changes
    assert not provider.diff("x", ordered, ordered).changes
