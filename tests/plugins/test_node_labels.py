"""Labels that a pool has no more, under the real `pulumi`: what the state has tells whose they are."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from components.host_scripts.swarm_leaving import MARK
from tests.plugins.stacks import KINDS, Stack, made
from tests.support.docker_engine import TestEngine

pytestmark = pytest.mark.plugins

PROGRAM = """
from types import SimpleNamespace

import pulumi

from components import remote
from components.any_manager import AnyManager
from components.first_bootstrap import last_outputs
from components.host_scripts import swarm
from components.swarm_layer import described

config = pulumi.Config()
labels = config.get_object("labels") or {}
STEP = "swarm-one-node"


class Ssh:
    private_key = config.require_secret("key")


class Server:
    hostname, address, user, port = "one", "127.0.0.1", "root", config.require_int("port")
    host_key = config.require("hostKey")


def text(gone):
    return swarm.describe_node(config.require("hostname"), "manager", labels, gone=gone)


pooled = SimpleNamespace(servers=SimpleNamespace(planned=[SimpleNamespace(pooled=True, own=None)]))
before = described(pooled, last_outputs()).get(STEP, "")
gone = swarm.labels_gone(before, labels, lambda gone: remote.steps(STEP, text(gone), None))
remote.run(
    STEP,
    AnyManager.of([Server()], Ssh),
    text(gone),
    pulumi.ResourceOptions(),
    # Behind a step with a token, what it is told is a secret.
    values=pulumi.Output.secret(config.require("node")),
)
pulumi.export("done", True)
"""
UP = ("up", "--yes", "--skip-preview")


@pytest.fixture(params=KINDS)
def stack(swarm: TestEngine, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Stack]:
    with made(swarm, tmp_path, PROGRAM, request.param) as found:
        found.environment["SWARM_GALERA_SSH"] = str(tmp_path / "ssh")
        info = swarm.client.info()
        found.run("config", "set", "hostname", info["Name"])
        found.run("config", "set", "node", info["Swarm"]["NodeID"])
        yield found
        relabel(swarm, {})


def node(swarm: TestEngine) -> dict[str, Any]:
    found: dict[str, Any] = swarm.client.inspect_node(swarm.client.info()["Swarm"]["NodeID"])
    return found


def labels(swarm: TestEngine) -> dict[str, str]:
    found: dict[str, str] = node(swarm)["Spec"]["Labels"]
    return found


def by_hand(swarm: TestEngine, **more: str) -> None:
    relabel(swarm, {**labels(swarm), **more})


def relabel(swarm: TestEngine, wanted: dict[str, str]) -> None:
    now = node(swarm)
    swarm.client.update_node(now["ID"], now["Version"]["Index"], {**now["Spec"], "Labels": wanted})


def test_a_label_that_the_settings_have_no_more_is_taken_away_and_nobody_elses(
    stack: Stack, swarm: TestEngine
) -> None:
    for name, value in (("tier", "web"), ("rack", "seven")):
        stack.run("config", "set", "--path", f"plugins:labels.{name}", value)
    stack.run(*UP)
    assert labels(swarm) == {MARK: "true", "tier": "web", "rack": "seven"}
    by_hand(swarm, own="yes", rack="eight")
    stack.run(*UP, "--expect-no-changes")

    stack.run("config", "rm", "plugins:labels")
    stack.run(*UP)
    assert labels(swarm) == {MARK: "true", "own": "yes", "rack": "eight"}
    stack.run("preview", "--expect-no-changes")
    stack.run(*UP, "--expect-no-changes")

    # The same one by hand, afterwards, is somebody's own.
    by_hand(swarm, tier="web")
    stack.run("config", "set", "--path", "plugins:labels.zone", "a")
    stack.run(*UP)
    assert labels(swarm) == {MARK: "true", "own": "yes", "rack": "eight", "tier": "web", "zone": "a"}
