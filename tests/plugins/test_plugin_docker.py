"""The docker plugin, driven over gRPC as Pulumi does, against a real Docker engine with a swarm of one."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import docker.errors
import pytest

from lab.plugins.values import UNKNOWN, Unknown, from_struct, plain_map
from tests.support.docker_engine import IMAGE, REGISTRY, TestEngine
from tests.support.plugin_process import Engine, Made, PluginError, Secret, plugin, struct
from tests.support.ssh_server import SshServer

pytestmark = [pytest.mark.plugins, pytest.mark.first]

NETWORK, SECRET, CONFIG = (
    "docker:index/network:Network",
    "docker:index/secret:Secret",
    "docker:index/serviceConfig:ServiceConfig",
)
SERVICE, VOLUME = "docker:index/service:Service", "docker:index/volume:Volume"


@pytest.fixture(scope="module")
def shared(swarm: TestEngine) -> Iterator[Engine]:
    with plugin("lab.plugins.docker") as running:
        running.configure({"host": swarm.url})
        yield running


@pytest.fixture
def pulumi(shared: Engine, swarm: TestEngine) -> Iterator[Engine]:
    """A plugin on a swarm that is empty before and after the test."""
    shared.messages.clear()
    yield shared
    swarm.empty()


def b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def service_inputs(name: str = "app", **changes: Any) -> dict[str, Any]:
    """A service that runs, with as many of the inputs as this engine can take."""
    container = {
        "image": IMAGE,
        "commands": ["/bin/sleep"],
        "args": ["1000"],
        "env": {"B": "2", "A": "1=1"},
        "hostname": "{{.Node.Hostname}}",
        "labels": [{"label": "tier", "value": "db"}],
        "mounts": [
            {
                "type": "volume",
                "source": f"{name}-data",
                "target": "/data",
                "volumeOptions": {"labels": [{"label": "keep", "value": "yes"}]},
            },
            {"type": "tmpfs", "target": "/scratch", "tmpfsOptions": {"sizeBytes": 1048576}},
        ],
        "stopSignal": "SIGKILL",
        "stopGracePeriod": "1m",
        "healthcheck": {"tests": ["NONE"]},
        "hosts": [{"ip": "10.9.8.7", "host": "elsewhere"}],
        "dnsConfig": {"nameservers": ["10.0.0.53"], "searches": ["example.com"]},
        "sysctl": {"net.ipv4.tcp_keepalive_time": "600"},
        "capAdds": ["CAP_SYS_NICE"],
    }
    inputs = {
        "name": name,
        "labels": [{"label": "stack", "value": "dev"}],
        "taskSpec": {
            "containerSpec": container,
            "resources": {"limits": {"memoryBytes": 134217728}},
            "restartPolicy": {"condition": "any", "delay": "2s", "window": "0s"},
            "placement": {"constraints": ["node.role==manager"], "maxReplicas": 3},
            "logDriver": {"name": "json-file", "options": {"max-size": "10m"}},
        },
        "updateConfig": {"parallelism": 1, "delay": "1s", "order": "stop-first"},
    }
    return merged(inputs, changes)


def merged(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """`base` with `changes` laid over it, deep."""
    result = dict(base)
    for key, value in changes.items():
        old = result.get(key)
        both = isinstance(old, Mapping) and isinstance(value, Mapping)
        result[key] = merged(old, value) if both else value  # type: ignore[arg-type]
    return result


def container(**changes: Any) -> dict[str, Any]:
    return {"taskSpec": {"containerSpec": changes}}


def assert_no_change(pulumi: Engine, made: Made, inputs: Mapping[str, Any]) -> None:
    """Neither a second update nor a refresh finds anything to do, nor an update after that."""
    assert_same(pulumi, made, inputs)
    again = pulumi.read(made)
    assert again is not None
    assert plain_inputs(again) == plain_inputs(made)
    assert again.id == made.id
    assert_same(pulumi, again, inputs)
    twice = pulumi.read(again)
    assert twice is not None
    assert twice.outputs == again.outputs


def plain_inputs(made: Made) -> dict[str, Any]:
    return plain_map(from_struct(made.inputs))


def assert_same(pulumi: Engine, made: Made, inputs: Mapping[str, Any]) -> None:
    diff = pulumi.diff(made, inputs)
    assert not diff.detailedDiff, diff
    assert diff.changes == diff.DIFF_NONE


# -- networks


def test_an_encrypted_overlay_is_made_and_stays_as_it_is(pulumi: Engine, swarm: TestEngine) -> None:
    inputs = {
        "name": "galera",
        "driver": "overlay",
        "attachable": True,
        "ipamConfigs": [{"subnet": "10.20.0.0/24", "gateway": "10.20.0.1"}],
        "options": {"encrypted": ""},
        "labels": [{"label": "stack", "value": "dev"}],
    }
    made = pulumi.create(NETWORK, "net", inputs)
    found = swarm.client.inspect_network("galera")
    assert made.id == found["Id"]
    assert (found["Driver"], found["Scope"], found["Attachable"]) == ("overlay", "swarm", True)
    assert found["Options"]["encrypted"] == ""
    assert found["Labels"] == {"stack": "dev"}
    assert made.outputs["scope"] == "swarm"
    # The engine adds the VXLAN's number to the options: who says them must ignore that.
    diff = pulumi.diff(made, inputs)
    assert list(diff.detailedDiff) == ['options["com.docker.network.driver.overlay.vxlanid_list"]']
    assert not pulumi.diff(made, inputs, ["options"]).detailedDiff
    plain = {key: value for key, value in inputs.items() if key != "options"}
    assert_same(pulumi, made, plain)
    assert made.outputs["ipamConfigs"] == [{"subnet": "10.20.0.0/24", "gateway": "10.20.0.1", "ipRange": ""}]
    pulumi.delete(made)
    with pytest.raises(docker.errors.NotFound):
        swarm.client.inspect_network(made.id)


def test_a_network_without_a_subnet_gets_one_and_has_no_drift(pulumi: Engine) -> None:
    made = pulumi.create(NETWORK, "net", {"driver": "overlay"})
    assert made.outputs["ipamConfigs"][0]["subnet"]
    assert made.outputs["name"].startswith("net-")
    assert_no_change(pulumi, made, {"driver": "overlay"})


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"ipamConfigs": [{"subnet": "10.21.0.0/24"}]}, "ipamConfigs[0].subnet"),
        ({"options": {"encrypted": ""}}, "options.encrypted"),
        ({"attachable": True}, "attachable"),
        ({"internal": True}, "internal"),
        ({"labels": [{"label": "a", "value": "b"}]}, "labels"),
    ],
)
def test_every_change_of_a_network_replaces_it_after_its_removal(
    pulumi: Engine, change: dict[str, Any], path: str
) -> None:
    inputs = {"name": "net", "driver": "overlay", "ipamConfigs": [{"subnet": "10.20.0.0/24"}]}
    made = pulumi.create(NETWORK, "net", inputs)
    diff = pulumi.diff(made, {**inputs, **change})
    assert path in diff.detailedDiff
    assert set(diff.replaces) == {path.partition("[")[0].partition(".")[0]}
    assert diff.deleteBeforeReplace  # the name is given, and there can be only one


def test_a_network_with_an_automatic_name_is_replaced_without_a_gap(pulumi: Engine) -> None:
    made = pulumi.create(NETWORK, "net", {"driver": "overlay"})
    diff = pulumi.diff(made, {"driver": "overlay", "attachable": True})
    assert diff.replaces
    assert not diff.deleteBeforeReplace


def test_a_network_that_was_removed_by_hand_is_gone_after_a_refresh(
    pulumi: Engine, swarm: TestEngine
) -> None:
    made = pulumi.create(NETWORK, "net", {"name": "net", "driver": "overlay"})
    swarm.client.remove_network(made.id)
    assert pulumi.read(made) is None
    pulumi.delete(made)


def test_a_refresh_finds_the_gateway_and_who_did_not_say_it_would_replace_the_network(pulumi: Engine) -> None:
    inputs = {"name": "net", "driver": "overlay", "ipamConfigs": [{"subnet": "10.20.0.0/24"}]}
    made = pulumi.create(NETWORK, "net", inputs)
    assert_same(pulumi, made, inputs)
    again = pulumi.read(made)
    assert again is not None
    assert again.inputs == made.inputs
    assert again.outputs["ipamConfigs"][0]["gateway"] == "10.20.0.1"
    assert pulumi.diff(again, inputs).replaces
    said = {**inputs, "ipamConfigs": [{"subnet": "10.20.0.0/24", "gateway": "10.20.0.1"}]}
    assert_same(pulumi, again, said)


def test_pools_can_only_be_ignored_as_a_whole(pulumi: Engine) -> None:
    """What is ignored comes from Pulumi's engine as the inputs had it before: here, not at all."""
    inputs = {"name": "net", "driver": "overlay", "ipamConfigs": [{"subnet": "10.20.0.0/24"}]}
    made = pulumi.read(pulumi.create(NETWORK, "net", inputs))
    assert made is not None
    assert pulumi.diff(made, inputs, ["ipamConfigs[0].gateway"]).replaces
    assert not pulumi.diff(made, inputs, ["ipamConfigs"]).detailedDiff


