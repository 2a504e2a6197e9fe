"""The program's network, secrets, configs and services on a swarm, under the real `pulumi`."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker.types
import pytest

from components.host_scripts.shell import script
from operations import remote_hosts
from operations.around_run import swarm_leftovers
from tests.plugins.stacks import CONNECTED, KINDS, Stack, made
from tests.support.docker_engine import TestEngine

pytestmark = [pytest.mark.plugins, pytest.mark.first]

CLUSTER = f"""
import pulumi
import pulumi_command as command
import pulumi_docker as docker

from components import swarm_files
from components.overlay_network import OverlayNetwork, OverlayNetworkArgs
from settings import Network

{CONNECTED}
network = OverlayNetwork(
    "network",
    OverlayNetworkArgs(
        Network(
            subnet=config.get("subnet") or "10.20.0.0/24", encrypted=config.get_bool("encrypted") or False
        ),
        manager=connection,
        services=["store", "db"],
        after=[],
    ),
    pulumi.ResourceOptions(providers=[provider]),
)
options = pulumi.ResourceOptions(provider=provider)
password = swarm_files.secret("db", "password", config.require_secret("password"), options)
settings = swarm_files.config("db", "cnf", "/etc/my.cnf", "[mysqld]", options)


def service(name, after):
    return docker.Service(
        name + "-service",
        name=network.service(name),
        labels=[docker.ServiceLabelArgs(label=swarm_files.LABEL, value=swarm_files.stack())],
        mode=docker.ServiceModeArgs(global_=True),
        task_spec=docker.ServiceTaskSpecArgs(
            container_spec=docker.ServiceTaskSpecContainerSpecArgs(
                image="shell:1",
                stop_grace_period="30s",
                secrets=[password],
                configs=[settings],
                mounts=[docker.ServiceTaskSpecContainerSpecMountArgs(
                    type="volume", source=name + "-data", target="/data")],
            ),
            networks_advanceds=[docker.ServiceTaskSpecNetworksAdvancedArgs(id=network.network_id)],
        ),
        opts=pulumi.ResourceOptions(provider=provider, depends_on=[*network.ready, *after],
                                    delete_before_replace=True),
    )


store = service("store", [])
db = service("db", [store])
pulumi.export("store", store.id)
pulumi.export("db", db.id)
pulumi.export("network", network.network_id)
"""


@pytest.fixture
def dying(swarm: TestEngine, tmp_path: Path) -> Iterator[Stack]:
    """The stack of `CLUSTER`, whose docker plugin, the lab's, may be told to die."""
    with made(swarm, tmp_path, CLUSTER, "lab", "tests.plugins.dying_docker") as stack:
        yield stack
        swarm.empty()


@pytest.fixture(params=KINDS)
def cluster(swarm: TestEngine, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Stack]:
    """The stack of `CLUSTER`."""
    with made(swarm, tmp_path, CLUSTER, request.param) as stack:
        yield stack
        swarm.empty()


