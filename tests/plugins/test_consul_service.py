"""Consul's service, on the hosts' own network, under the real `pulumi`: as declared, and then left alone."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.plugins.stacks import CONNECTED, KINDS, Stack, made
from tests.support.docker_engine import REGISTRY, TestEngine, TestRegistry

pytestmark = [pytest.mark.plugins, pytest.mark.first]

IMAGE = f"{REGISTRY}/consul:1"
PROGRAM = f"""
import dataclasses
import json

import pulumi
import pulumi_command as command
import pulumi_docker as docker

from components import consul, services
from components.host_scripts import convergence
from components.overlay_network import OverlayNetwork, OverlayNetworkArgs
from components.pinned_images import PinnedImages, PinnedImagesArgs
from components.service_spec import HealthCheck, UpdatePolicy
from settings import Network, parse

convergence.BEGINS_WITHIN = 5
{CONNECTED}
sections = {{
    "ssh": {{"allowedCidrs": ["203.0.113.0/24"]}},
    "servers": {{"domain": "example.com", "datacenter": "tor01"}},
    "discovery": {{"kind": "consul", "image": "{IMAGE}", "recursors": ["10.0.80.11"]}},
    "galera": {{"image": "registry.lab:5000/galera:1"}},
}}
if config.get_bool("balanced"):
    sections["loadBalancer"] = {{"image": "registry.lab:5000/haproxy:1"}}
settings = parse({{key: json.dumps(value) for key, value in sections.items()}})


class Server:
    hostname, guest_id, reboots, connection = "galera-1", "1", 0, connection


class Cluster(pulumi.ComponentResource):
    def __init__(self):
        super().__init__("test:index:Cluster", "cluster", None, pulumi.ResourceOptions(providers=[provider]))
        on = pulumi.ResourceOptions(parent=self)
        network = OverlayNetwork(
            "network",
            OverlayNetworkArgs(Network(subnet="10.20.0.0/24", encrypted=False), connection, [], []),
            on,
        )
        wanted = PinnedImagesArgs({{"consul": "{IMAGE}"}}, connection, [])
        images = PinnedImages("images", wanted, on).references
        # All of it, but for what only its own image has.
        health = HealthCheck(["/bin/true"], start_period=120, interval=1, timeout=5, retries=3)
        spec = dataclasses.replace(consul.spec(settings), health=health, update=UpdatePolicy(proven=1))
        args = services.ServiceArgs(spec, images["consul"], [Server()], connection, network, [], [])
        secrets = dict.fromkeys(spec.secrets, config.require_secret("password"))
        hosts = config.get("hosts") or "galera-1=10.144.12.11"
        services.declare("consul", args, self, secrets, {{"CONSUL_HOSTS": hosts, "CLUSTER_TOKEN": "t"}})


Cluster()
"""


@pytest.fixture
def registry(swarm: TestEngine) -> Iterator[TestRegistry]:
    with swarm.registry() as running:
        running.push(IMAGE, "one")
        yield running


@pytest.fixture(params=KINDS)
def stack(
    swarm: TestEngine, registry: TestRegistry, tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[Stack]:
    with made(swarm, tmp_path, PROGRAM, request.param) as stack:
        stack.run("up", "--yes", "--skip-preview")
        yield stack
        swarm.empty()


def seen(swarm: TestEngine) -> dict[str, Any]:
    """The service as the engine has it."""
    return dict(swarm.client.inspect_service("consul"))


def tasks(swarm: TestEngine) -> list[str]:
    """Ids of all tasks that it ever had."""
    return sorted(str(task["ID"]) for task in swarm.client.tasks(filters={"service": "consul"}))


def test_it_runs_on_the_hosts_network_and_a_run_that_changes_nothing_leaves_it_alone(
    stack: Stack, swarm: TestEngine
) -> None:
    service, before = seen(swarm), tasks(swarm)
    task = service["Spec"]["TaskTemplate"]
    (network,) = task["Networks"]
    assert swarm.client.inspect_network(network["Target"])["Name"] == "host"
    assert service["Spec"]["Mode"] == {"Global": {}}
    assert "Ports" not in service["Endpoint"]
    assert not [each for each in service["Endpoint"].get("VirtualIPs", ()) if "Addr" in each]
    container = task["ContainerSpec"]
    assert "Sysctls" not in container
    assert [mount["Source"] for mount in container["Mounts"]] == ["consul-data"]
    assert [each["File"]["Name"] for each in container["Configs"]] == ["/etc/consul-member/services.json"]
    assert len(container["Secrets"]) == 8

    stack.run("refresh", "--yes", "--skip-preview", "--expect-no-changes")
    stack.run("up", "--yes", "--skip-preview", "--expect-no-changes")
    assert tasks(swarm) == before


def test_a_further_host_and_another_service_change_it_in_place(stack: Stack, swarm: TestEngine) -> None:
    service, before = seen(swarm)["ID"], tasks(swarm)
    for key, value in (("hosts", "galera-1=10.144.12.11,galera-2=10.144.12.12"), ("balanced", "true")):
        stack.run("config", "set", key, value)
        stack.run("up", "--yes", "--skip-preview")
        assert seen(swarm)["ID"] == service
        assert seen(swarm)["UpdateStatus"]["State"] == "completed"
        assert tasks(swarm) != before
        before = tasks(swarm)
    config = seen(swarm)["Spec"]["TaskTemplate"]["ContainerSpec"]["Configs"][0]["ConfigID"]
    data = swarm.client.inspect_config(config)["Spec"]["Data"]
    told = json.loads(base64.b64decode(data))
    assert [each["name"] for each in told] == ["db-writer", "db-reader"]
    stack.run("up", "--yes", "--skip-preview", "--expect-no-changes")