@pytest.mark.parametrize(
    ("token", "inputs", "remedy"),
    [
        (NETWORK, {"name": "net", "driver": "overlay"}, "docker network rm net"),
        (CONFIG, {"name": "cnf", "data": "eA=="}, "docker config rm cnf"),
        (SECRET, {"name": "word", "data": "eA=="}, "docker secret rm word"),
        (SERVICE, {"name": "app", "taskSpec": {"containerSpec": {"image": IMAGE}}}, "docker service rm app"),
    ],
)
def test_what_exists_already_is_never_taken_over(
    pulumi: Engine, token: str, inputs: dict[str, Any], remedy: str
) -> None:
    pulumi.create(token, "one", inputs)
    with pytest.raises(PluginError, match=rf"(?i)already exists.*{remedy}"):
        pulumi.create(token, "one", inputs)


@pytest.mark.parametrize(
    ("token", "inputs"),
    [
        (CONFIG, {"name": "cnf", "data": "eA=="}),
        (SECRET, {"name": "word", "data": "eA=="}),
        (SERVICE, {"name": "app", "taskSpec": {"containerSpec": {"image": IMAGE}}}),
    ],
)
def test_what_is_gone_can_not_be_deleted_before_a_refresh_has_seen_it(
    pulumi: Engine, token: str, inputs: dict[str, Any]
) -> None:
    made = pulumi.create(token, "one", inputs)
    pulumi.delete(made)
    with pytest.raises(PluginError, match=r"not found.*run `pulumi refresh`"):
        pulumi.delete(made)
    assert pulumi.read(made) is None