def on_the_manager(swarm: TestEngine, text: str) -> str:
    """What a script of the operations prints there."""
    words = ["bash", "-c", script(text)]
    done = subprocess.run(words, env=swarm.environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def mended(stack: Stack, swarm: TestEngine) -> list[str]:
    """State and swarm brought together as `operations up` does after a run that was broken off."""
    said: list[str] = []

    def asked(_way: object, _hosts: object, text: str) -> remote_hosts.Answer:
        return remote_hosts.Answer(on_the_manager(swarm, text))

    (stack.folder / "id").write_text("read, and handed to what is patched away")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(swarm_leftovers, "_asked", asked)
        patch.setattr(swarm_leftovers, "say", said.append)
        gone = swarm_leftovers.before_up(stack.exported(), stack.folder, "plugins", "test")
    if gone:
        targets = [word for urn in gone for word in ("--target", urn)]
        stack.run("refresh", "--yes", "--skip-preview", *targets)
    return said


def names(found: list[dict[str, Any]]) -> list[str]:
    return sorted(each["Spec"]["Name"] for each in found)


@pytest.mark.parametrize("method", ["create_network", "create_secret", "create_config", "create_service"])
def test_a_run_that_is_killed_when_something_was_made_goes_on_and_leaves_nothing(
    dying: Stack, swarm: TestEngine, method: str
) -> None:
    dying.killed(method)
    said = mended(dying, swarm)
    removed = {"create_network": "the network galera", "create_service": "the service store"}
    assert [removed[method] in each for each in said] == ([True] if method in removed else [])
    dying.run("up", "--yes", "--skip-preview")
    dying.run("up", "--yes", "--skip-preview", "--expect-no-changes")
    assert sorted(names(swarm.client.services())) == ["db", "store"]
    assert len(swarm.client.networks(names=["galera"])) == 1
    assert mended(dying, swarm) == []

    # A secret or config of the killed run is in no state. What takes it away leaves others' alone.
    orphans = {"create_secret": "secret db-password-", "create_config": "config db-cnf-"}
    foreign = swarm.client.create_secret("foreign", b"x", labels={"swarm-galera.stack": "plugins/other"})
    removal = swarm_leftovers.removal("plugins", "test", swarm_leftovers.known(dying.exported()))
    try:
        assert orphans.get(method, "") in on_the_manager(swarm, removal)
        assert len(swarm.client.secrets()) == 2
        assert len(swarm.client.configs()) == 1
    finally:
        swarm.client.remove_secret(foreign["ID"])


def test_what_is_in_no_state_stands_in_the_way_until_it_is_removed(cluster: Stack, swarm: TestEngine) -> None:
    """No plugin takes over what exists; what `operations up` does before a run makes way for it."""
    cluster.run("up", "--yes", "--skip-preview")
    for name in ("db-service", "store-service", "network-left", "network-network"):
        urn = next(
            each["urn"]
            for each in cluster.exported()["deployment"]["resources"]
            if each["urn"].endswith(name)
        )
        cluster.run("state", "delete", "--yes", "--force", urn)
    swarm.client.create_network("foreign", driver="overlay")
    try:
        said = cluster.run("up", "--yes", "--skip-preview", fails=True)
        assert "already exists" in said
        (words,) = mended(cluster, swarm)
        for what in ("the service db", "the service store", "the network galera"):
            assert what in words
        cluster.run("up", "--yes", "--skip-preview")
        cluster.run("up", "--yes", "--skip-preview", "--expect-no-changes")
        assert swarm.client.networks(names=["foreign"])
    finally:
        swarm.client.remove_network("foreign")


def test_what_is_gone_stands_in_the_way_until_a_refresh_has_seen_it(
    cluster: Stack, swarm: TestEngine
) -> None:
    cluster.run("up", "--yes", "--skip-preview")
    swarm.client.remove_service("db")
    cluster.run("config", "set", "subnet", "10.21.0.0/24")
    assert "not found" in cluster.run("up", "--yes", "--skip-preview", fails=True)
    (words,) = mended(cluster, swarm)
    assert "no longer on the swarm: db-service" in words
    cluster.run("up", "--yes", "--skip-preview")
    cluster.run("up", "--yes", "--skip-preview", "--expect-no-changes")
    assert sorted(names(swarm.client.services())) == ["db", "store"]


def test_a_changed_secret_is_a_new_one_and_the_old_one_goes(cluster: Stack, swarm: TestEngine) -> None:
    cluster.run("up", "--yes", "--skip-preview")
    before = names(swarm.client.secrets())
    cluster.run("config", "set", "--secret", "password", "hunter33")
    cluster.run("up", "--yes", "--skip-preview")
    after = names(swarm.client.secrets())
    assert len(before) == len(after) == 1
    assert before != after
    used = swarm.client.inspect_service("db")["Spec"]["TaskTemplate"]["ContainerSpec"]["Secrets"]
    assert [each["SecretName"] for each in used] == after


def test_a_changed_network_is_replaced_with_the_services_on_it_and_their_data_stays(
    cluster: Stack, swarm: TestEngine
) -> None:
    cluster.run("up", "--yes", "--skip-preview")
    before = cluster.outputs()
    volume = swarm.client.inspect_volume("db-data")["CreatedAt"]
    cluster.run("config", "set", "subnet", "10.21.0.0/24")
    cluster.run("config", "set", "encrypted", "true")
    assert "network has to be replaced" not in cluster.run("preview")
    cluster.run("up", "--yes", "--skip-preview")
    after = cluster.outputs()
    assert all(before[key] != after[key] for key in ("network", "store", "db"))
    found = swarm.client.inspect_network("galera")
    assert found["IPAM"]["Config"][0]["Subnet"] == "10.21.0.0/24"
    assert "encrypted" in found["Options"]
    targets = swarm.client.inspect_service("db")["Spec"]["TaskTemplate"]["Networks"]
    assert [each["Target"] for each in targets] == [after["network"]]
    assert swarm.client.inspect_volume("db-data")["CreatedAt"] == volume
    cluster.run("up", "--yes", "--skip-preview", "--expect-no-changes")


def test_a_network_that_serves_others_too_is_left_alone_with_all_on_it(
    cluster: Stack, swarm: TestEngine
) -> None:
    cluster.run("up", "--yes", "--skip-preview")
    before = cluster.outputs()
    container = docker.types.ContainerSpec("shell:1", command=["/bin/sleep", "1000"], stop_grace_period=1)
    template = docker.types.TaskTemplate(container, networks=[before["network"]])
    other = swarm.client.create_service(template, name="app")
    try:
        cluster.run("config", "set", "subnet", "10.21.0.0/24")
        said = cluster.run("up", "--yes", "--skip-preview", fails=True)
        assert (
            "the network galera has to be replaced by (galera 10.21.0.0/24 false), but serves: app." in said
        )
        assert {each["ID"] for each in swarm.client.services()} == {
            before["store"],
            before["db"],
            other["ID"],
        }
    finally:
        swarm.client.remove_service(other["ID"])
