"""The lab's docker plugin against what the official one was seen to do (tests/plugins/official)."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lab.plugins.values import from_struct, plain
from tests.support.docker_engine import REGISTRY, TestEngine
from tests.support.plugin_process import Engine, Made, Secret, plugin

pytestmark = pytest.mark.plugins

FOLDER = Path(__file__).parent / "official"
STAGES: dict[str, dict[str, dict[str, Any]]] = json.loads((FOLDER / "stages.json").read_text())
STATES: list[dict[str, Any]] = json.loads((FOLDER / "states.json").read_text())
VXLAN = "com.docker.network.driver.overlay.vxlanid_list"
DATA = base64.b64encode(b"hunter22").decode()


@pytest.fixture
def pulumi(swarm: TestEngine) -> Iterator[Engine]:
    with plugin("lab.plugins.docker") as running:
        running.configure({"host": swarm.url})
        yield running
    swarm.empty()


class Replay:
    """Resources made from recorded inputs, under the ids of this engine."""

    def __init__(self, pulumi: Engine) -> None:
        self.pulumi = pulumi
        self.ids: dict[str, str] = {}
        self.made: dict[str, Made] = {}

    def create(self, name: str, recorded: dict[str, Any]) -> Made:
        made = self.pulumi.create(recorded["type"], name, self.inputs(recorded))
        self.made[name] = made
        self.ids[f"ID-OF-{name}"] = made.id
        if "id" in recorded:  # a state with the ids of another swarm
            self.ids[recorded["id"]] = made.id
        if recorded["type"].endswith(":Network"):
            self.ids[recorded["outputs"]["options"][VXLAN]] = made.outputs["options"][VXLAN]
        return made

    def inputs(self, recorded: dict[str, Any]) -> dict[str, Any]:
        text = json.dumps(recorded["inputs"])
        for theirs, ours in self.ids.items():
            text = text.replace(theirs, ours)
        given: dict[str, Any] = without_defaults(json.loads(text))
        if given.get("data") == "[secret]":
            given["data"] = Secret(DATA)
        return given

    def same(self, recorded: dict[str, Any], made: Made, digest: str = "") -> None:
        """The state is what was recorded, with the ids of this engine; sets have no order."""
        for wanted, real in (
            (recorded["outputs"], made.outputs_with_nulls),
            (recorded["inputs"], {key: nulls(value) for key, value in from_struct(made.inputs).items()}),
        ):
            text = json.dumps(wanted)
            for theirs, ours in self.ids.items():
                text = text.replace(theirs, ours)
            expected = json.loads(text.replace("DIGEST", digest))
            if "data" in expected and recorded["type"].endswith(":Secret"):
                expected["data"] = DATA
            assert in_one_order(real) == in_one_order(expected)


def nulls(value: Any) -> Any:
    return (
        plain(value) if not isinstance(value.value, dict) else {k: nulls(v) for k, v in value.value.items()}
    )


def without_defaults(value: Any) -> Any:
    """Inputs as a program gives them: what was filled in is filled in again."""
    if isinstance(value, dict):
        filled = value.get("__defaults", [])
        return {
            key: without_defaults(item)
            for key, item in value.items()
            if key != "__defaults" and (key not in filled or key == "name")
        }
    return [without_defaults(item) for item in value] if isinstance(value, list) else value


def in_one_order(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: in_one_order(item) for key, item in value.items() if not key.startswith("__defaults")}
    if isinstance(value, list):
        return sorted(
            (in_one_order(item) for item in value), key=lambda item: json.dumps(item, sort_keys=True)
        )
    return value


def test_a_stack_is_recorded_as_by_the_official_plugin_in_each_of_its_stages(
    pulumi: Engine, swarm: TestEngine
) -> None:
    replay = Replay(pulumi)
    names = ("etcd-password", "network-network", "etcd-service")
    with swarm.registry() as registry:
        digest = registry.push(f"{REGISTRY}/etcd:1", "one")
        for name in names:
            recorded = STAGES["created"][name]
            replay.same(recorded, replay.create(name, recorded), digest)

        # In the next run, in which nothing has changed, the service is updated, and in each one after it.
        service, inputs = replay.made["etcd-service"], replay.inputs(STAGES["created"]["etcd-service"])
        assert set(pulumi.diff(service, inputs).detailedDiff) == {
            "taskSpec.containerSpec.healthcheck.startPeriod",
            "taskSpec.containerSpec.image",
            "taskSpec.containerSpec.stopGracePeriod",
            "taskSpec.restartPolicy.window",
        }
        for name in ("etcd-password", "network-network"):
            given = replay.inputs(STAGES["created"][name])
            assert not pulumi.diff(replay.made[name], given, ["options"]).detailedDiff
        replay.made["etcd-service"] = pulumi.update(service, inputs)
        replay.same(STAGES["updated"]["etcd-service"], replay.made["etcd-service"], digest)
        assert set(pulumi.diff(replay.made["etcd-service"], inputs).detailedDiff) == {
            "taskSpec.containerSpec.healthcheck.startPeriod",
            "taskSpec.containerSpec.stopGracePeriod",
            "taskSpec.restartPolicy.window",
        }

    for name in names:
        again = pulumi.read(replay.made[name])
        assert again is not None
        replay.same(STAGES["refreshed"][name], again, digest)
        replay.made[name] = again
    # A refresh would have the network replaced, with the database on it.
    given = replay.inputs(STAGES["created"]["network-network"])
    assert pulumi.diff(replay.made["network-network"], given, ["options"]).replaces
    assert pulumi.diff(replay.made["network-network"], given, ["options", "ipamConfigs[0].gateway"]).replaces
    ignored = ["options", "ipamConfigs"]
    assert not pulumi.diff(replay.made["network-network"], given, ignored).detailedDiff


def test_the_whole_stacks_states_are_those_of_the_official_plugin(pulumi: Engine) -> None:
    """Recorded after its second `up`, so the services are updated once."""
    replay = Replay(pulumi)
    for recorded in STATES:
        if recorded["type"].endswith(":Service"):
            continue
        replay.same(recorded, replay.create(recorded["name"], recorded))
    secrets = [each for each in replay.made.values() if each.urn.split("::")[2].endswith(":Secret")]
    for recorded in STATES:
        if not recorded["type"].endswith(":Service"):
            continue
        # Of the secrets one was recorded; in the service it stands for all, under each one's name.
        for reference in recorded["inputs"]["taskSpec"]["containerSpec"]["secrets"]:
            replay.ids[reference["secretId"]] = secrets[0].id
            replay.ids[reference["secretName"]] = secrets[0].outputs["name"]
        made = replay.create(recorded["name"], recorded)
        replay.same(recorded, pulumi.update(made, replay.inputs(recorded)))