def test_a_preview_of_a_network_leaves_open_what_the_engine_decides(
    pulumi: Engine, swarm: TestEngine
) -> None:
    planned = pulumi.create(NETWORK, "net", {"name": "net", "driver": "overlay"}, preview=True)
    assert isinstance(planned.outputs["ipamConfigs"], Unknown)
    assert planned.outputs["driver"] == "overlay"
    assert not swarm.client.networks(names=["net"])


# -- secrets and configs


def test_a_secret_reaches_the_engine_and_never_comes_back_in_plain(pulumi: Engine, swarm: TestEngine) -> None:
    inputs = {"name": "root-password", "data": b64("hunter22"), "labels": [{"label": "a", "value": "b"}]}
    made = pulumi.create(SECRET, "s", inputs)
    assert swarm.client.inspect_secret(made.id)["Spec"] == {"Name": "root-password", "Labels": {"a": "b"}}
    assert made.is_secret("data")
    again = pulumi.read(made)
    assert again is not None
    assert again.is_secret("data")
    assert again.outputs == made.outputs
    assert b64("hunter22") not in "".join(m.text for m in pulumi.messages)
    diff = pulumi.diff(made, inputs)
    assert diff.changes == diff.DIFF_NONE
    pulumi.delete(made)
    assert not swarm.client.secrets()


def test_a_changed_secret_is_replaced(pulumi: Engine) -> None:
    made = pulumi.create(SECRET, "s", {"data": Secret(b64("one"))})
    diff = pulumi.diff(made, {"data": Secret(b64("two"))})
    assert list(diff.replaces) == ["data"]
    assert not diff.deleteBeforeReplace


def test_data_that_is_not_in_base64_is_refused_without_being_shown(pulumi: Engine) -> None:
    _, reasons = pulumi.check(SECRET, {"name": "s", "data": Secret("hunter22!")})
    assert len(reasons) == 1
    assert "base64" in reasons[0]
    assert "hunter22" not in reasons[0]


def test_a_config_is_kept_by_the_engine_and_its_drift_is_seen(pulumi: Engine, swarm: TestEngine) -> None:
    inputs = {"name": "my.cnf", "data": b64("[mysqld]\n")}
    made = pulumi.create(CONFIG, "c", inputs)
    assert_no_change(pulumi, made, inputs)
    swarm.client.remove_config(made.id)
    other = swarm.client.create_config("my.cnf", b"[client]\n")["ID"]
    again = pulumi.read(Made(other, made.urn, made.inputs, made.state))
    assert again is not None
    assert again.outputs["data"] == b64("[client]\n")
    assert list(pulumi.diff(again, inputs).replaces) == ["data"]


def test_a_config_may_be_given_as_text(pulumi: Engine, swarm: TestEngine) -> None:
    inputs = {"name": "my.cnf", "dataRaw": "[mysqld]\nport=3307\n"}
    made = pulumi.create(CONFIG, "c", inputs)
    assert swarm.client.inspect_config(made.id)["Spec"]["Data"] == b64("[mysqld]\nport=3307\n")
    assert_no_change(pulumi, made, inputs)
    _, reasons = pulumi.check(CONFIG, {"name": "c"})
    assert "exactly one" in reasons[0]


