"""A state that an older version made: its steps on the first manager become steps on any."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from components.moved_steps import FORMERLY, NOW, moved

pytestmark = pytest.mark.unit

WAY = ["/bin/sh", "-c", "ssh"]
HEAD = "urn:pulumi:dev::swarm-galera::swarm-galera:swarm:Swarm$"
STARTED, NODE, JOINED = (
    f"{HEAD}{FORMERLY}::{name}" for name in ("swarm-started", "swarm-galera-2-node", "swarm-galera-2-joined")
)


def step(urn: str, **more: Any) -> dict[str, Any]:
    secret = {"4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270", "ciphertext": "v1:x"}
    inputs = {"create": "step=x", "connection": secret, "stdin": "text"}
    return {
        "urn": urn,
        "type": FORMERLY,
        "id": "x1",
        "inputs": inputs,
        "outputs": {**inputs, "stdout": secret},
        "propertyDependencies": {"connection": ["urn::galera-1-ready"], "stdin": [STARTED]},
        **more,
    }


EXPORTED = {
    "version": 3,
    "deployment": {
        "resources": [
            step(STARTED),
            step(JOINED, dependencies=[STARTED]),
            step(
                NODE, dependencies=[JOINED], provider="urn:pulumi:dev::p::pulumi:providers:command::default"
            ),
            {
                "urn": "urn:pulumi:dev::p::docker:index/network:Network::n",
                "type": "x",
                "dependencies": [NODE],
            },
        ]
    },
}


def test_steps_on_the_first_manager_are_steps_on_any_and_whoever_depends_on_them_knows() -> None:
    before = copy.deepcopy(EXPORTED)
    state, names = moved(EXPORTED, WAY)
    assert names == ["swarm-started", "swarm-galera-2-node"]
    assert before == EXPORTED
    started, joined, node, network = state["deployment"]["resources"]
    new = STARTED.replace(FORMERLY, NOW)
    assert (started["urn"], started["type"], started["id"]) == (new, NOW, "x1")
    for part in ("inputs", "outputs"):
        assert "connection" not in started[part]
        assert started[part]["interpreter"] == WAY
    assert started["outputs"]["stdout"] == EXPORTED["deployment"]["resources"][0]["outputs"]["stdout"]  # type: ignore[index]
    # A step on one host stays what it is.
    assert (joined["urn"], joined["type"]) == (JOINED, FORMERLY)
    assert "connection" in joined["inputs"]
    assert joined["dependencies"] == [new]
    assert joined["propertyDependencies"] == {"connection": ["urn::galera-1-ready"], "stdin": [new]}
    assert node["propertyDependencies"] == {"stdin": [new]}
    assert node["provider"] == EXPORTED["deployment"]["resources"][2]["provider"]  # type: ignore[index]
    assert network["dependencies"] == [NODE.replace(FORMERLY, NOW)]
    assert f'"{NODE}"' not in json.dumps(state)


def test_a_state_is_moved_once_and_an_empty_one_not_at_all() -> None:
    once, _ = moved(EXPORTED, WAY)
    assert moved(once, WAY) == (once, [])
    for empty in ({}, {"version": 3}, {"version": 3, "deployment": {}}):
        assert moved(empty, WAY) == (empty, [])
