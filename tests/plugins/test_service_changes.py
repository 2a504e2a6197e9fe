"""The program's own services under the real `pulumi`: what changes them, in which order, what does not."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.plugins.stacks import CONNECTED, KINDS, Stack, made
from tests.support.docker_engine import REGISTRY, TestEngine, TestRegistry

pytestmark = [pytest.mark.plugins, pytest.mark.first]

STORE, DATABASE = f"{REGISTRY}/etcd:1", f"{REGISTRY}/galera:1"
PROGRAM = f"""
import pulumi
import pulumi_command as command
import pulumi_docker as docker

from components import services
from components.host_scripts import convergence
from components.overlay_network import OverlayNetwork, OverlayNetworkArgs
from components.pinned_images import PinnedImages, PinnedImagesArgs
from components.service_spec import ConfigFile, HealthCheck, ServiceSpec, UpdatePolicy
from settings import Network

convergence.BEGINS_WITHIN = 5
{CONNECTED}


class Server:
    hostname, guest_id, reboots, connection = "galera-1", "1", 0, connection


class Cluster(pulumi.ComponentResource):
    def __init__(self):
        super().__init__("test:index:Cluster", "cluster", None, pulumi.ResourceOptions(providers=[provider]))
        on = pulumi.ResourceOptions(parent=self)
        network = OverlayNetwork(
            "network",
            OverlayNetworkArgs(
                Network(subnet="10.20.0.0/24", encrypted=False), connection, ["etcd", "galera"], []
            ),
            on,
        )
        settings = {{"etcd": config.get("etcd") or "{STORE}", "galera": config.get("galera") or "{DATABASE}"}}
        images = PinnedImages("images", PinnedImagesArgs(settings, connection, []), on).references
        options = ConfigFile("cnf", "/etc/my.cnf", config.get("options") or "[mysqld]")

        def service(name, after, configs=()):
            spec = ServiceSpec(
                name=name, image=settings[name], env={{"SIZE": config.get("size") or "3"}},
                secrets=["password"], configs=configs, volumes={{name + "-data": "/data"}},
                health=HealthCheck(["/bin/true"], start_period=120, interval=1, timeout=5, retries=3),
                stop_grace=30, constraints=["node.role==manager"], update=UpdatePolicy(proven=1),
            )
            args = services.ServiceArgs(spec, images[name], [Server()], connection, network, [], after)
            secrets = {{"password": config.require_secret("password")}}
            return services.declare(name, args, self, secrets, {{}})

        service("galera", [service("etcd", [])], [options])