def test_a_secret_in_use_says_by_whom_and_what_to_do(pulumi: Engine) -> None:
    secret = pulumi.create(SECRET, "s", {"name": "password", "data": b64("hunter22")})
    reference = {"secretId": secret.id, "secretName": "password", "fileName": "password"}
    pulumi.create(SERVICE, "app", service_inputs(**container(secrets=[reference])))
    with pytest.raises(PluginError, match=r"in use by the following service: app.*another name"):
        pulumi.delete(secret)


# -- services


def test_a_service_with_everything_runs_and_stays_as_it_is(pulumi: Engine, swarm: TestEngine) -> None:
    secret = pulumi.create(SECRET, "s", {"name": "password", "data": b64("hunter22")})
    config = pulumi.create(CONFIG, "c", {"name": "my.cnf", "data": b64("[mysqld]")})
    inputs = service_inputs(
        mode={"replicated": {"replicas": 2}},
        convergeConfig={"timeout": "60s"},
        **container(
            secrets=[
                {"secretId": secret.id, "secretName": "password", "fileName": "password", "fileMode": 0o400}
            ],
            configs=[{"configId": config.id, "configName": "my.cnf", "fileName": "/etc/my.cnf"}],
        ),
    )
    made = pulumi.create(SERVICE, "app", inputs)
    spec = swarm.client.inspect_service(made.id)["Spec"]
    assert spec["Name"] == "app"
    assert spec["Mode"] == {"Replicated": {"Replicas": 2}}
    assert spec["TaskTemplate"]["ContainerSpec"]["Env"] == ["A=1=1", "B=2"]
    assert spec["TaskTemplate"]["ContainerSpec"]["StopGracePeriod"] == 60_000_000_000
    assert spec["TaskTemplate"]["ContainerSpec"]["Secrets"][0]["File"]["Mode"] == 0o400
    assert spec["TaskTemplate"]["ContainerSpec"]["Sysctls"] == {"net.ipv4.tcp_keepalive_time": "600"}
    tasks = swarm.client.tasks(filters={"service": "app", "desired-state": "running"})
    assert [t["Status"]["State"] for t in tasks] == ["running", "running"]
    assert "2/2 running" not in [m.text for m in pulumi.messages if not m.status]
    assert_no_change(pulumi, made, inputs)
    pulumi.delete(made)
    assert not swarm.client.services()
    assert not swarm.client.containers()


def test_a_global_service_has_no_drift(pulumi: Engine, swarm: TestEngine) -> None:
    inputs = service_inputs(mode={"global": True})
    made = pulumi.create(SERVICE, "app", inputs)
    assert swarm.client.inspect_service(made.id)["Spec"]["Mode"] == {"Global": {}}
    assert_no_change(pulumi, made, inputs)


def test_the_smallest_service_has_no_drift(pulumi: Engine) -> None:
    inputs = {"taskSpec": {"containerSpec": {"image": IMAGE, "args": ["/bin/sleep", "1000"]}}}
    made = pulumi.create(SERVICE, "app", inputs)
    assert made.outputs["mode"] == {"replicated": {"replicas": 1}, "global": False}
    assert made.outputs["name"].startswith("app-")
    assert_no_change(pulumi, made, inputs)


def test_a_service_on_a_network_has_no_drift_if_it_is_named_by_its_id(
    pulumi: Engine, swarm: TestEngine
) -> None:
    network = pulumi.create(NETWORK, "net", {"name": "galera", "driver": "overlay"})
    inputs = service_inputs(mode={"replicated": {"replicas": 0}})
    inputs["taskSpec"]["networksAdvanceds"] = [{"id": network.id, "aliases": ["db", "alias"]}]
    made = pulumi.create(SERVICE, "app", inputs)
    networks = swarm.client.inspect_service(made.id)["Spec"]["TaskTemplate"]["Networks"]
    assert networks[0]["Target"] == network.id
    assert sorted(networks[0]["Aliases"]) == ["alias", "db"]
    assert_no_change(pulumi, made, inputs)
    # The engine knows the id only, so that a name (deprecated) would replace the service in every run.
    inputs["taskSpec"]["networksAdvanceds"] = [{"name": "galera", "aliases": ["db", "alias"]}]
    assert pulumi.diff(made, inputs).replaces


def test_published_ports_have_no_drift_even_if_the_engine_chose_them(pulumi: Engine) -> None:
    ports = [
        {"targetPort": 3306, "publishedPort": 3307, "publishMode": "host"},
        {"targetPort": 80, "publishMode": "ingress"},
    ]
    inputs = service_inputs(
        endpointSpec={"mode": "vip", "ports": ports}, mode={"replicated": {"replicas": 0}}
    )
    made = pulumi.create(SERVICE, "app", inputs)
    assert_no_change(pulumi, made, inputs)


