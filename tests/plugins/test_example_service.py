"""The example of a further service, under the real `pulumi` on a swarm: made once, then left alone."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from lab.toolchain import places
from tests.plugins.stacks import KINDS, Stack, made
from tests.support.docker_engine import REGISTRY, TestEngine

pytestmark = pytest.mark.plugins

# The outputs of a cluster, of which the swarm is a test's: its SSH is on a port of its own.
CLUSTER = """
import pulumi

config = pulumi.Config()
port, host_key = config.require("port"), config.require("hostKey")
pulumi.export("contractVersion", 2)
# The first manager is off: nothing is at its port.
pulumi.export("managers", ["galera-0", "galera-1"])
pulumi.export("hosts", [{"name": "galera-0", "privateIp": "10.144.12.10"}])
pulumi.export("network", {"name": "galera", "id": config.require("network")})
pulumi.export("galera", {"service": "galera", "vip": "10.20.0.5", "port": 3306, "database": "app"})
pulumi.export("joinTokens", pulumi.Output.secret({"worker": "SWMTKN-w"}))
pulumi.export("passwords", pulumi.Output.secret({"app": config.get("app") or "first-password"}))
pulumi.export("ssh", pulumi.Output.secret({
    "user": "root",
    "privateKey": config.require_secret("key"),
    "addresses": {"galera-0": "127.0.0.1", "galera-1": "127.0.0.1"},
    "ports": {"galera-0": 1, "galera-1": int(port)},
    "hostKeys": {"galera-0": host_key, "galera-1": host_key},
}))
"""


@pytest.fixture(params=KINDS)
def cluster(swarm: TestEngine, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Stack]:
    """The stack of `CLUSTER`, with a network on the swarm."""
    with made(swarm, tmp_path, CLUSTER, request.param) as stack:
        network = swarm.client.create_network("galera", driver="overlay", attachable=True)["Id"]
        stack.run("config", "set", "network", network)
        stack.run("up", "--yes", "--skip-preview")
        yield stack
        swarm.empty()


def example(cluster: Stack, folder: Path, image: str) -> Stack:
    """The example's stack. Of the database's client, which the test's image has not, it has an `echo`."""
    shutil.copytree(places.CHECKOUT / "examples" / "service", folder)
    program = folder / "__main__.py"
    written = program.read_text()
    assert written.count("mariadb --host") == 1
    program.write_text(written.replace("mariadb --host", "echo --host"))
    project = yaml.safe_load((folder / "Pulumi.yaml").read_text())
    (folder / "Pulumi.yaml").write_text(yaml.safe_dump({**project, "runtime": "python"}))
    stack = Stack(folder, cluster.sshd, {**cluster.environment, "XDG_STATE_HOME": str(folder / "state")})
    stack.run("stack", "init", "test")
    stack.run("config", "set", "cluster", "organization/plugins/test")
    stack.run("config", "set", "image", image)
    return stack


def tasks(swarm: TestEngine) -> set[str]:
    """Ids of the service's tasks that are to run."""
    found = swarm.client.tasks(filters={"service": "client", "desired-state": "running"})
    return {task["ID"] for task in found}


def test_a_service_that_runs_is_left_alone_by_further_runs_and_takes_a_new_password(
    cluster: Stack, swarm: TestEngine, tmp_path: Path
) -> None:
    with swarm.registry() as registry:
        reference = f"{REGISTRY}/client:1"
        image = f"{reference}@{registry.push(reference, 'client')}"
        service = example(cluster, tmp_path / "example", image)
        service.run("up", "--yes", "--skip-preview")
        running = tasks(swarm)
        assert len(running) == 2
        service.run("preview", "--expect-no-changes")
        service.run("refresh", "--yes", "--skip-preview")
        service.run("preview", "--expect-no-changes")
        service.run("up", "--yes", "--skip-preview", "--expect-no-changes")
        assert tasks(swarm) == running
        told = service.outputs()
        assert told["join"] == "docker swarm join --token SWMTKN-w 10.144.12.10:2377"
        assert told["database"] == "10.20.0.5:3306"

        cluster.run("config", "set", "app", "second-password")
        cluster.run("up", "--yes", "--skip-preview")
        service.run("up", "--yes", "--skip-preview")
        assert not tasks(swarm) & running
        assert len(swarm.client.secrets()) == 1
        service.run("preview", "--expect-no-changes")
        service.run("destroy", "--yes", "--skip-preview")
        assert swarm.client.services() == swarm.client.secrets() == []
