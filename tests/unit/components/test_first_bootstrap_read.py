"""The outputs of the stack's last run, read while the engine writes the file that they are in."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pulumi
import pytest

from components import first_bootstrap

pytestmark = pytest.mark.unit


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What the engine answers, one after the other."""
    answers: list[Any] = []

    def invoke(token: str, _args: object) -> Any:
        assert token == first_bootstrap.READ
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return SimpleNamespace(value={"outputs": answer})

    monkeypatch.setattr(pulumi.runtime, "invoke", invoke)
    monkeypatch.setattr("components.first_bootstrap.time.sleep", lambda _: None)
    return answers


HALF_WRITTEN = Exception("invoke of … failed: … returned an error: failed to load checkpoint: EOF")


def test_outputs_that_are_half_written_are_read_again(asked: list[Any]) -> None:
    asked += [HALF_WRITTEN, HALF_WRITTEN, {"galera": {"vip": "10.20.0.9"}}]
    assert first_bootstrap.last_outputs() == {"galera": {"vip": "10.20.0.9"}}


def test_outputs_that_stay_unreadable_are_an_error(asked: list[Any]) -> None:
    asked += [HALF_WRITTEN] * 20
    with pytest.raises(Exception, match="failed to load checkpoint"):
        first_bootstrap.last_outputs()
    assert asked == []


def test_another_error_is_not_waited_for(asked: list[Any]) -> None:
    asked += [Exception("access denied"), {}]
    with pytest.raises(Exception, match="access denied"):
        first_bootstrap.last_outputs()
    assert asked == [{}]