@pytest.mark.parametrize(
    "rewritten",
    [
        container(mounts=[*reversed(service_inputs()["taskSpec"]["containerSpec"]["mounts"])]),
        container(readOnly=False),
        container(healthcheck={"tests": ["NONE"], "retries": 0, "interval": "0s"}),
        {"updateConfig": {"failureAction": "pause", "maxFailureRatio": "0"}},
        {"taskSpec": {"forceUpdate": 0}},
        {"convergeConfig": None},
        container(stopGracePeriod=None),
    ],
)
def test_the_same_said_otherwise_is_no_change(pulumi: Engine, rewritten: dict[str, Any]) -> None:
    inputs = service_inputs(mode={"replicated": {"replicas": 0}})
    made = pulumi.create(SERVICE, "app", inputs)
    diff = pulumi.diff(made, merged(inputs, rewritten))
    assert not diff.detailedDiff


@pytest.mark.parametrize(
    ("rewritten", "path"),
    [
        (container(stopGracePeriod="60s"), "taskSpec.containerSpec.stopGracePeriod"),
        ({"updateConfig": {"delay": "1000ms"}}, "updateConfig.delay"),
        ({"taskSpec": {"restartPolicy": {"window": None}}}, "taskSpec.restartPolicy.window"),
    ],
)
def test_what_is_not_said_as_the_engine_has_it_differs_in_every_run(
    pulumi: Engine, rewritten: dict[str, Any], path: str
) -> None:
    inputs = merged(service_inputs(mode={"replicated": {"replicas": 0}}), rewritten)
    made = pulumi.create(SERVICE, "app", inputs)
    for _ in range(2):
        assert list(pulumi.diff(made, inputs).detailedDiff) == [path]
        made = pulumi.update(made, inputs)


def test_a_new_service_names_what_the_registry_says_and_a_changed_one_what_was_said(
    pulumi: Engine, swarm: TestEngine
) -> None:
    with swarm.registry() as registry:
        tag = f"{REGISTRY}/app:1"
        digest = registry.push(tag, "one")
        inputs = service_inputs(mode={"replicated": {"replicas": 0}}, **container(image=tag))
        made = pulumi.create(SERVICE, "app", inputs)
        assert made.outputs["taskSpec"]["containerSpec"]["image"] == f"{tag}@{digest}"
        assert list(pulumi.diff(made, inputs).detailedDiff) == ["taskSpec.containerSpec.image"]
        made = pulumi.update(made, inputs)
        assert made.outputs["taskSpec"]["containerSpec"]["image"] == tag
        found = pulumi.read(made)
        assert found is not None
        pulumi.delete(made)

        # The platforms come with it, and show at the next refresh; in a digest nothing changes.
        pinned = merged(inputs, container(image=f"{tag}@{digest}"))
        made = pulumi.create(SERVICE, "app", pinned)
        assert_same(pulumi, made, pinned)
        again = pulumi.read(made)
        assert again is not None
        platforms = again.outputs["taskSpec"]["placement"]["platforms"]
        assert platforms == [{"architecture": "amd64", "os": "linux"}]
        assert list(pulumi.diff(again, pinned).detailedDiff) == ["taskSpec.placement.platforms"]
        assert not pulumi.diff(again, pinned, ["taskSpec.placement.platforms"]).detailedDiff
    # Without a registry a service is made all the same, and says nothing of the content.
    away = service_inputs("away", mode={"replicated": {"replicas": 0}}, **container(image=tag))
    assert pulumi.create(SERVICE, "away", away).outputs["taskSpec"]["containerSpec"]["image"] == tag


@pytest.mark.parametrize(
    ("change", "path", "replaces"),
    [
        (container(image="shell:2"), "taskSpec.containerSpec.image", False),
        (container(env={"A": "2"}), "taskSpec.containerSpec.env.A", False),
        (container(env={"A": UNKNOWN}), "taskSpec.containerSpec.env.A", False),
        (container(args=["1000", "2000"]), "taskSpec.containerSpec.args[1]", False),
        (
            container(hosts=[{"ip": "10.1.1.1", "host": "elsewhere"}]),
            "taskSpec.containerSpec.hosts[0].ip",
            True,
        ),
        ({"labels": [{"label": "stack", "value": "prod"}]}, "labels[0].value", False),
        ({"mode": {"replicated": {"replicas": 2}}}, "mode.replicated.replicas", True),
        ({"mode": {"global": True, "replicated": None}}, "mode.global", True),
        ({"name": "other"}, "name", True),
        ({"updateConfig": {"parallelism": 2}}, "updateConfig.parallelism", False),
        ({"endpointSpec": {"mode": "dnsrr"}}, "endpointSpec.mode", False),
        (
            container(sysctl={"net.ipv4.tcp_keepalive_time": "60"}),
            'taskSpec.containerSpec.sysctl["net.ipv4.tcp_keepalive_time"]',
            True,
        ),
    ],
)
def test_only_name_mode_hosts_and_sysctl_replace_a_service(
    pulumi: Engine, change: dict[str, Any], path: str, replaces: bool
) -> None:
    inputs = service_inputs(mode={"replicated": {"replicas": 0}})
    made = pulumi.create(SERVICE, "app", inputs)
    diff = pulumi.diff(made, merged(inputs, change))
    assert path in diff.detailedDiff
    assert bool(diff.replaces) is replaces
    assert diff.deleteBeforeReplace is (replaces and "name" not in change)


