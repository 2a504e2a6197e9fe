"""The program's network, secrets, configs and services on a swarm, under the real `pulumi`."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker.types
import pytest

from components.commands.shell import script
from lab.plugins.testing_docker import TestEngine
from operations import swarm_leftovers
from tests.plugins.stacks import Stack, made

pytestmark = [pytest.mark.plugins, pytest.mark.first]

CLUSTER = """
import pulumi
import pulumi_command as command
import pulumi_docker as docker

from components import swarm_files
from components.overlay_network import OverlayNetwork, OverlayNetworkArgs

config = pulumi.Config()
folder, port = config.require("folder"), config.require_int("port")
connection = command.remote.ConnectionArgs(
    host="127.0.0.1", port=port, private_key=config.require_secret("key"), host_key=config.require("hostKey")
)
provider = docker.Provider(
    "swarm",
    host="ssh://root@127.0.0.1:" + str(port),
    ssh_opts=["-i", folder + "/key", "-o", "UserKnownHostsFile=" + folder + "/known_hosts",
              "-o", "StrictHostKeyChecking=yes"],
)
network = OverlayNetwork(
    "network",
    OverlayNetworkArgs(
        name="galera",
        subnet=config.get("subnet") or "10.20.0.0/24",
        encrypted=config.get_bool("encrypted") or False,
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
        mode=docker.ServiceModeArgs(global_=True),
        task_spec=docker.ServiceTaskSpecArgs(
            container_spec=docker.ServiceTaskSpecContainerSpecArgs(
                image="shell:1",
                args=["/bin/sleep", "1000"],
                stop_signal="SIGKILL",
                secrets=[password],
                configs=[settings],
                mounts=[docker.ServiceTaskSpecContainerSpecMountArgs(
                    type="volume", source=name + "-data", target="/data")],
            ),
            networks_advanceds=[docker.ServiceTaskSpecNetworksAdvancedArgs(id=network.network_id)],
        ),
        opts=pulumi.ResourceOptions(provider=provider, depends_on=after, delete_before_replace=True),
    )


store = service("store", [])
db = service("db", [store])
pulumi.export("store", store.id)
pulumi.export("db", db.id)
pulumi.export("network", network.network_id)
"""


@pytest.fixture
def cluster(swarm: TestEngine, tmp_path: Path) -> Iterator[Stack]:
    """The stack of `CLUSTER`, whose docker plugin may be told to die."""
    with made(swarm, tmp_path, CLUSTER, "lab", "tests.plugins.dying_docker") as stack:
        yield stack
        swarm.empty()


def names(found: list[dict[str, Any]]) -> list[str]:
    return sorted(each["Spec"]["Name"] for each in found)


@pytest.mark.parametrize("method", ["create_network", "create_secret", "create_config", "create_service"])
def test_a_run_that_is_killed_when_something_was_made_goes_on_and_leaves_nothing(
    cluster: Stack, swarm: TestEngine, method: str
) -> None:
    cluster.killed(method)
    cluster.run("up", "--yes", "--skip-preview")
    cluster.run("up", "--yes", "--skip-preview", "--expect-no-changes")
    assert sorted(names(swarm.client.services())) == ["db", "store"]
    assert len(swarm.client.networks(names=["galera"])) == 1

    # A secret or config of the killed run is in no state. What takes it away leaves others' alone.
    orphans = {"create_secret": "secret db-password-", "create_config": "config db-cnf-"}
    foreign = swarm.client.create_secret("foreign", b"x", labels={"swarm-galera.stack": "plugins/other"})
    removal = swarm_leftovers.removal("plugins", "test", swarm_leftovers.known(cluster.exported()))
    try:
        removed = subprocess.run(
            ["bash", "-c", script(removal)], env=swarm.environment, capture_output=True, text=True, check=True
        ).stdout
        assert orphans.get(method, "") in removed
        assert len(swarm.client.secrets()) == 2
        assert len(swarm.client.configs()) == 1
    finally:
        swarm.client.remove_secret(foreign["ID"])


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