Cluster()
"""


@pytest.fixture
def registry(swarm: TestEngine) -> Iterator[TestRegistry]:
    with swarm.registry() as running:
        running.push(STORE, "one")
        running.push(DATABASE, "one")
        yield running


@pytest.fixture(params=KINDS)
def stack(
    swarm: TestEngine, registry: TestRegistry, tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[Stack]:
    with made(swarm, tmp_path, PROGRAM, request.param) as stack:
        stack.run("up", "--yes", "--skip-preview")
        yield stack
        swarm.empty()


def tasks(swarm: TestEngine, service: str) -> list[str]:
    """Ids of all tasks that a service ever had."""
    return sorted(str(task["ID"]) for task in swarm.client.tasks(filters={"service": service}))


def everything(swarm: TestEngine) -> dict[str, list[str]]:
    return {service: tasks(swarm, service) for service in ("etcd", "galera")}


def image(swarm: TestEngine, service: str) -> str:
    return str(swarm.client.inspect_service(service)["Spec"]["TaskTemplate"]["ContainerSpec"]["Image"])


def update(swarm: TestEngine, service: str) -> dict[str, Any]:
    return dict(swarm.client.inspect_service(service)["UpdateStatus"])


def unchanged(stack: Stack, swarm: TestEngine, before: dict[str, list[str]]) -> None:
    stack.run("refresh", "--yes", "--skip-preview", "--expect-no-changes")
    stack.run("up", "--yes", "--skip-preview", "--expect-no-changes")
    assert everything(swarm) == before


def test_a_run_that_changes_nothing_restarts_nothing_whatever_the_registry_says_meanwhile(
    stack: Stack, swarm: TestEngine, registry: TestRegistry
) -> None:
    before, content = everything(swarm), image(swarm, "etcd")
    assert content.startswith(f"{STORE}@sha256:")
    stack.run("up", "--yes", "--skip-preview", "--expect-no-changes")
    stack.run("preview", "--expect-no-changes")
    registry.stop()
    unchanged(stack, swarm, before)
    registry.start()
    moved = registry.push(STORE, "two")
    stack.run("up", "--yes", "--skip-preview", "--expect-no-changes")
    assert image(swarm, "etcd") == content

    # On purpose, and of what has moved only.
    stack.run("up", "--yes", "--skip-preview", "--replace", "**-image-resolved")
    assert image(swarm, "etcd") == f"{STORE}@{moved}"
    assert tasks(swarm, "etcd") != before["etcd"]
    assert tasks(swarm, "galera") == before["galera"]
    unchanged(stack, swarm, everything(swarm))


def test_what_the_registry_lacks_is_one_error_and_changes_nothing(stack: Stack, swarm: TestEngine) -> None:
    before = everything(swarm)
    stack.run("config", "set", "etcd", f"{STORE}@sha256:{'0' * 64}")
    stack.run("config", "set", "size", "5")
    said = stack.run("up", "--yes", "--skip-preview", fails=True)
    _, _, diagnostics = said.partition("Diagnostics:")
    assert diagnostics.count("error: the registry has no") == 1
    assert f"the registry has no {STORE}@sha256:000" in diagnostics
    assert "Remedy: give a tag or digest that it has" in diagnostics
    assert everything(swarm) == before


def test_services_are_changed_one_after_the_other_and_only_those_that_change(
    stack: Stack, swarm: TestEngine
) -> None:
    before = everything(swarm)
    stack.run("config", "set", "options", "[mysqld]\nmax_connections = 99")
    stack.run("up", "--yes", "--skip-preview")
    assert tasks(swarm, "etcd") == before["etcd"]
    assert tasks(swarm, "galera") != before["galera"]
    assert update(swarm, "galera")["State"] == "completed"

    stack.run("config", "set", "size", "5")
    stack.run("up", "--yes", "--skip-preview")
    first, second = update(swarm, "etcd"), update(swarm, "galera")
    assert (first["State"], second["State"]) == ("completed", "completed")
    assert second["StartedAt"] > first["CompletedAt"]


def test_what_somebody_changed_by_hand_is_mended_and_waited_for(stack: Stack, swarm: TestEngine) -> None:
    """Nothing that the program says has changed then."""
    words = ["docker", "service", "update", "--env-add", "INTRUDER=1", "--quiet"]
    for service in ("etcd", "galera"):
        subprocess.run([*words, service], env=swarm.environment, check=True, capture_output=True)
    stack.run("refresh", "--yes", "--skip-preview")
    planned = stack.run("preview")
    assert "etcd-running" in planned
    assert "galera-running" in planned
    stack.run("up", "--yes", "--skip-preview")
    first, second = update(swarm, "etcd"), update(swarm, "galera")
    assert (first["State"], second["State"]) == ("completed", "completed")
    assert second["StartedAt"] > first["CompletedAt"]
    for service in ("etcd", "galera"):
        spec = swarm.client.inspect_service(service)["Spec"]["TaskTemplate"]["ContainerSpec"]
        assert "INTRUDER=1" not in spec["Env"]
    unchanged(stack, swarm, everything(swarm))


def test_a_change_that_fails_ends_the_run_before_the_next_service(stack: Stack, swarm: TestEngine) -> None:
    before = everything(swarm)
    # Somebody's else's word makes the store's tasks fail; the database is to change in the same run.
    stack.run("config", "set", "size", "5")
    node = swarm.client.nodes()[0]
    swarm.client.update_node(node["ID"], node["Version"]["Index"], {**node["Spec"], "Availability": "drain"})
    try:
        running = subprocess.Popen(
            stack.command("up", "--yes", "--skip-preview"),
            cwd=stack.folder,
            env=stack.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        deadline = time.monotonic() + 120
        while (
            "SIZE=5"
            not in swarm.client.inspect_service("etcd")["Spec"]["TaskTemplate"]["ContainerSpec"]["Env"]
        ):
            assert running.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.2)
        time.sleep(5)  # well beyond what a plugin waits for
        galera = swarm.client.inspect_service("galera")["Spec"]["TaskTemplate"]["ContainerSpec"]
        assert "SIZE=3" in galera["Env"]
    finally:
        node = swarm.client.nodes()[0]
        swarm.client.update_node(
            node["ID"], node["Version"]["Index"], {**node["Spec"], "Availability": "active"}
        )
        printed, _ = running.communicate(timeout=240)
    assert running.returncode == 0, printed
    assert tasks(swarm, "galera") != before["galera"]