def test_a_service_is_changed_in_place_and_waited_for(pulumi: Engine, swarm: TestEngine) -> None:
    inputs = service_inputs(convergeConfig={"timeout": "60s"})
    made = pulumi.create(SERVICE, "app", inputs)
    changed = merged(inputs, container(env={"A": "changed"}))
    updated = pulumi.update(made, changed)
    assert updated.id == made.id
    service = swarm.client.inspect_service(made.id)
    assert service["UpdateStatus"]["State"] == "completed"
    tasks = swarm.client.tasks(filters={"service": "app", "desired-state": "running"})
    assert [t["Status"]["State"] for t in tasks] == ["running"]
    assert "A=changed" in tasks[0]["Spec"]["ContainerSpec"]["Env"]
    assert_no_change(pulumi, updated, changed)


def test_what_somebody_changed_by_hand_is_seen_and_repaired(pulumi: Engine, swarm: TestEngine) -> None:
    inputs = service_inputs()
    made = pulumi.create(SERVICE, "app", inputs)
    service = swarm.client.inspect_service("app")
    spec = service["Spec"]
    spec["TaskTemplate"]["ContainerSpec"]["Env"].append("INTRUDER=1")
    spec["TaskTemplate"]["ContainerSpec"]["StopGracePeriod"] = 5_000_000_000
    swarm.client.update_service(
        made.id,
        service["Version"]["Index"],
        task_template=spec["TaskTemplate"],
        name="app",
        labels={"stack": "other"},
        mode=spec["Mode"],
        update_config=spec["UpdateConfig"],
        endpoint_spec=spec["EndpointSpec"],
    )
    found = pulumi.read(made)
    assert found is not None
    container = found.outputs["taskSpec"]["containerSpec"]
    assert container["env"]["INTRUDER"] == "1"
    assert container["stopGracePeriod"] == "5s"
    assert found.outputs["labels"] == [{"label": "stack", "value": "other"}]
    diff = pulumi.diff(found, inputs)
    assert set(diff.detailedDiff) == {
        "labels[0].value",
        "taskSpec.containerSpec.env.INTRUDER",
        "taskSpec.containerSpec.stopGracePeriod",
    }
    assert not diff.replaces
    repaired = pulumi.update(found, inputs)
    assert_no_change(pulumi, repaired, inputs)


def test_a_secret_in_the_environment_stays_secret_after_a_refresh(pulumi: Engine) -> None:
    inputs = service_inputs(**container(env=Secret({"TOKEN": "hunter22"})))
    made = pulumi.create(SERVICE, "app", inputs)
    assert made.is_secret("taskSpec")
    again = pulumi.read(made)
    assert again is not None
    assert again.is_secret("taskSpec")
    assert again.inputs == made.inputs
    assert "hunter22" not in str(json.dumps([m.text for m in pulumi.messages]))


def test_a_service_that_cant_start_says_why_and_is_taken_away(pulumi: Engine, swarm: TestEngine) -> None:
    inputs = service_inputs(convergeConfig={"timeout": "8s"}, **container(args=["not-a-number"]))
    with pytest.raises(
        PluginError, match=r"(?s)did not converge within 8s: 0/1 running.*non-zero exit \(1\)"
    ) as caught:
        pulumi.create(SERVICE, "app", inputs)
    assert caught.value.kept is None
    assert not swarm.client.services()


def test_a_service_without_its_image_names_the_image(pulumi: Engine) -> None:
    inputs = service_inputs(convergeConfig={"timeout": "6s"}, **container(image="127.0.0.1:1/missing:1"))
    with pytest.raises(PluginError, match=r"No such image: 127\.0\.0\.1:1/missing:1"):
        pulumi.create(SERVICE, "app", inputs)


def test_a_service_that_fits_nowhere_says_so(pulumi: Engine) -> None:
    inputs = service_inputs(convergeConfig={"timeout": "4s"})
    inputs["taskSpec"]["placement"] = {"constraints": ["node.labels.galera==true"]}
    with pytest.raises(PluginError, match="no suitable node"):
        pulumi.create(SERVICE, "app", inputs)


