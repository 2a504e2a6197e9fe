"""What a tag stands for is taken once and stays; changes of services are counted."""

from __future__ import annotations

from typing import Any

import pytest

from components.pinned_images import PinnedImageProvider
from components.rollouts import RolloutProvider

pytestmark = pytest.mark.unit

FIRST, SECOND = (f"registry/a:1@sha256:{letter * 64}" for letter in "ab")


def props(**changes: Any) -> dict[str, Any]:
    return {"image": "registry/a:1", "found": FIRST, "resolver": "step-1", **changes}


def test_the_answer_is_the_reference() -> None:
    assert PinnedImageProvider().create(props()).outs["reference"] == FIRST  # type: ignore[index]


@pytest.mark.parametrize(
    ("changes", "taken"),
    [
        ({}, False),
        ({"found": SECOND}, False),  # the tag has moved, and the step ran again for another reason
        ({"found": SECOND, "resolver": "step-2"}, True),  # on purpose
        ({"found": SECOND, "image": "registry/a:2", "resolver": "step-2"}, True),
    ],
)
def test_another_answer_is_taken_only_for_another_setting_or_on_purpose(
    changes: dict[str, Any], taken: bool
) -> None:
    provider = PinnedImageProvider()
    state = {**props(), "reference": FIRST}
    assert provider.diff("image", state, props(**changes)).changes is taken
    if taken:
        assert provider.update("image", state, props(**changes)).outs["reference"] == SECOND  # type: ignore[index]


@pytest.mark.parametrize("found", ["", "registry/a:1", "registry/a:1@sha256:12", "a b@sha256:" + "a" * 64])
def test_an_answer_without_a_digest_is_refused(found: str) -> None:
    with pytest.raises(ValueError, match="no reference with a digest"):
        PinnedImageProvider().create(props(found=found))


def test_a_run_that_changes_a_service_counts_and_one_that_does_not_leaves_the_count() -> None:
    provider = RolloutProvider()
    made = dict(provider.create({"seen": ""}).outs or {})
    assert made["changes"] == 0
    assert provider.diff("rollout", made, {"seen": ""}).changes is False
    assert provider.diff("rollout", made, {"seen": "x"}).changes is True
    once = dict(provider.update("rollout", made, {"seen": "x"}).outs or {})
    assert once["changes"] == 1
    assert provider.diff("rollout", once, {"seen": ""}).changes is False
    assert provider.diff("rollout", once, {"seen": "x"}).changes is False  # so asks a refresh
    assert provider.diff("rollout", once, {"seen": "y"}).changes is True
    twice = dict(provider.update("rollout", {**once, "changes": 1.0}, {"seen": "y"}).outs or {})
    assert twice["changes"] == 2