def test_a_change_that_fails_keeps_the_service_and_says_why(pulumi: Engine, swarm: TestEngine) -> None:
    inputs = service_inputs(convergeConfig={"timeout": "60s"}, updateConfig={"monitor": "1s", "delay": "0s"})
    made = pulumi.create(SERVICE, "app", inputs)
    with pytest.raises(PluginError, match=r"(?s)update paused.*non-zero exit \(1\)") as caught:
        pulumi.update(made, merged(inputs, container(args=["not-a-number"])))
    assert caught.value.kept is not None
    assert caught.value.kept.id == made.id
    assert swarm.client.inspect_service(made.id)


def test_progress_is_shown_while_a_service_converges(pulumi: Engine) -> None:
    inputs = service_inputs(convergeConfig={"timeout": "60s"}, mode={"replicated": {"replicas": 2}})
    pulumi.create(SERVICE, "app", inputs)
    message = pulumi.wait_for_message("/2 running")
    assert message.status
    assert message.urn.endswith("::app")


def test_a_global_service_cant_have_a_converge_config_as_in_the_official_plugin(pulumi: Engine) -> None:
    _, reasons = pulumi.check(SERVICE, service_inputs(mode={"global": True}, convergeConfig={}))
    assert len(reasons) == 1
    assert "conflicts with 'mode.global'" in reasons[0]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (container(image=None), "Missing required property 'taskSpec.containerSpec.image'"),
        (container(imagee="x"), "there is no input 'taskSpec.containerSpec.imagee'"),
        (container(stopGracePeriod="10"), "'10' is no duration"),
        (container(env={"A": 1}), "'taskSpec.containerSpec.env.A' must be a string"),
        (container(mounts=[{"type": "nfs", "target": "/x"}]), "must be one of bind, volume, tmpfs"),
        (
            container(secrets=[{"fileName": "x"}]),
            "Missing required property 'taskSpec.containerSpec.secrets[0].secretId'",
        ),
        ({"updateConfig": {"failureAction": "explode"}}, "must be one of pause, continue, rollback"),
        ({"updateConfig": {"maxFailureRatio": "2"}}, "must be between 0.0 and 1.0"),
        ({"mode": {"replicated": {"replicas": -1}}}, "must be a whole number of 0 or more"),
        ({"endpointSpec": {"ports": [{"publishedPort": 1}]}}, "Missing required property"),
        ({"taskSpec": {"networksAdvanceds": [{"aliases": ["x"]}]}}, "a network needs its 'id'"),
    ],
)
def test_a_bad_input_is_refused_before_anything_is_made(
    pulumi: Engine, change: dict[str, Any], reason: str
) -> None:
    _, reasons = pulumi.check(SERVICE, merged(service_inputs(), change))
    assert len(reasons) == 1
    assert reason in reasons[0]


def test_a_service_of_somebody_else_can_be_imported(pulumi: Engine, swarm: TestEngine) -> None:
    made = pulumi.create(SERVICE, "app", service_inputs())
    imported = pulumi.read(Made(made.id, made.urn, struct({}), struct({})))
    assert imported is not None
    assert imported.outputs["name"] == "app"
    assert imported.outputs["taskSpec"]["containerSpec"]["env"] == {"A": "1=1", "B": "2"}
    assert not pulumi.diff(imported, service_inputs()).replaces


def test_an_interruption_while_waiting_keeps_what_was_made(swarm: TestEngine, pulumi: Engine) -> None:
    with plugin("lab.plugins.docker") as own, ThreadPoolExecutor() as pool:
        own.configure({"host": swarm.url})
        inputs = service_inputs(convergeConfig={"timeout": "5m"})
        inputs["taskSpec"]["placement"] = {"constraints": ["node.labels.galera==true"]}
        running = pool.submit(own.create, SERVICE, "app", inputs)
        own.wait_for_message("0/1 running")
        own.cancel()
        with pytest.raises(PluginError, match="interrupted") as caught:
            running.result()
    assert caught.value.kept is not None
    assert caught.value.kept.id == swarm.client.inspect_service("app")["ID"]


def test_many_services_are_made_side_by_side(pulumi: Engine, swarm: TestEngine) -> None:
    # Each waits for its task; one after the other would not fit into the time that one of them is given.
    count = 32
    inputs = [service_inputs(f"app-{n}", convergeConfig={"timeout": "120s"}) for n in range(count)]
    for each in inputs:
        each["taskSpec"]["containerSpec"].pop("mounts")
    with ThreadPoolExecutor(count) as pool:
        made = list(pool.map(lambda i: pulumi.create(SERVICE, i["name"], i), inputs))
        assert len({m.id for m in made}) == count
        list(pool.map(pulumi.delete, made))
    assert not swarm.client.services()


def test_a_volume_is_made_and_taken_away(pulumi: Engine, swarm: TestEngine) -> None:
    inputs = {"name": "data", "labels": [{"label": "a", "value": "b"}]}
    made = pulumi.create(VOLUME, "data", inputs)
    assert made.id == "data"
    assert swarm.client.inspect_volume("data")["Mountpoint"] == made.outputs["mountpoint"]
    assert_no_change(pulumi, made, inputs)
    pulumi.delete(made)
    with pytest.raises(docker.errors.NotFound):
        swarm.client.inspect_volume("data")


# -- the way to the engine


@pytest.fixture
def sshd() -> Iterator[SshServer]:
    server = SshServer()
    yield server
    server.stop()


@pytest.fixture
def over_ssh(swarm: TestEngine, sshd: SshServer, tmp_path: Path) -> Iterator[tuple[Engine, dict[str, Any]]]:
    """A plugin, and settings that bring it to the engine over SSH."""
    sshd.sockets["/var/run/docker.sock"] = str(swarm.socket)
    key, known = tmp_path / "key", tmp_path / "known_hosts"
    key.write_text(sshd.private_key)
    key.chmod(0o600)
    known.write_text(f"[127.0.0.1]:{sshd.port} {sshd.host_key}")
    options = ["-i", str(key), "-o", f"UserKnownHostsFile={known}", "-o", "StrictHostKeyChecking=yes"]
    with plugin("lab.plugins.docker") as running:
        # Pulumi sends a provider's lists as JSON.
        yield running, {"host": f"ssh://root@127.0.0.1:{sshd.port}", "sshOpts": json.dumps(options)}


def test_all_goes_over_one_ssh_connection(
    over_ssh: tuple[Engine, dict[str, Any]], sshd: SshServer, pulumi: Engine
) -> None:
    own, settings = over_ssh
    own.configure(settings)
    with ThreadPoolExecutor(8) as pool:
        made = list(
            pool.map(lambda n: own.create(SECRET, f"s{n}", {"name": f"s{n}", "data": b64("x")}), range(8))
        )
        list(pool.map(own.delete, made))
    assert sshd.logins == 1
    assert sshd.most_sessions == 0


def test_a_broken_connection_is_opened_again(
    over_ssh: tuple[Engine, dict[str, Any]], sshd: SshServer, pulumi: Engine
) -> None:
    own, settings = over_ssh
    own.configure(settings)
    made = own.create(SECRET, "s", {"name": "s", "data": b64("x")})
    sshd.cut()
    assert own.read(made) is not None
    assert sshd.logins == 2


def test_a_host_with_another_key_is_refused(
    over_ssh: tuple[Engine, dict[str, Any]], sshd: SshServer, tmp_path: Path
) -> None:
    own, settings = over_ssh
    other = SshServer()
    (tmp_path / "known_hosts").write_text(f"[127.0.0.1]:{sshd.port} {other.host_key}")
    other.stop()
    own.configure(settings)
    with pytest.raises(PluginError, match=r"does not show the expected SSH host key.*known_hosts"):
        own.create(SECRET, "s", {"name": "s", "data": b64("x")})
    assert sshd.logins == 0


def test_an_engine_that_does_not_run_says_where_and_what_to_look_at(
    over_ssh: tuple[Engine, dict[str, Any]], sshd: SshServer
) -> None:
    own, settings = over_ssh
    sshd.sockets["/var/run/docker.sock"] = "/nonexistent"
    own.configure(settings)
    with pytest.raises(PluginError, match=r"root@127\.0\.0\.1:\d+ does not answer.*systemctl status docker"):
        own.create(SECRET, "s", {"name": "s", "data": b64("x")})


def test_a_key_file_that_is_missing_is_named(over_ssh: tuple[Engine, dict[str, Any]]) -> None:
    own, settings = over_ssh
    own.configure({**settings, "sshOpts": '["-i", "/nonexistent/key", "-o", "StrictHostKeyChecking=no"]'})
    with pytest.raises(PluginError, match=r"private key.*can't be read.*/nonexistent/key"):
        own.create(SECRET, "s", {"name": "s", "data": b64("x")})


def test_settings_that_are_not_known_yet_do_not_hinder_a_preview(
    over_ssh: tuple[Engine, dict[str, Any]],
) -> None:
    own, _ = over_ssh
    assert own.check_config({"host": UNKNOWN, "sshOpts": UNKNOWN}) == []
    own.configure({"host": UNKNOWN})
    planned = own.create(SERVICE, "app", service_inputs(**container(image=UNKNOWN)), preview=True)
    assert planned.outputs["name"] == "app"


def test_a_wrong_host_is_refused_before_anything_is_made(over_ssh: tuple[Engine, dict[str, Any]]) -> None:
    own, _ = over_ssh
    assert "must begin with ssh://" in own.check_config({"host": "1.2.3.4"})[0]


def test_an_unknown_resource_names_the_official_plugin(pulumi: Engine) -> None:
    with pytest.raises(PluginError, match=r"pulumi plugin install resource docker 5\.2\.0"):
        pulumi.check("docker:index/container:Container", {})
